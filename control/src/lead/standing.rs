//! How this control plane stands: whether it leads, and how old what it shows may be.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serin_config::limits::{FOLLOW_BEAT, FORWARD_READ_WAIT};
use tokio::{sync::watch, time::timeout};

use http::Request;

use super::{
    LeaderAddress, Leadership,
    forward::FORWARDED,
    pass::{About, Claim},
};

/// When etcd was last heard of.
#[derive(Debug)]
pub(crate) struct Heard {
    begun: Instant,
    /// Milliseconds from then on.
    last_ms: AtomicU64,
    /// Whether what is stored was read since then: before that nothing is known but the file.
    read: watch::Sender<bool>,
}

impl Heard {
    /// Heard of just now.
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), last_ms: AtomicU64::new(0), read: watch::channel(false).0 })
    }

    /// It is heard of now.
    pub(crate) fn now(&self) {
        self.last_ms.fetch_max(self.begun_ago_ms(), Ordering::Relaxed);
    }

    /// What is stored was read, and is shown.
    pub(crate) fn read(&self) {
        self.read.send_if_modified(|read| !std::mem::replace(read, true));
    }

    /// How long ago that was.
    fn ago(&self) -> Duration {
        Duration::from_millis(self.begun_ago_ms().saturating_sub(self.last_ms.load(Ordering::Relaxed)))
    }

    fn begun_ago_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// How this control plane stands. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    leadership: watch::Receiver<Leadership>,
    heard: Option<Arc<Heard>>,
    ca: Option<Arc<Path>>,
    own: Option<Arc<LeaderAddress>>,
}

impl Standing {
    /// The only control plane there is: it leads, and what it shows is what it knows.
    pub(crate) fn alone() -> Self {
        Self { leadership: watch::channel(Leadership::Leader).1, heard: None, ca: None, own: None }
    }

    /// One of several: `own`. `ca` are the authorities that know the APIs of the others.
    pub(crate) fn of(
        leadership: watch::Receiver<Leadership>,
        heard: Arc<Heard>,
        ca: Option<&Path>,
        own: LeaderAddress,
    ) -> Self {
        Self { leadership, heard: Some(heard), ca: ca.map(Arc::from), own: Some(Arc::new(own)) }
    }

    /// The name of this control plane; empty for the only one there is.
    pub(crate) fn name(&self) -> &str {
        self.own.as_ref().map_or("", |own| &own.name)
    }

    /// What another control plane says of a request that it sends. None of a stranger, whatever that one sends.
    pub(crate) fn claim<B>(&self, request: &Request<B>) -> Option<Claim> {
        let said = request.headers().get(FORWARDED)?;
        self.own.as_ref()?.pass.as_ref()?.read(said, About::of(request))
    }

    /// Whether a control plane has passed this request on already. That somebody merely says so counts for nothing, unless this
    /// one has no way to tell.
    pub(crate) fn was_passed_on<B>(&self, request: &Request<B>) -> bool {
        let can_tell = self.own.as_ref().is_some_and(|own| own.pass.is_some());
        let said = request.headers().contains_key(FORWARDED);
        if can_tell { self.claim(request).is_some() } else { said }
    }

    /// The authorities that know the APIs of the others; the system's where there are none.
    pub(crate) fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// Whether it leads, now and after each change.
    pub(crate) fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Whether it leads now.
    pub(crate) fn now(&self) -> Leadership {
        self.leadership.borrow().clone()
    }

    /// Who leads instead, where this one was told that another one does; none if that is not known a moment later.
    pub(crate) async fn another(&self) -> Option<LeaderAddress> {
        let mut leadership = self.leadership();
        let known = |now: &Leadership| matches!(now, Leadership::Follower { leader: Some(_) });
        match timeout(FOLLOW_BEAT, leadership.wait_for(known)).await {
            Ok(Ok(now)) => match &*now {
                Leadership::Follower { leader } => leader.clone(),
                Leadership::Leader => None,
            },
            _ => None,
        }
    }

    /// Whether it knows what is stored; waits for that a little, since a process that has just begun soon does.
    pub(crate) async fn knows(&self) -> bool {
        let Some(heard) = self.heard.as_ref().filter(|_| !self.now().leads()) else { return true };
        let mut read = heard.read.subscribe();
        // Dropped by nobody: this one holds it.
        timeout(FORWARD_READ_WAIT, read.wait_for(|read| *read)).await.is_ok_and(|read| read.is_ok())
    }

    /// How old what it shows may be, where that is worth a word: the store has not been heard of for so long.
    pub(crate) fn stale(&self) -> Option<Duration> {
        self.heard.as_ref().map(|heard| heard.ago()).filter(|ago| *ago > 3 * FOLLOW_BEAT)
    }
}
