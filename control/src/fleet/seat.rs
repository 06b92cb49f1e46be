//! Where the one who decides and the streams of proxies meet.
//!
//! What goes out is held in values of which only the newest counts: the plan, and the marks up to which windows are
//! kept. A stream that is slow misses what was in between, which nobody needs any more. So to publish never waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use prost::bytes::Bytes;
use serin_config::{
    Generation, Plan, ServiceName,
    catalogue::Source,
    fleet::{self, message::Downward},
    limits::FLEET_LEADERLESS_WAIT,
    wire::{Report, WindowReport},
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    budget::Budget,
    codec::encoded,
    duplicates::Duplicate,
    registry::{FleetCounts, Overdue, PlanName, ProxyStatus, Registry},
    spares::Spares,
    wish::Wish,
};
use crate::{clock::Clock, keeper::Keeper};

/// For each proxy, which of its windows are kept: life and number.
pub(crate) type Marks = HashMap<String, (u64, u64)>;

/// A plan as it goes out.
#[derive(Debug)]
pub(super) struct Published {
    plan: Arc<Plan>,
    bare: OnceLock<Option<Bytes>>,
    whole: OnceLock<Option<Bytes>>,
}

impl Published {
    fn new(plan: Arc<Plan>) -> Arc<Self> {
        Arc::new(Self { plan, bare: OnceLock::new(), whole: OnceLock::new() })
    }

    pub(super) fn generation(&self) -> Generation {
        self.plan.generation()
    }

    pub(super) fn name(&self) -> PlanName {
        PlanName::of(&self.plan)
    }

    /// The digest of its routes and services; none if it was not made from a text, and so can't be told.
    pub(super) fn digest(&self) -> Option<&str> {
        self.plan.catalogue().source().map(Source::digest)
    }

    /// The message; with the text of routes and services, or for those who have it.
    pub(super) fn message(&self, with_text: bool) -> Option<Bytes> {
        let made = if with_text { &self.whole } else { &self.bare };
        made.get_or_init(|| Some(encoded(Downward::Plan(fleet::plan::to_message(&self.plan, with_text)?))))
            .clone()
    }
}

/// The place of the one who leads. Clones are the same place.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    registry: Arc<Mutex<Registry>>,
    plans: Arc<watch::Sender<Arc<Published>>>,
    marks: Arc<watch::Sender<Arc<Marks>>>,
    reports: mpsc::Sender<Report>,
    wish: Arc<watch::Sender<Wish>>,
    beats: Arc<Budget>,
    spares: Arc<Spares>,
}

impl Seat {
    /// A place from which `plan` goes out first; what proxies tell goes into `reports`. `now_ms` is in milliseconds
    /// since 1970.
    pub(crate) fn new(plan: Arc<Plan>, marks: Marks, reports: mpsc::Sender<Report>, now_ms: u64) -> Self {
        let mut registry = Registry::default();
        registry.published(PlanName::of(&plan), &[], now_ms);
        Self {
            registry: Arc::new(Mutex::new(registry)),
            plans: Arc::new(watch::Sender::new(Published::new(plan))),
            marks: Arc::new(watch::Sender::new(Arc::new(marks))),
            reports,
            wish: Arc::new(watch::Sender::new(Wish::default())),
            beats: Arc::default(),
            spares: Arc::default(),
        }
    }

    /// Tells everybody of a new plan. `out`: the services whose canaries it takes out, or lowers, so that whoever does not follow
    /// is named.
    pub(crate) fn publish(&self, plan: Arc<Plan>, out: &[ServiceName], now_ms: u64) {
        self.registry().published(PlanName::of(&plan), out, now_ms);
        self.plans.send_replace(Published::new(plan));
    }

    /// A rollout is in progress from now on, or none is. Before the plan that begins one is published: proxies are asked for
    /// beats first.
    pub(crate) fn ask_for_beats(&self, rolling: bool) {
        self.wish.send_if_modified(|wish| wish.follow(rolling));
    }

    /// A second has passed.
    pub(crate) fn ask_others(&self) {
        let proxies = self.counts().connected;
        self.wish.send_if_modified(|wish| wish.turn(proxies));
    }

    /// Tells everybody which windows are kept.
    pub(crate) fn mark(&self, marks: Marks) {
        self.marks.send_replace(Arc::new(marks));
    }

    /// A new window was taken.
    pub(crate) fn heard(&self, report: &WindowReport, now_ms: u64) {
        self.registry().heard(report, now_ms);
    }

    /// Those who have not followed the newest rollback in time; told once. Who has been away for long is forgotten.
    pub(crate) fn overdue(&self, now_ms: u64) -> Option<Overdue> {
        let mut registry = self.registry();
        registry.forget(now_ms);
        registry.overdue(now_ms)
    }

    /// The proxy that takes no plan from here before numbers go on beyond its own, and that number.
    pub(crate) fn ahead(&self) -> Option<(String, Generation)> {
        self.registry().ahead().map(|(proxy, theirs)| (proxy.to_owned(), theirs))
    }

    /// Whether nobody is behind, so that the newest rollback has been followed.
    pub(crate) fn rollback_followed(&self) -> bool {
        let counts = self.counts();
        counts.behind == 0 && counts.away == 0 && counts.duplicates == 0
    }

    /// Proxies that are refused for their name, and that people have not heard of yet; told once.
    pub(crate) fn untold_duplicates(&self) -> Vec<Duplicate> {
        self.registry().untold_duplicates()
    }

    /// Proxies that are refused for their name.
    pub(crate) fn duplicates(&self) -> Vec<Duplicate> {
        self.registry().duplicates()
    }

    /// Everybody, by name.
    pub(crate) fn proxies(&self, now_ms: u64) -> Vec<ProxyStatus> {
        self.registry().proxies(now_ms)
    }

    pub(crate) fn counts(&self) -> FleetCounts {
        self.registry().counts()
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn plans(&self) -> watch::Receiver<Arc<Published>> {
        self.plans.subscribe()
    }

    pub(super) fn marks(&self) -> watch::Receiver<Arc<Marks>> {
        self.marks.subscribe()
    }

    pub(super) fn wishes(&self) -> watch::Receiver<Wish> {
        self.wish.subscribe()
    }

    /// Whether a beat is of use now, and there is room for one more.
    pub(super) fn takes_beat(&self, now_ms: u64) -> bool {
        // Windows are what counts.
        self.wish.borrow().rolling()
            && self.reports.capacity() >= self.reports.max_capacity() / 2
            && self.beats.take(now_ms)
    }

    /// Cells to be filled anew.
    pub(crate) fn spares(&self) -> &Spares {
        &self.spares
    }

    pub(super) fn reports(&self) -> &mpsc::Sender<Report> {
        &self.reports
    }
}

/// Whether streams are taken here.
#[derive(Debug, Clone)]
pub(crate) enum Gate {
    /// They are.
    Open(Seat),
    /// Another one leads, who takes them at this address, if it is known.
    Elsewhere(Option<String>),
}

impl Gate {
    /// Whether streams are taken here, or by whom. While nobody is known to lead, a proxy that asks is better told a
    /// moment later than sent away: it would ask again and again, ever more seldom, and hear of the leader when its
    /// turn comes.
    pub(super) async fn known(gate: &mut watch::Receiver<Self>) -> Self {
        let known = |gate: &Self| !matches!(gate, Self::Elsewhere(None));
        // Whatever it is by then is the answer.
        let _ = timeout(FLEET_LEADERLESS_WAIT, gate.wait_for(known)).await;
        gate.borrow_and_update().clone()
    }
}

/// Opens and closes the gate: a seat for whoever decides here, while it decides.
#[derive(Debug)]
pub(crate) struct Gates {
    gate: watch::Sender<Gate>,
    reports: mpsc::Sender<Report>,
    clock: Clock,
}

impl Gates {
    /// A gate that is closed; what proxies tell goes into `reports`.
    pub(crate) fn new(reports: mpsc::Sender<Report>, clock: Clock) -> (Self, watch::Receiver<Gate>) {
        let (gate, shown) = watch::channel(Gate::Elsewhere(None));
        (Self { gate, reports, clock }, shown)
    }

    /// A seat for a keeper that is about to decide.
    pub(crate) fn seat(&self, keeper: &mut Keeper) -> Seat {
        let (plan, marks) = (keeper.plan().clone(), keeper.marks());
        let seat = Seat::new(plan, marks, self.reports.clone(), self.clock.now_ms());
        keeper.sit(seat.clone());
        seat
    }

    /// It decides: streams are taken from now on.
    pub(crate) fn open(&self, seat: Seat) {
        self.gate.send_replace(Gate::Open(seat));
    }

    /// Nobody decides here: streams end, and are told where to go.
    pub(crate) fn close(&self, leader: Option<String>) {
        self.gate.send_if_modified(|gate| {
            let same = matches!(gate, Gate::Elsewhere(before) if *before == leader);
            if !same {
                *gate = Gate::Elsewhere(leader);
            }
            !same
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_while_nobody_leads_is_told_as_soon_as_somebody_does_and_else_after_a_moment() {
        let (reports, _inlet) = mpsc::channel(1);
        let (gates, mut gate) = Gates::new(reports, Clock::not_before(0));
        let begun = Instant::now();
        let Gate::Elsewhere(None) = Gate::known(&mut gate).await else { panic!("nobody leads") };
        assert_eq!(begun.elapsed(), FLEET_LEADERLESS_WAIT);

        let begun = Instant::now();
        let elected = async {
            tokio::time::sleep(FLEET_LEADERLESS_WAIT / 3).await;
            gates.close(Some("b:1".into()));
        };
        let (told, ()) = tokio::join!(Gate::known(&mut gate), elected);
        assert!(matches!(told, Gate::Elsewhere(Some(leader)) if leader == "b:1"));
        assert_eq!(begun.elapsed(), FLEET_LEADERLESS_WAIT / 3);

        let begun = Instant::now();
        Gate::known(&mut gate).await;
        assert!(begun.elapsed().is_zero(), "who leads is known");
    }
}
