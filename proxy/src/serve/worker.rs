//! One worker: a thread, a runtime, and the state that nobody else touches.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::IpAddr,
    rc::Rc,
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, Instant},
};

use http::HeaderValue;
use ipnet::IpNet;
use rand::{Rng, RngCore, rngs::SmallRng};
use serin_config::{
    Generation, Plan, Route, RouteName, Service, ServiceName, Version, VersionName, Weight, limits::Limits,
    rate_limit::RateLimit, settings::Telemetry,
};
use serin_split::Tally;
use tokio::sync::{Notify, mpsc};

use super::{
    backend::{Backend, Load},
    choice::{Choice, Reach},
    lane::Compiled,
    mirror::{Copies, Paired, PairedKey},
    rules::Rules,
    spread::Spread,
    upstream::{Bounds, Pools},
};
use crate::{
    app::Ending,
    clock,
    observe::{
        Cell as WindowCell, Counters, Handover,
        tellers::{Outlets, Tellers},
    },
    plan::PlanReader,
    rate_limits::Limit,
    shared::{Shared, VersionShared},
    tls::Identity,
};

/// What identifies a tally, whatever plan is in force.
type LaneKey = (ServiceName, VersionName, RouteName);

/// State that outlives plans.
#[derive(Debug)]
pub(crate) struct State {
    tallies: HashMap<LaneKey, Rc<RefCell<Tally>>>,
    /// What copies of requests came to.
    mirrors: HashMap<(ServiceName, VersionName), Rc<Copies>>,
    /// The same beside the requests that were copied, where a canary is judged by them.
    pairs: HashMap<PairedKey, Rc<RefCell<Paired>>>,
    workers: usize,
    loads: HashMap<(ServiceName, VersionName), Rc<Load>>,
    choices: HashMap<(ServiceName, VersionName), Rc<Choice>>,
    pools: Rc<Pools>,
    shared: Arc<Shared>,
    /// The share of new traces that are sampled, of all versions and of canaries.
    trace_sampling: (Weight, Option<Weight>),
    limits: Limits,
    worker: usize,
}

impl State {
    /// The tally of a route to a version, with whatever it has counted already.
    pub(crate) fn tally(
        &mut self,
        route: &Route,
        service: &Service,
        version: &Version,
    ) -> Rc<RefCell<Tally>> {
        let key = (service.name.clone(), version.name.clone(), route.name.clone());
        self.tallies.entry(key).or_default().clone()
    }

    /// The copies that a version gets, with whatever is under way or counted already.
    pub(crate) fn copies(&mut self, service: &ServiceName, to: &VersionName) -> Rc<Copies> {
        self.mirrors.entry((service.clone(), to.clone())).or_default().clone()
    }

    /// The pairs of a canary's copies and their requests on a route, with whatever is counted already.
    pub(crate) fn pairs(&mut self, key: PairedKey) -> Rc<RefCell<Paired>> {
        self.pairs.entry(key).or_default().clone()
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// The plan that the process began with.
    pub(crate) fn first(&self) -> Generation {
        self.shared.first
    }

    /// The limit of a route, with whatever its buckets hold already.
    pub(crate) fn limit(&self, route: &RouteName, limit: &RateLimit) -> Limit {
        self.shared.rates.limit(route, limit)
    }

    /// The share of new traces that are sampled: the version's own, the canaries', or everybody's.
    pub(crate) fn trace_sampling(&self, service: &Service, version: &Version) -> Weight {
        let (everybody, canary) = self.trace_sampling;
        let canary = canary.filter(|_| service.canary.as_ref() == Some(&version.name));
        version.trace_sampling.or(canary).unwrap_or(everybody)
    }

    /// A version as this worker reaches it, with whatever state there already is.
    pub(crate) fn backend(&mut self, service: &Service, version: &Version) -> Backend {
        let key = (service.name.clone(), version.name.clone());
        let shared = self.shared.version(&service.name, &version.name);
        shared.bound_connections(service.resilience.breaker.max_connections);
        let choice = || Rc::new(Choice::new(shared.clone(), self.pools.clone()));
        let choice = self.choices.entry(key.clone()).or_insert_with(choice).clone();
        choice.set_reach(Reach { protocol: version.protocol, tls: version.tls.clone() });
        Backend {
            name: HeaderValue::from_str(version.name.as_str()).unwrap_or(HeaderValue::from_static("")),
            load: self.loads.entry(key).or_default().clone(),
            choice,
            shared,
            rules: Rules::new(service, version, &self.limits, self.worker, &self.shared),
        }
    }

    /// Counts requests that have waited for their answer for too long.
    fn book_hangs(&self, now: Instant) {
        for (key, load) in &self.loads {
            let hang = self.choices.get(key).and_then(|choice| choice.terms().hang_after());
            if let Some(began_by) = hang.and_then(|hang| now.checked_sub(hang)) {
                load.waiting.book(began_by);
            }
        }
    }

    /// What all workers know of a version.
    pub(crate) fn shared(&self, service: &ServiceName, version: &VersionName) -> Arc<VersionShared> {
        self.shared.version(service, version)
    }
}

/// What a worker is made of before its thread starts.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) number: usize,
    pub(crate) workers: usize,
    pub(crate) limits: Limits,
    pub(crate) telemetry: Telemetry,
    pub(crate) outlets: Outlets,
    pub(crate) plans: PlanReader,
    pub(crate) shared: Arc<Shared>,
    pub(crate) handover: mpsc::Sender<Handover>,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) spread: Spread,
    pub(crate) counters: Arc<Counters>,
}

/// One worker's state; everything on its thread shares it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) limits: Limits,
    pub(crate) telemetry: Telemetry,
    /// Who wants to know of requests.
    pub(crate) tellers: Tellers,
    /// What all workers know.
    pub(crate) shared: Arc<Shared>,
    /// Client connections of all workers.
    pub(crate) connections: Arc<AtomicUsize>,
    /// How they are spread over the workers.
    pub(crate) spread: Spread,
    pub(crate) counters: Arc<Counters>,
    /// Set once; `drain_begun` wakes the connections that wait.
    pub(crate) draining: Cell<bool>,
    /// Another process accepts from the same sockets: who waits there is not lost.
    pub(crate) handed_over: Cell<bool>,
    pub(crate) drain_begun: Notify,
    /// Client connections of this worker, for the drain to wait on.
    pub(crate) open: Cell<usize>,
    pub(crate) closed: Notify,
    /// When a client was last complained about in the log.
    complained: Cell<Option<Instant>>,
    plans: RefCell<PlanReader>,
    compiled: RefCell<Rc<Compiled>>,
    state: RefCell<State>,
    random: RefCell<SmallRng>,
    handover: mpsc::Sender<Handover>,
}

impl Worker {
    /// Builds the worker on its own thread.
    pub(crate) fn new(parts: Parts) -> Rc<Self> {
        let mut plans = parts.plans;
        let mut state = State {
            tallies: HashMap::new(),
            mirrors: HashMap::new(),
            pairs: HashMap::new(),
            workers: parts.workers,
            loads: HashMap::new(),
            choices: HashMap::new(),
            pools: Rc::new(Pools::new(
                Bounds {
                    idle: parts.limits.idle_connections_per_endpoint,
                    keep_alive: parts.limits.endpoint_keep_alive,
                },
                parts.shared.tls.clone(),
            )),
            shared: parts.shared.clone(),
            trace_sampling: (parts.telemetry.trace_sampling, parts.telemetry.canary_trace_sampling),
            limits: parts.limits.clone(),
            worker: parts.number,
        };
        let compiled = Rc::new(Compiled::new(plans.load(), &mut state, None));
        Rc::new(Self {
            number: parts.number,
            shared: parts.shared,
            limits: parts.limits,
            tellers: Tellers::new(parts.outlets, &parts.telemetry, parts.workers),
            telemetry: parts.telemetry,
            connections: parts.connections,
            spread: parts.spread,
            counters: parts.counters,
            draining: Cell::new(false),
            handed_over: Cell::new(false),
            drain_begun: Notify::new(),
            open: Cell::new(0),
            closed: Notify::new(),
            complained: Cell::new(None),
            plans: RefCell::new(plans),
            compiled: RefCell::new(compiled),
            state: RefCell::new(state),
            random: RefCell::new(clock::entropy()),
            handover: parts.handover,
        })
    }

    /// The plan for one request: read once, kept to its end.
    pub(crate) fn plan(&self) -> Rc<Compiled> {
        let mut plans = self.plans.borrow_mut();
        let in_force = plans.load();
        let mut compiled = self.compiled.borrow_mut();
        if !Arc::ptr_eq(&compiled.plan, in_force) {
            *compiled = self.compile(in_force, &compiled);
        }
        compiled.clone()
    }

    /// Off the straight line: once for each plan.
    #[cold]
    fn compile(&self, plan: &Arc<Plan>, before: &Compiled) -> Rc<Compiled> {
        Rc::new(Compiled::new(plan, &mut self.state.borrow_mut(), Some(before)))
    }

    /// A number that is uniform over all 64 bits.
    pub(crate) fn random(&self) -> u64 {
        self.random.borrow_mut().next_u64()
    }

    /// True with the given chance in parts per million.
    pub(crate) fn chance(&self, ppm: u32) -> bool {
        self.random.borrow_mut().random_range(0..serin_config::percent::WHOLE_PPM) < ppm
    }

    /// Whether a line about a client may be logged: at most one a second, so that no flood fills the disk.
    pub(crate) fn may_complain(&self) -> bool {
        let now = clock::now();
        let may = self.complained.get().is_none_or(|last| now.duration_since(last) >= Self::PERIOD);
        if may {
            self.complained.set(Some(now));
        }
        may
    }

    /// Tells every connection to end after its present request.
    pub(crate) fn drain(&self, ending: Ending) {
        self.handed_over.set(ending == Ending::HandedOver);
        self.draining.set(true);
        self.drain_begun.notify_waiters();
    }

    /// Closes connections to endpoints that nobody used for too long.
    pub(crate) fn sweep(&self) {
        self.state.borrow().pools.sweep(clock::now());
    }

    /// Hands the counts since the last time to housekeeping. If that is behind, the counts stay here and
    /// go with the next handover: nothing is lost, and nobody waits.
    pub(crate) fn hand_over(&self, tick: u64) {
        let Ok(place) = self.handover.try_reserve() else { return };
        // The latest plan, so that what no plan names any more can be let go.
        drop(self.plan());
        let state = &mut *self.state.borrow_mut();
        state.book_hangs(clock::now());
        let mut cells = Vec::new();
        for ((service, version, route), tally) in &state.tallies {
            if let Some(drained) = tally.borrow_mut().drain() {
                let (service, version, route) = (service.clone(), version.clone(), route.clone());
                cells.push(WindowCell { service, version, route, drained });
            }
        }
        let copies = state.mirrors.iter().filter_map(|((service, version), copies)| {
            Some((service.clone(), version.clone(), copies.tally.borrow_mut().drain()?))
        });
        let copies = copies.collect();
        state.mirrors.retain(|_, copies| Rc::strong_count(copies) > 1);
        let mut pairs = Vec::new();
        for ((service, canary, stable, route), paired) in &state.pairs {
            let Some(drained) = paired.borrow_mut().drain() else { continue };
            for (version, drained) in [canary, stable].into_iter().zip(drained) {
                let (service, version, route) = (service.clone(), version.clone(), route.clone());
                pairs.push(WindowCell { service, version, route, drained });
            }
        }
        state.pairs.retain(|_, pairs| Rc::strong_count(pairs) > 1);
        // Whatever is held here alone belongs to no plan and to no request.
        state.tallies.retain(|_, tally| Rc::strong_count(tally) > 1);
        state.loads.retain(|_, load| Rc::strong_count(load) > 1);
        state.choices.values().for_each(|choice| choice.hand_in());
        state.choices.retain(|_, choice| Rc::strong_count(choice) > 1);
        state.pools.let_go();
        state.shared.forget_unused();
        let in_flight = state.loads.iter().map(|((service, version), load)| {
            (service.clone(), version.clone(), load.in_flight.get() as u64)
        });
        let upstream_idle = state.pools.idle() as u64;
        place.send(Handover {
            worker: self.number,
            tick,
            cells,
            copies,
            pairs,
            in_flight: in_flight.collect(),
            upstream_idle,
        });
    }

    /// How often counts are handed over.
    pub(crate) const PERIOD: Duration = Duration::from_secs(1);
}

/// Who is at the other end of a client connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Unspecified for a Unix socket.
    pub(crate) address: IpAddr,
    /// The same as a header value.
    pub(crate) header: Option<HeaderValue>,
    /// Whether its `x-forwarded-*` are believed.
    pub(crate) trusted: bool,
    pub(crate) trusted_proxies: Arc<[IpNet]>,
    /// Whether the connection is secured by TLS.
    pub(crate) secure: bool,
    /// Who it has proved to be by a certificate.
    pub(crate) identity: Option<Identity>,
}

impl Peer {
    /// The scheme by which the client asks.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The peer at `address`; none for a Unix socket, whose permissions are the file's.
    pub(crate) fn new(address: Option<IpAddr>, trusted_proxies: &Arc<[IpNet]>, trusts_unix: bool) -> Self {
        let canonical = address.map(|address| address.to_canonical());
        Self {
            address: canonical.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
            header: canonical.and_then(|address| HeaderValue::from_str(&address.to_string()).ok()),
            trusted: canonical
                .map_or(trusts_unix, |address| trusted_proxies.iter().any(|net| net.contains(&address))),
            trusted_proxies: trusted_proxies.clone(),
            secure: false,
            identity: None,
        }
    }
}
