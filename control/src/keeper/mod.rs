//! The one who decides: a thread that owns state, evidence and store, and takes one event at a time.
//!
//! A thread of its own, because a decision waits for the disk, and neither a request to the API nor one of a
//! user may wait with it. It waits for a second at most: then the write counts as failed. Inside, all sources (commands, windows, the second's tick) become one event, and a
//! synchronous [`Keeper::handle`] carries it through: decide, store, push, publish.
//!
//! That order has one exception. A decision that takes a canary out is pushed first and stored after: users
//! must not be hurt longer because a disk is slow or full. If it can't be stored it is kept and tried again
//! each second, and nothing else is decided before it is. An increase is never pushed that isn't stored, but
//! for what the file itself asks for at a start-up whose store can't be written.

mod carry;
mod ends;
mod fleet;
mod hooks;
mod observe;
mod orders;

use std::{collections::BTreeMap, sync::Arc};

use serin_config::{
    Generation, Plan, ServiceName, VersionName,
    limits::{EVIDENCE_CHECKPOINT, STATUS_EVERY, STORE_RETRY},
    terms::Terms,
    wire::{Beat, EventReport, Report, WindowReport},
};
use serin_judge::Verdict;
use tokio::sync::{mpsc, watch};
use tracing::error;

use crate::{
    access::Order,
    align::Aligner,
    audit::{Audit, AuditLog, Refused},
    clock::Clock,
    collect::Collector,
    command::Command,
    fleet::{Marks, Seat},
    freeze::Freezes,
    journal::Journal,
    metrics,
    notify::Told,
    observed::Shares,
    past::Past,
    planner::{self, Stored},
    pulse::Pulse,
    repeat::Repeats,
    rollout::Rollout,
    self_test::SelfTests,
    settled::Settled,
    state::State,
    status::{Sources, Status},
    store::{Archive, Commit, Engine, Facts, Loaded, OpenError, Scribe},
    tokens::Tokens,
    waiting::Waiting,
    watch::{Watch, course::Course},
};

/// What is called with each new plan, in the order of generations.
pub type Push = Box<dyn Fn(Arc<Plan>) + Send + Sync>;

/// Why the first plan could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the store's thread can't be started: {0}")]
    Thread(#[source] std::io::Error),
    #[error(transparent)]
    Plan(#[from] crate::refusal::Refusal),
}

/// State, evidence and store, and what is done with them.
pub(crate) struct Keeper {
    state: State,
    store: Scribe,
    stored: Generation,
    unsaved: Option<Commit>,
    failing: bool,
    /// How long the store is not to be written again where nobody waits for it.
    rest_ms: u64,
    /// The facts that are stored, or were before a write that failed.
    facts: Facts,
    watches: BTreeMap<ServiceName, Watch>,
    verdicts: BTreeMap<ServiceName, Verdict>,
    ended: BTreeMap<ServiceName, Vec<Arc<Rollout>>>,
    collector: Collector,
    aligner: Aligner,
    settled: Settled,
    shares: Shares,
    past: Past,
    self_tests: SelfTests,
    /// Why canaries that have superseded others were not started yet.
    not_begun: BTreeMap<ServiceName, String>,
    pulse: Pulse,
    /// When the windows ended that were judged since that was last told as a metric, in milliseconds since 1970.
    judged: Vec<u64>,
    /// The same, as it is shown.
    waiting: BTreeMap<ServiceName, Waiting>,
    journal: Journal,
    audit: AuditLog,
    push: Push,
    /// Where proxies with a process of their own are reached.
    seat: Option<Seat>,
    status: watch::Sender<Arc<Status>>,
    publish_due_ms: u64,
    checkpoint_due_ms: u64,
    retry_due_ms: u64,
}

/// Where events come from.
pub(crate) struct Inlets {
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) refused: mpsc::Receiver<Refused>,
    /// What a keeper before this one was told there and could not store.
    pub(crate) unstored: Vec<Refused>,
    pub(crate) events: mpsc::Receiver<EventReport>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) clock: Clock,
}

/// Where what is decided is shown: the snapshot, the journal and the audit log that everybody reads.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) journal: Journal,
    pub(crate) audit: Audit,
}

impl Shown {
    /// What is shown before anything is known: the splits of the file.
    pub(crate) fn of(catalogue: &Arc<serin_config::Catalogue>) -> Self {
        let state = planner::present(&Stored::default(), Generation::NONE, catalogue);
        let sources = Sources {
            state: &state,
            stored: true,
            collector: &Collector::default(),
            settled: &Settled::default(),
            shares: &Shares::default(),
            verdicts: &BTreeMap::new(),
            courses: BTreeMap::new(),
            ended: &BTreeMap::new(),
            waiting: &BTreeMap::new(),
            counted: false,
        };
        let status = watch::Sender::new(Arc::new(sources.status()));
        Self { status, journal: Journal::default(), audit: Audit::default() }
    }
}

pub(crate) enum Event {
    Order(Order),
    Refused(Refused),
    Window(WindowReport),
    Beat(Beat),
    Events(EventReport),
    Tick,
    Stop,
}

impl Keeper {
    /// Reads the store, merges the file into it, and stores the first plan.
    pub(crate) fn begin(
        store: Box<dyn Engine>,
        catalogue: &Arc<serin_config::Catalogue>,
        now_ms: u64,
    ) -> Result<Self, BeginError> {
        Self::begin_shown(store, catalogue, now_ms, Shown::of(catalogue))
    }

    /// The same, shown where others look already.
    pub(crate) fn begin_shown(
        mut store: Box<dyn Engine>,
        catalogue: &Arc<serin_config::Catalogue>,
        now_ms: u64,
        shown: Shown,
    ) -> Result<Self, BeginError> {
        let Loaded { mut stored, evidence, chunks, mut ended, entries, facts } = store.load()?;
        stored.tokens = Arc::new(Tokens::from_facts(&facts));
        stored.repeats = Arc::new(Repeats::from_facts(&facts));
        let mut decision = planner::start_up(&stored, catalogue, now_ms)?;
        let (freezes, unread) = Freezes::of_facts(&facts);
        for fact in unread {
            error!(fact, "a stored freeze can't be read, and holds nothing: freeze again where it is needed");
        }
        decision.state.freezes = Arc::new(freezes);
        decision.state.told = Arc::new(Told::of_facts(&facts));
        ends::end_at_start(&stored, &mut decision, &evidence, now_ms);
        ended.retain(|name, _| decision.state.services.contains_key(name));
        let mut watches = BTreeMap::new();
        for (service, _) in decision.state.plan.services() {
            let checkpoint = evidence.get(&service.name).cloned();
            if let Some(rollout) = decision.state.live(service.name.as_str()) {
                let chunk = chunks.get(&rollout.id).copied().unwrap_or_default();
                let watch = Watch::resume(rollout, service, checkpoint, chunk, now_ms);
                watches.insert(service.name.clone(), watch);
            }
        }
        let Shown { status, journal, audit } = shown;
        journal.replace(entries);
        let audit = AuditLog::from_facts(&facts, audit);
        let settled = Settled::from_facts(&facts);
        let (mut collector, mut aligner) = (Collector::default(), Aligner::default());
        collector.resume(settled.proxies());
        aligner.resume(settled.closed(), settled.proxies().map(|(name, _)| name), now_ms);
        let mut shares = Shares::default();
        shares.follow(None, &decision.state.plan);
        let verdicts = BTreeMap::new();
        let sources = Sources {
            state: &decision.state,
            stored: true,
            collector: &collector,
            settled: &settled,
            shares: &shares,
            verdicts: &verdicts,
            courses: courses(&watches),
            ended: &ended,
            waiting: &BTreeMap::new(),
            counted: true,
        };
        status.send_replace(Arc::new(sources.status()));
        let mut commit = carry::commit(&stored.services, &decision, stored.generation);
        for name in evidence.keys().chain(decision.state.services.keys()) {
            let kept = watches.get(name).map(|watch: &Watch| watch.checkpoint().clone());
            commit.evidence.insert(name.clone(), kept);
        }
        let mut keeper = Self {
            state: decision.state,
            store: Scribe::start(store).map_err(BeginError::Thread)?,
            stored: stored.generation,
            unsaved: None,
            failing: false,
            rest_ms: 0,
            facts,
            watches,
            verdicts,
            ended,
            collector,
            aligner,
            settled,
            shares,
            past: Past::default(),
            self_tests: SelfTests::default(),
            not_begun: BTreeMap::new(),
            pulse: Pulse::default(),
            judged: Vec::new(),
            waiting: BTreeMap::new(),
            journal,
            audit,
            push: Box::new(|_| {}),
            seat: None,
            status,
            publish_due_ms: now_ms,
            checkpoint_due_ms: now_ms,
            retry_due_ms: now_ms,
        };
        keeper.remember(&commit);
        keeper.unsaved = Some(commit);
        // This plan follows from the file and from what is stored; a start that can't store it makes the
        // same one again. So traffic need not wait for the disk. A failure is logged where it happens.
        let _ = keeper.settle();
        keeper.publish();
        Ok(keeper)
    }

    /// What holds for all rollouts, before the first event.
    pub(crate) fn set_terms(&mut self, terms: Arc<Terms>) {
        self.state.terms = terms;
        self.publish();
    }

    pub(crate) fn push_to(&mut self, push: Push) {
        self.push = push;
    }

    /// From now on proxies are reached there.
    pub(crate) fn sit(&mut self, seat: Seat) {
        seat.ask_for_beats(self.state.is_rolling());
        self.seat = Some(seat);
    }

    /// Which windows are stored, by proxy.
    pub(crate) fn marks(&self) -> Marks {
        self.settled.marks()
    }

    /// The number of a proxy's life that begins at that time.
    pub(crate) fn next_life(&self, proxy: &str, now_ms: u64) -> u64 {
        self.settled.next_life(proxy, now_ms)
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.state.plan
    }

    pub(crate) fn archive(&self) -> Archive {
        self.store.archive()
    }

    /// Where what it decides is shown.
    pub(crate) fn shown(&self) -> Shown {
        Shown { status: self.status.clone(), journal: self.journal.clone(), audit: self.audit.reader() }
    }

    #[cfg(test)]
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.subscribe()
    }

    /// Takes events until told to stop; then keeps the evidence, ends, and gives the ways in back.
    pub(crate) async fn run(mut self, mut inlets: Inlets) -> Inlets {
        let mut tick = tokio::time::interval(STORE_RETRY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let event = tokio::select! {
                Some(order) = inlets.orders.recv() => Event::Order(order),
                Some(refused) = inlets.refused.recv() => Event::Refused(refused),
                Some(report) = inlets.reports.recv() => match report {
                    Report::Window(window) => Event::Window(window),
                    Report::Beat(beat) => Event::Beat(beat),
                },
                Some(report) = inlets.events.recv() => Event::Events(report),
                _ = tick.tick() => Event::Tick,
                _ = inlets.stop.wait_for(|stop| *stop) => Event::Stop,
            };
            let stop = matches!(event, Event::Stop);
            self.handle(event, inlets.clock.now_ms());
            if !self.judged.is_empty() {
                metrics::judged(&self.judged, inlets.clock.now_ms());
                self.judged.clear();
            }
            if stop {
                break;
            }
        }
        inlets.unstored = self.audit.unstored();
        self.store.close();
        inlets
    }

    pub(crate) fn handle(&mut self, event: Event, now_ms: u64) {
        if self.pulse.is_over(now_ms) && self.feel_pulse(now_ms) {
            self.publish();
        }
        match event {
            Event::Order(Order { mut request, reply }) => {
                if let Command::Undo { unready, .. } | Command::UndoGroup { unready, .. } =
                    &mut request.command
                {
                    *unready = self.unready(now_ms);
                }
                let answer = self.take_order(&request, now_ms);
                // What was called off, or begun by hand, waits no more.
                if !self.waiting.is_empty() {
                    self.waiting = planner::next::waiting(&self.state, now_ms);
                }
                // The last that is taken of a changed file.
                if matches!(request.command, Command::Terms(_)) {
                    self.begin_next(true, now_ms);
                }
                self.publish();
                // Whoever asked may have gone; what was decided holds all the same.
                let _ = reply.send(answer);
            }
            Event::Refused(refused) => self.note_refused(refused, now_ms),
            Event::Window(report) => {
                // A fleet tells thousands in a second: there is something new to see when the second is complete. Of
                // many that are complete at once, whoever looks sees a tenth of a second at most.
                let before = self.state.plan.generation();
                let complete = self.take_window(report, now_ms);
                if self.state.plan.generation() != before || complete && now_ms >= self.publish_due_ms {
                    self.publish_due_ms = now_ms.saturating_add(STATUS_EVERY_MS);
                    self.publish();
                }
            }
            Event::Beat(beat) => {
                if self.take_beat(&beat, now_ms) {
                    self.publish();
                }
            }
            Event::Events(report) => self.take_events(&report),
            Event::Tick => {
                metrics::refresh(&self.state);
                self.show_evidence();
                self.look_after_fleet(now_ms);
                self.retry(now_ms);
                let seconds = self.aligner.tick(now_ms);
                self.judge(&seconds, now_ms);
                self.look_at_all(now_ms);
                self.look_at_hooks(now_ms);
                self.begin_next(false, now_ms);
                if now_ms >= self.checkpoint_due_ms {
                    self.keep_evidence(now_ms);
                }
                self.keep_audit(now_ms, false);
                self.publish();
            }
            Event::Stop => {
                self.retry_due_ms = now_ms;
                self.retry(now_ms);
                self.keep_evidence(now_ms);
                self.keep_audit(now_ms, true);
                if self.unsaved.is_some() {
                    error!(
                        stored = self.stored.0,
                        in_force = self.state.plan.generation().0,
                        "stopped while decisions could not be stored: the next start goes on from plan {}",
                        self.stored
                    );
                }
            }
        }
    }

    /// Versions of any service that no proxy can send a request to.
    fn unready(&self, now_ms: u64) -> Vec<(ServiceName, VersionName)> {
        let of = |service: &ServiceName| {
            let unready = self.collector.unready(service, now_ms).into_iter();
            let service = service.clone();
            unready.map(move |version| (service.clone(), version)).collect::<Vec<_>>()
        };
        self.state.services.keys().flat_map(of).collect()
    }

    fn keep_evidence(&mut self, now_ms: u64) {
        let every = u64::try_from(EVIDENCE_CHECKPOINT.as_millis()).unwrap_or(u64::MAX);
        self.checkpoint_due_ms = now_ms.saturating_add(every);
        // Without a rollout there is no evidence; but proxies with a process of their own wait to hear what is kept.
        let awaited = self.seat.as_ref().is_some_and(|seat| seat.counts().connected > 0);
        if self.watches.is_empty() && !awaited || self.failing {
            return;
        }
        let evidence = Commit::of_evidence(self.stored, self.state.next_rollout, self.evidence());
        let mut commit = Commit { history: self.unstored(), ..evidence };
        self.settle_windows(&mut commit);
        // A failure is logged and counted where it happens, and taken back by the next retry.
        let _ = self.write(&commit);
        self.checkpoint_due_ms = now_ms.saturating_add(every.max(self.rest_ms));
    }

    fn publish(&self) {
        let sources = Sources {
            state: &self.state,
            stored: self.unsaved.is_none(),
            collector: &self.collector,
            settled: &self.settled,
            shares: &self.shares,
            verdicts: &self.verdicts,
            courses: courses(&self.watches),
            ended: &self.ended,
            waiting: &self.waiting,
            counted: true,
        };
        self.status.send_replace(Arc::new(sources.status()));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a tenth of a second")]
const STATUS_EVERY_MS: u64 = STATUS_EVERY.as_millis() as u64;

fn courses(watches: &BTreeMap<ServiceName, Watch>) -> BTreeMap<ServiceName, Course> {
    let courses = watches.iter().map(|(name, watch)| (name.clone(), watch.checkpoint().course.clone()));
    courses.collect()
}

#[cfg(test)]
mod tests;
