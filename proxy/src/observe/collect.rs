//! From the workers' counts to one window a second, and to beats between them.
//!
//! A window is complete when every worker has handed over its tick. A worker that is late holds it up for
//! [`GRACE`] at most; what comes after goes into the next window, so nothing is lost and nothing twice.
//!
//! Both go up through one bounded channel. Windows are what counts, so beats give way to them: they are told only
//! while at least half of the channel is free.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serin_config::{
    Generation, Plan, ServiceName, Weight,
    limits::BEAT_PERIOD,
    wire::{Beat, LatencyCounts, Report, Trip, Unready, WindowCell, WindowReport},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior},
};

use super::{
    Beats, Compared, Handover,
    metrics::Counters,
    totals::{Key, Totals},
};
use crate::{
    clock,
    plan::PlanCell,
    shared::{Shared, VersionKey, VersionShared},
};

/// How long a late worker may hold up a window.
const GRACE: Duration = Duration::from_millis(200);

/// Numbers the windows of one life of the proxy.
#[derive(Debug)]
pub(crate) struct Windows {
    proxy: String,
    epoch: u64,
    sequence: u64,
    /// When the present window began, and under which plan.
    began: (std::time::Instant, Generation),
}

impl Windows {
    /// The first window begins now, under the plan `first`.
    pub(crate) fn new(proxy: String, epoch: u64, first: Generation) -> Self {
        Self { proxy, epoch, sequence: 0, began: (clock::now(), first) }
    }
}

/// Gathers handovers into totals and windows.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) workers: usize,
    pub(crate) totals: Arc<Mutex<Totals>>,
    pub(crate) plans: Arc<PlanCell>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) windows: Windows,
    pub(crate) up: mpsc::Sender<Report>,
    pub(crate) beats: Beats,
    pub(crate) compared: Compared,
    /// The last window that was told.
    pub(crate) told: watch::Sender<u64>,
}

/// The window that is being gathered.
#[derive(Debug, Default)]
struct Pending {
    tick: Option<u64>,
    heard: HashSet<usize>,
    cells: BTreeMap<Key, WindowCell>,
    copies: BTreeMap<Key, WindowCell>,
    due: Option<Instant>,
}

impl Collector {
    /// Runs until the last worker has gone.
    pub(crate) async fn run(mut self, mut handovers: mpsc::Receiver<Handover>) {
        let mut pending = Pending::default();
        let mut beat = tokio::time::interval(BEAT_PERIOD);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = pending.due;
            let grace = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                handover = handovers.recv() => match handover {
                    Some(handover) => self.take(handover, &mut pending),
                    None => break,
                },
                () = grace => self.report(&mut pending),
                _ = beat.tick() => self.beat(),
            }
        }
        self.report(&mut pending);
    }

    fn take(&mut self, handover: Handover, pending: &mut Pending) {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).add(&handover, clock::unix_ms());
        // A worker's second word, or a newer tick: the window before is as complete as it gets.
        if pending.tick.is_some_and(|tick| handover.tick > tick) {
            self.report(pending);
        }
        pending.tick.get_or_insert(handover.tick);
        pending.due.get_or_insert_with(|| Instant::now() + GRACE);
        pending.heard.insert(handover.worker);
        let plan = self.plans.load();
        for cell in handover.cells {
            // What was set aside is for metrics only.
            let (outcomes, headers) = cell.drained.for_window();
            if outcomes.total() == 0 && cell.drained.extra.is_none() {
                continue;
            }
            let besides = self.compared.look(&plan, &self.shared, &cell);
            let window = in_window(&mut pending.cells, cell);
            window.outcomes.merge(&outcomes);
            window.headers.merge(&headers);
            besides.add_to(window);
        }
        for cell in handover.pairs {
            let (outcomes, headers) = cell.drained.for_window();
            let window = in_window(&mut pending.copies, cell);
            window.outcomes.merge(&outcomes);
            window.headers.merge(&headers);
        }
        if pending.heard.len() == self.workers {
            self.report(pending);
        }
    }

    /// Tells what was counted in the last quarter of a second, if anybody may want to know it at once.
    fn beat(&mut self) {
        let plan = self.plans.load();
        let counts = self.beats.take(&plan, &self.shared);
        if counts.is_empty() || self.up.capacity() < self.up.max_capacity() / 2 {
            return;
        }
        let (proxy, ended_ms) = (self.windows.proxy.clone(), clock::unix_ms());
        let beat = Beat { proxy, ended_ms, generation: plan.generation(), counts };
        // One that is lost is no matter: it is so for both versions.
        let _ = self.up.try_send(Report::Beat(beat));
    }

    /// Canaries that are out and that the plan still gives weight, or copies.
    fn trips(&self) -> Vec<Trip> {
        let plan = self.plans.load();
        let told = |((service, version), state): (VersionKey, Arc<VersionShared>)| {
            let tripped = state.trip.tripped()?;
            let weight = plan.split(service.as_str())?.of(&version);
            let canary = plan.catalogue().service(service.as_str())?.canary.as_ref();
            let copied = canary == Some(&version) && plan.mirror(service.as_str()) > Weight::ZERO;
            let (cause, reason) = (tripped.reason.cause(), tripped.reason.to_string());
            (weight > Weight::ZERO || copied).then_some(Trip {
                service,
                version,
                cause,
                reason,
                generation: tripped.generation,
                at_ms: tripped.at_ms,
            })
        };
        self.shared.versions().into_iter().filter_map(told).collect()
    }

    /// Canaries that were held back at any time since `then`.
    fn probing(&self, plan: &Plan, then: std::time::Instant) -> Vec<ServiceName> {
        let services = plan.catalogue().services().iter();
        let probed = services.filter(|service| {
            let canary = service.canary.as_ref();
            let state = canary.and_then(|canary| self.shared.known(&service.name, canary));
            state.is_some_and(|state| state.probation.is_on(then))
        });
        probed.map(|service| service.name.clone()).collect()
    }

    /// Versions that no request can be sent to right now.
    fn unready(&self, plan: &Plan) -> Vec<Unready> {
        let mut unready = Vec::new();
        for service in plan.catalogue().services() {
            for version in &service.versions {
                let known = self.shared.known(&service.name, &version.name);
                if known.is_some_and(|known| !known.endpoints.is_ready()) {
                    unready.push(Unready { service: service.name.clone(), version: version.name.clone() });
                }
            }
        }
        unready
    }

    fn report(&mut self, pending: &mut Pending) {
        let Pending { tick: Some(_), cells, copies, .. } = std::mem::take(pending) else { return };
        self.windows.sequence += 1;
        let plan = self.plans.load();
        self.compared.set_terms(&plan, &self.shared);
        let now = (clock::now(), plan.generation());
        let (began, began_under) = std::mem::replace(&mut self.windows.began, now);
        let report = WindowReport {
            proxy: self.windows.proxy.clone(),
            epoch: self.windows.epoch,
            sequence: self.windows.sequence,
            ended_ms: clock::unix_ms(),
            age_ms: 0,
            generation: plan.generation(),
            began_under,
            probing: self.probing(&plan, began),
            cells: cells.into_values().collect(),
            trips: self.trips(),
            unready: self.unready(&plan),
            copies: copies.into_values().collect(),
        };
        if self.up.try_send(Report::Window(report)).is_err() {
            self.counters.windows_dropped.increment(1);
        }
        self.told.send_replace(self.windows.sequence);
    }
}

/// The window's cell for what a worker's is of.
fn in_window(cells: &mut BTreeMap<Key, WindowCell>, cell: super::Cell) -> &mut WindowCell {
    let key = (cell.service.clone(), cell.version.clone(), cell.route.clone());
    cells.entry(key).or_insert_with(|| WindowCell {
        service: cell.service,
        version: cell.version,
        route: cell.route,
        outcomes: Default::default(),
        headers: LatencyCounts::default(),
        clients: None,
        control: None,
        events: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use serin_config::{
        Catalogue, Generation, Outcome, Plan, RouteName, ServiceName, VersionName, limits::Limits,
    };
    use serin_split::{
        Aside, Tally,
        tally::{Drained, Timing},
    };

    use super::*;
    use crate::observe::Cell;

    fn cell(drained: Drained) -> Cell {
        Cell {
            service: ServiceName::try_new("s").unwrap(),
            version: VersionName::try_new("v").unwrap(),
            route: RouteName::try_new("r").unwrap(),
            drained,
        }
    }

    fn handover(worker: usize, tick: u64, requests: usize) -> Handover {
        let mut tally = Tally::default();
        for _ in 0..requests {
            tally.record(Outcome::Ok, Timing { headers: Some(1_000), total: 2_000, own: None });
        }
        Handover {
            worker,
            tick,
            cells: tally.drain().map(cell).into_iter().collect(),
            copies: vec![],
            pairs: vec![],
            in_flight: vec![],
            upstream_idle: 0,
        }
    }

    fn collector(workers: usize) -> (Collector, mpsc::Receiver<Report>) {
        let (up, windows) = mpsc::channel(8);
        let catalogue = Arc::new(Catalogue::try_new(vec![], vec![]).unwrap());
        let collector = Collector {
            workers,
            totals: Arc::default(),
            plans: PlanCell::new(Arc::new(Plan::new(catalogue, Generation(7), Generation(6)))),
            shared: Arc::new(Shared::new(workers, &Limits::default(), Arc::default(), Generation(7))),
            counters: Arc::new(Counters::register()),
            windows: Windows::new("p".into(), 1, Generation(6)),
            up,
            beats: Beats::default(),
            compared: Compared::default(),
            told: watch::Sender::new(0),
        };
        (collector, windows)
    }

    /// The next window, beats left out.
    async fn window(reports: &mut mpsc::Receiver<Report>) -> Option<WindowReport> {
        loop {
            match reports.recv().await? {
                Report::Window(window) => return Some(window),
                Report::Beat(_) => {}
            }
        }
    }

    fn requests(window: &WindowReport) -> u64 {
        window.cells.iter().map(|cell| cell.outcomes.total()).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_adds_up_all_workers_and_is_numbered() {
        let (collector, mut windows) = collector(2);
        let (send, handovers) = mpsc::channel(8);
        for (worker, tick, count) in [(0, 1, 3), (1, 1, 4), (1, 2, 5), (0, 2, 6)] {
            send.send(handover(worker, tick, count)).await.unwrap();
        }
        drop(send);
        collector.run(handovers).await;
        let (first, second) = (window(&mut windows).await.unwrap(), window(&mut windows).await.unwrap());
        assert_eq!((first.sequence, requests(&first), first.generation), (1, 7, Generation(7)));
        assert_eq!((second.sequence, requests(&second)), (2, 11));
        assert_eq!((first.began_under, second.began_under), (Generation(6), Generation(7)));
        assert!(window(&mut windows).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_set_aside_is_in_the_metrics_and_in_no_window() {
        let (collector, mut windows) = collector(1);
        let (send, handovers) = mpsc::channel(8);
        let totals = collector.totals.clone();
        let mut handover = handover(0, 1, 0);
        let mut tally = Tally::default();
        let timing = Timing { headers: Some(1_000), total: 2_000, own: None };
        tally.record_aside(Aside::Pinned, Outcome::Http5xx, timing);
        handover.cells.push(cell(tally.drain().unwrap()));
        send.send(handover).await.unwrap();
        drop(send);
        collector.run(handovers).await;
        assert_eq!(window(&mut windows).await.unwrap().cells, []);
        let totals = totals.lock().unwrap();
        let total = totals.series.values().next().unwrap();
        assert_eq!((total.outcomes.of(Outcome::Http5xx), total.aside), (1, [1, 0, 0, 0, 0]));
        assert_eq!(total.failure.sum_us, 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_worker_delays_a_window_but_its_counts_are_not_lost() {
        let (collector, mut windows) = collector(2);
        let (send, handovers) = mpsc::channel(8);
        let running = tokio::spawn(collector.run(handovers));
        send.send(handover(0, 1, 3)).await.unwrap();
        let first = window(&mut windows).await.unwrap();
        assert_eq!(requests(&first), 3);
        send.send(handover(1, 1, 4)).await.unwrap();
        send.send(handover(0, 2, 5)).await.unwrap();
        send.send(handover(1, 2, 6)).await.unwrap();
        drop(send);
        let mut rest = 0;
        while let Some(window) = window(&mut windows).await {
            rest += requests(&window);
        }
        assert_eq!(rest, 15);
        running.await.unwrap();
    }
}
