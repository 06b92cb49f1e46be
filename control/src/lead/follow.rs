//! Following: an image of what is stored, kept up to date by what etcd tells of changes.
//!
//! It is read once, as of one revision, and from there on every change comes by a watch. A watch that breaks, or whose
//! beginning etcd has forgotten (compacted) meanwhile, is begun anew with a fresh image. A member that hangs, or that
//! is cut off from the others, says nothing at all: so it is asked every half second how far it is, and left if it
//! does not answer.
//!
//! While this control plane leads, its keeper shows what it knows, and nothing is shown from here.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serin_config::{Catalogue, limits::FOLLOW_BEAT, terms::Terms};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{info, warn};

use super::{election::Role, standing::Heard};
use crate::{
    clock::Clock,
    collect::Collector,
    freeze::Freezes,
    journal::Entry,
    keeper::Shown,
    observed::Shares,
    planner::{self, Stored},
    settled::Settled,
    state::State,
    status::Sources,
    store::etcd::{
        Change, Client, Fault, Image, Nothing, Prefix, ReadFault, WatchCreateRequest, WatchFor, WatchRequest,
        WatchResponse, read_image,
    },
    tokens::Tokens,
    watch::Watch,
};

/// Requests of one watch that wait to be sent: its beginning, and how far it is.
const REQUESTS_MAX: usize = 4;

/// One who follows.
pub(crate) struct Follower {
    pub(crate) client: Client,
    pub(crate) prefix: Prefix,
    /// The routes and services of this one's own file.
    pub(crate) catalogue: watch::Receiver<Arc<Catalogue>>,
    pub(crate) terms: watch::Receiver<Arc<Terms>>,
    pub(crate) role: watch::Receiver<Role>,
    /// Told of each change of the leader's key.
    pub(crate) vacant: Arc<Notify>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) shown: Shown,
    pub(crate) clock: Clock,
}

/// What is shown already.
#[derive(Default)]
struct Already {
    /// The journal's newest entry, as it was when it was shown.
    newest: Option<Arc<Entry>>,
    /// How often the facts had changed.
    facts: Option<u64>,
    tokens: Arc<Tokens>,
    freezes: Arc<Freezes>,
}

impl Follower {
    /// Follows until told to stop.
    pub(crate) async fn follow(mut self, mut stop: watch::Receiver<bool>) {
        let mut failing = false;
        loop {
            let begun = Instant::now();
            let ended = tokio::select! {
                ended = self.watch(&mut failing) => ended,
                () = async { drop(stop.wait_for(|stop| *stop).await) } => return,
            };
            if !std::mem::replace(&mut failing, true) {
                warn!(members = %self.client.name(), "what is stored can't be followed: {ended}; what is shown is stale");
            }
            if begun.elapsed() < FOLLOW_BEAT {
                sleep(FOLLOW_BEAT).await;
            }
            self.client.next_member();
        }
    }

    /// Reads what there is, and follows it for as long as that goes well.
    async fn watch(&mut self, failing: &mut bool) -> ReadFault {
        match self.try_watch(failing).await {
            Ok(never) => match never {},
            Err(fault) => fault,
        }
    }

    async fn try_watch(&mut self, failing: &mut bool) -> Result<std::convert::Infallible, ReadFault> {
        let (mut image, revision) = read_image(&self.client, &self.prefix).await?;
        let mut already = Already::default();
        self.show(&image, &mut already);
        self.heard.read();
        let (requests, inlet) = mpsc::channel(REQUESTS_MAX);
        let (key, range_end) = self.prefix.watched();
        let create = WatchCreateRequest { key, range_end, start_revision: revision + 1 };
        // There is room for it.
        let _ = requests.try_send(WatchRequest { request: Some(WatchFor::Create(create)) });
        let mut changes = self.client.watch(inlet).await?;
        if std::mem::take(failing) {
            info!(members = %self.client.name(), "what is stored is followed again");
        }
        self.heard.now();
        let mut beat = interval(FOLLOW_BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                message = changes.message() => {
                    let response = message
                        .map_err(|status| Fault::Away(status.message().to_owned()))?
                        .ok_or_else(|| Fault::Away("it ended the watch".into()))?;
                    last = Instant::now();
                    self.heard.now();
                    self.take(&mut image, response)?;
                    self.show(&image, &mut already);
                }
                _ = beat.tick() => {
                    if last.elapsed() > 3 * FOLLOW_BEAT {
                        return Err(Fault::Away(silent(last.elapsed())).into());
                    }
                    // If the one before was not sent yet, this one says no more.
                    let progress = WatchRequest { request: Some(WatchFor::Progress(Nothing {})) };
                    let _ = requests.try_send(progress);
                }
                Ok(()) = self.role.changed() => {
                    // The keeper has shown its own journal meanwhile.
                    already = Already::default();
                    self.show(&image, &mut already);
                }
                Ok(()) = self.catalogue.changed() => self.show(&image, &mut already),
                Ok(()) = self.terms.changed() => self.show(&image, &mut already),
            }
        }
    }

    fn take(&self, image: &mut Image, response: WatchResponse) -> Result<(), ReadFault> {
        if response.compact_revision > 0 {
            return Err(Fault::Compacted.into());
        }
        if response.canceled {
            return Err(Fault::Away(response.cancel_reason).into());
        }
        let leader = self.prefix.leader();
        let mut changes = Vec::new();
        for event in response.events {
            let deleted = event.is_delete();
            let Some(kv) = event.kv else { continue };
            if kv.key == leader {
                self.vacant.notify_one();
            } else if let Some(name) = self.prefix.name(&kv.key) {
                changes.push(Change { name: name.to_owned(), value: Some(kv.value).filter(|_| !deleted) });
            }
        }
        Ok(image.take(changes)?)
    }

    /// Shows the image, unless this control plane leads.
    fn show(&mut self, image: &Image, already: &mut Already) {
        if matches!(*self.role.borrow_and_update(), Role::Leads { .. }) {
            return;
        }
        let now_ms = self.clock.now_ms();
        let catalogue = self.catalogue.borrow_and_update().clone();
        let (facts, changes) = image.facts();
        if already.facts != Some(changes) {
            already.facts = Some(changes);
            already.tokens = Arc::new(Tokens::from_facts(facts));
            // Whoever leads tells of those that can't be read.
            already.freezes = Arc::new(Freezes::of_facts(facts).0);
            self.shown.audit.read(facts);
        }
        let stored = Stored { tokens: already.tokens.clone(), ..image.stored() };
        let terms = self.terms.borrow_and_update().clone();
        let parent = image.generation_before(stored.generation);
        let freezes = already.freezes.clone();
        let state = State { terms, freezes, ..planner::present(&stored, parent, &catalogue) };
        let (mut verdicts, mut courses) = (BTreeMap::new(), BTreeMap::new());
        for (name, checkpoint) in image.evidence() {
            let (Some(rollout), Some(service)) =
                (state.live(name.as_str()), state.plan.catalogue().service(name.as_str()))
            else {
                continue;
            };
            let mut watch = Watch::resume(rollout, service, Some(checkpoint.clone()), 0, now_ms);
            if let Some(look) = watch.look(rollout, service, now_ms) {
                verdicts.insert(name.clone(), look.verdict);
            }
            courses.insert(name.clone(), checkpoint.course.clone());
        }
        let ended = image.ended();
        let sources = Sources {
            state: &state,
            stored: true,
            collector: &Collector::default(),
            settled: &Settled::from_facts(image.facts().0),
            shares: &Shares::default(),
            verdicts: &verdicts,
            courses,
            ended: &ended,
            waiting: &planner::next::waiting(&state, now_ms),
            counted: false,
        };
        self.shown.status.send_replace(Arc::new(sources.status()));
        let same = already.newest.as_ref().is_some_and(|shown| {
            let there = image.entries_after(shown.sequence.saturating_sub(1)).next();
            there.is_some_and(|there| Arc::ptr_eq(there, shown))
        });
        match already.newest.as_ref().filter(|_| same) {
            Some(shown) => {
                let more = image.entries_after(shown.sequence).map(|entry| entry.as_ref().clone());
                self.shown.journal.extend(more);
            }
            None => {
                self.shown.journal.replace(image.entries_after(0).map(|entry| entry.as_ref().clone()));
            }
        }
        already.newest = image.newest_entry().cloned();
    }
}

fn silent(time: Duration) -> String {
    format!("it has said nothing for {:.1} s", time.as_secs_f64())
}
