//! Getting the lease, and keeping it.
//!
//! Whoever makes the leader's key while there is none leads, for as long as the lease that the key goes with is
//! renewed. A quarter of its time is left between two renewals, so that one or two may fail. The one who leads counts
//! from the moment in which it *asked* for the renewal, and stops a quarter before the end: its own clock then runs out
//! before that of etcd.
//!
//! While etcd itself has no leader no lease is renewed, and none runs out either: the new one gives them all their time
//! anew. So who stepped down meanwhile may find its own key still there, and its lease still good. Then nobody else was
//! elected, and it goes on in the same term, instead of waiting for its own lease to run out.
//!
//! A lease that is good is not enough: the key that goes with it may be gone all the same, since somebody removed what
//! stands in etcd or set it back, and then another one may lead already. So each renewal reads the key, too, and so does
//! whoever hears that it has changed: by the watch of what is stored, or by a write that was refused for it. One whose key is gone steps
//! down, and stands again at once, in a new term.

use std::time::Duration;

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tracing::{info, warn};

use super::LeaderAddress;
use crate::store::etcd::{
    Client, Compare, Fault, KeyValue, Op, Prefix, PutRequest, RangeRequest, TxnRequest,
};

/// What an election says of this control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// It leads, elected at this revision of etcd.
    Leads {
        /// Which no other leader had, and each later one's is higher.
        term: i64,
    },
    /// Another one leads; none while nobody is known to.
    Follows(Option<LeaderAddress>),
}

/// A lease that made this one the leader in a term.
#[derive(Debug, Clone, Copy)]
struct Held {
    id: i64,
    term: i64,
}

impl Held {
    /// Whether it is this one's key.
    fn made(&self, kv: &KeyValue) -> bool {
        (kv.lease, kv.create_revision) == (self.id, self.term)
    }
}

/// Why one who led does no more.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("its lease has run out in etcd")]
    Lease,
    #[error("its key in etcd is gone, or belongs to another one: what stands there was removed or set back")]
    Key,
    #[error("its lease could not be renewed: {0}")]
    Silent(String),
}

/// One who stands for election.
pub(crate) struct Candidate {
    pub(crate) client: Client,
    pub(crate) prefix: Prefix,
    /// How long the lease lasts.
    pub(crate) lease: Duration,
    pub(crate) own: LeaderAddress,
    /// Told when the leader's key was seen to have changed.
    pub(crate) vacant: std::sync::Arc<Notify>,
    pub(crate) role: watch::Sender<Role>,
    /// When etcd last answered.
    pub(crate) heard: std::sync::Arc<super::standing::Heard>,
}

impl Candidate {
    /// Stands for election until told to stop; then gives its lease back.
    pub(crate) async fn stand(self, mut stop: watch::Receiver<bool>) {
        let mut failing = false;
        let mut last = None;
        loop {
            let tried = tokio::select! {
                tried = self.campaign(last) => tried,
                () = told(&mut stop) => return,
            };
            match tried {
                Ok(Some((id, term, until))) => {
                    failing = false;
                    last = Some(Held { id, term });
                    info!(name = %self.own.name, term, "elected: this control plane leads");
                    self.role.send_replace(Role::Leads { term });
                    let lost = tokio::select! {
                        lost = self.keep(Held { id, term }, until) => lost,
                        () = told(&mut stop) => {
                            // Whoever stops this one has stopped its keeper before. If etcd does not answer, the
                            // lease runs out.
                            let _ = self.client.revoke(id).await;
                            return;
                        }
                    };
                    warn!(name = %self.own.name, term, "this control plane no longer leads: {lost}");
                    self.role.send_replace(Role::Follows(None));
                    if matches!(lost, Lost::Key) {
                        // Its lease runs out by itself.
                        continue;
                    }
                }
                Ok(None) => failing = false,
                Err(fault) => {
                    if !std::mem::replace(&mut failing, true) {
                        warn!(members = %self.client.name(), "nobody can be elected: {fault}");
                    }
                    self.role.send_if_modified(|role| {
                        let knew = *role != Role::Follows(None);
                        *role = Role::Follows(None);
                        knew
                    });
                }
            }
            // A watch that hangs must not keep a lease from being taken.
            tokio::select! {
                () = self.vacant.notified() => {}
                () = sleep(self.lease / 4) => {}
                () = told(&mut stop) => return,
            }
        }
    }

    /// Tries once; gives lease, term, and until when it leads.
    async fn campaign(&self, last: Option<Held>) -> Result<Option<(i64, i64, Instant)>, Fault> {
        let key = self.prefix.leader();
        let read = RangeRequest { key: key.clone(), ..RangeRequest::default() };
        let found = self.client.range(read.clone()).await?;
        self.heard.now();
        if let Some(kv) = found.kvs.first() {
            let asked = Instant::now();
            let own = last.filter(|held| held.made(kv));
            if let Some(Held { id, term }) = own
                && self.client.keep_alive(id).await?
            {
                return Ok(Some((id, term, asked + self.lasts(i64::MAX))));
            }
            self.follow(&kv.value);
            return Ok(None);
        }
        let asked = Instant::now();
        let granted = self.client.grant(self.lease).await?;
        let value = serde_json::to_vec(&self.own).map_err(|error| Fault::Refused(error.to_string()))?;
        let put = PutRequest { key: key.clone(), value, lease: granted.id };
        let won = self
            .client
            .txn(TxnRequest {
                compare: vec![Compare::made_at(&key, 0)],
                success: vec![Op::Put(put).into()],
                failure: vec![Op::Range(read.clone()).into()],
            })
            .await?;
        if won.succeeded {
            let term = won.header.map_or(0, |header| header.revision);
            return Ok(Some((granted.id, term, asked + self.lasts(granted.ttl))));
        }
        let there = won.responses.first().and_then(|response| response.range.as_ref()?.kvs.first());
        if let Some(kv) = there {
            let ours =
                serde_json::from_slice::<LeaderAddress>(&kv.value).is_ok_and(|there| there == self.own);
            // Sent twice, since the first answer was lost: the lease in the key tells whether it is this one's.
            if ours && self.client.keep_alive(granted.id).await? && self.is_held_by(&key, granted.id).await? {
                return Ok(Some((granted.id, kv.create_revision, asked + self.lasts(granted.ttl))));
            }
            self.follow(&kv.value);
        }
        // It would run out by itself.
        let _ = self.client.revoke(granted.id).await;
        Ok(None)
    }

    async fn is_held_by(&self, key: &[u8], lease: i64) -> Result<bool, Fault> {
        let found = self.client.range(RangeRequest { key: key.into(), ..RangeRequest::default() }).await?;
        Ok(found.kvs.first().is_some_and(|kv| kv.lease == lease))
    }

    fn follow(&self, leader: &[u8]) {
        let leader = serde_json::from_slice(leader).ok();
        self.role.send_if_modified(|role| {
            let now = Role::Follows(leader);
            let changed = *role != now;
            *role = now;
            changed
        });
    }

    /// Renews the lease until it is lost, or what was made with it; says why.
    async fn keep(&self, held: Held, mut until: Instant) -> Lost {
        let every = self.lease / 4;
        let mut next = Instant::now() + every;
        loop {
            tokio::select! {
                () = sleep_until(next.min(until)) => {}
                () = self.vacant.notified() => {}
            }
            let asked = Instant::now();
            next = asked + every;
            match timeout_at(until, self.renew(held)).await {
                Ok(Ok(None)) => {
                    self.heard.now();
                    until = asked + self.lasts(i64::MAX);
                }
                Ok(Ok(Some(lost))) => return lost,
                Ok(Err(fault)) if Instant::now() >= until => return Lost::Silent(fault.to_string()),
                Ok(Err(_)) => next = Instant::now() + every / 4,
                Err(_) => return Lost::Silent("etcd did not answer in time".into()),
            }
        }
    }

    /// Renews the lease, and looks whether the key is still the one that goes with it, at once; gives what is lost.
    async fn renew(&self, held: Held) -> Result<Option<Lost>, Fault> {
        let key = self.prefix.leader();
        let (there, renewed) = tokio::join!(self.is_own(&key, held), self.client.keep_alive(held.id));
        // Whichever is known to be lost is enough.
        if matches!(there, Ok(false)) {
            return Ok(Some(Lost::Key));
        }
        let lost = (!renewed?).then_some(Lost::Lease);
        there.map(|_| lost)
    }

    async fn is_own(&self, key: &[u8], held: Held) -> Result<bool, Fault> {
        let found = self.client.range(RangeRequest { key: key.into(), ..RangeRequest::default() }).await?;
        Ok(found.kvs.first().is_some_and(|kv| held.made(kv)))
    }

    /// How long a renewal is believed: three quarters of the lease.
    fn lasts(&self, granted: i64) -> Duration {
        let granted = u64::try_from(granted).map_or(self.lease, Duration::from_secs);
        self.lease.min(granted) * 3 / 4
    }
}

/// Ends when this one is told to stop, or when whoever could tell it is gone.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
