//! What the hot path looks up by position: a plan, compiled for one worker.
//!
//! Compiling resolves every name to the worker's own state: pools of an address, load of a version, tally
//! of a (route, version). That state is keyed by identity and outlives plans, so a new plan forgets nothing.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Instant};

use http::HeaderValue;
use serin_config::{
    Catalogue, Generation, Plan, Route, Service, Split, VersionName, Weight, policy::Copying, steer,
};
use serin_split::{Matcher, Salt, Table, Tally};

use super::{
    backend::Backend,
    mirror::{self, Mirror},
    routing::RoutePlan,
    rules,
    spill::Spilled,
    worker::State,
};
use crate::{clock, observe::tale::Names, shared::VersionShared};

/// A plan with everything that a request needs already looked up.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) plan: Arc<Plan>,
    pub(crate) generation: HeaderValue,
    pub(crate) matcher: Rc<Matcher>,
    /// What each route does.
    pub(crate) routes: Rc<[RoutePlan]>,
    /// Who gets copies of each service's requests.
    pub(crate) mirrors: Rc<[Option<Rc<Mirror>>]>,
    /// For each service, in the order of the catalogue.
    pub(crate) services: Vec<Splitter>,
}

/// How a service splits.
#[derive(Debug)]
pub(crate) struct Splitter {
    pub(crate) table: Table,
    pub(crate) salt: Salt,
    pub(crate) spilled: Spilled,
    /// The canary and a stable version that can take over from it.
    pair: Option<Pair>,
}

/// A canary that the stable version can take over from: both have weight, or the stable version stands by
/// ([`Plan::stands_by`]).
#[derive(Debug)]
struct Pair {
    canary: usize,
    stable: usize,
    /// The stable version where it stands by. Nobody else has need of its endpoints just then, so there may be none.
    standby: Option<Arc<VersionShared>>,
    shield: bool,
    /// The canary's trip-wire, and since which plan the canary has had its weight.
    wire: Option<(Arc<VersionShared>, Generation)>,
    /// The canary, while it is probed.
    probe: Option<Arc<VersionShared>>,
}

impl Splitter {
    fn new(plan: &Plan, service: &Service, split: &Split, state: &State) -> Self {
        let at = |name: &VersionName| service.versions.iter().position(|version| version.name == *name);
        let has_users = |version: &VersionName| split.of(version) > Weight::ZERO;
        let beside = has_users(&service.stable);
        let stands_by = !beside && plan.stands_by(service.name.as_str());
        let since = plan.canary_since(service.name.as_str());
        let wire = service.canary.as_ref().filter(|_| rules::wire(service).is_some()).map(|canary| {
            let shared = state.shared(&service.name, canary);
            let copied = plan.mirror(service.name.as_str()) > Weight::ZERO;
            if has_users(canary) && !beside && !stands_by {
                shared.trip.overrule(plan.generation());
            } else {
                shared.trip.arm(plan.generation(), since, has_users(canary) || copied);
            }
            (shared, since)
        });
        let others = service.versions.iter().filter(|version| service.canary.as_ref() != Some(&version.name));
        others
            .for_each(|version| state.shared(&service.name, &version.name).trip.overrule(plan.generation()));
        let paired = service.canary.as_ref().filter(|canary| has_users(canary) && (beside || stands_by));
        let pair = paired.and_then(|name| {
            let (canary, stable) = (at(name)?, at(&service.stable)?);
            let standby = stands_by.then(|| state.shared(&service.name, &service.stable));
            // A switch in one plan is what it says: nobody is held back.
            let probe = if beside { on_probation(service, name, since, state) } else { None };
            Some(Pair { canary, stable, standby, shield: service.resilience.shield, wire, probe })
        });
        let salt = Salt::of_service(service.name.as_str());
        Self { table: Table::new(service, split), salt, spilled: Spilled::default(), pair }
    }

    /// The version that takes the requests of `picked`: the stable one for a canary whose wire has tripped. One that stands
    /// by must have an endpoint that is ready: else a canary that fails some would be left for nobody.
    pub(crate) fn in_force(&self, picked: usize) -> usize {
        match &self.pair {
            Some(Pair { canary, stable, standby, wire: Some((shared, since)), .. })
                if *canary == picked
                    && shared.trip.is_out(*since)
                    && standby.as_ref().is_none_or(|standby| standby.endpoints.is_ready()) =>
            {
                *stable
            }
            _ => picked,
        }
    }

    /// The version that takes a request of `picked` that comes at `now`, if that is a canary that is probed and whose
    /// turn it is not.
    pub(crate) fn held_back(&self, picked: usize, now: Instant) -> Option<usize> {
        let pair = self.pair.as_ref().filter(|pair| pair.canary == picked)?;
        let probe = pair.probe.as_ref()?;
        (!probe.probation.admits(now)).then_some(pair.stable)
    }

    /// The version that takes over what `picked` fails, if one does.
    pub(crate) fn rescue(&self, picked: usize) -> Option<usize> {
        self.pair.as_ref().filter(|pair| pair.shield && pair.canary == picked).map(|pair| pair.stable)
    }
}

/// The canary, if it is probed under this plan.
fn on_probation(
    service: &Service,
    canary: &VersionName,
    since: Generation,
    state: &State,
) -> Option<Arc<VersionShared>> {
    let (shared, now) = (state.shared(&service.name, canary), clock::now());
    shared.probation.arm(since, state.first(), service.rollout.probe, now);
    shared.probation.is_on(now).then_some(shared)
}

/// The way of requests of one route to one version, on one worker.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) tally: Rc<RefCell<Tally>>,
    pub(crate) backend: Rc<Backend>,
    /// What the lane is called in spans and in the access log.
    pub(crate) names: Arc<Names>,
    /// The share of traces that begin here which are sampled.
    pub(crate) trace_sampling: Weight,
}

impl Compiled {
    /// Compiles `plan`; what only the catalogue decides is taken from `before` if that had the same one.
    pub(crate) fn new(plan: &Arc<Plan>, state: &mut State, before: Option<&Self>) -> Self {
        let catalogue = plan.catalogue();
        let services =
            plan.services().map(|(service, split)| Splitter::new(plan, service, split, state)).collect();
        let same = before.filter(|before| Arc::ptr_eq(before.plan.catalogue(), catalogue));
        let (matcher, routes) = match same {
            Some(before) => (before.matcher.clone(), before.routes.clone()),
            None => {
                let backends = backends(catalogue, state);
                (Rc::new(Matcher::new(catalogue.routes())), routes(catalogue, &backends, state))
            }
        };
        let mirrors = match same.filter(|before| copies_alike(&before.plan, plan)) {
            Some(before) => before.mirrors.clone(),
            None => mirrors(plan, state),
        };
        Self {
            plan: plan.clone(),
            generation: HeaderValue::from(plan.generation().0),
            matcher,
            routes,
            mirrors,
            services,
        }
    }

    /// The service at a position of the catalogue.
    pub(crate) fn service(&self, at: usize) -> &Service {
        &self.plan.catalogue().services()[at]
    }
}

/// For each service, a backend for each of its versions.
type Backends = Vec<Vec<Rc<Backend>>>;

fn backends(catalogue: &Catalogue, state: &mut State) -> Backends {
    let services = catalogue.services().iter();
    let each = services.map(|service| {
        let versions = service.versions.iter();
        versions.map(|version| Rc::new(state.backend(service, version))).collect()
    });
    each.collect()
}

/// Whether two plans of one catalogue have the same requests copied.
fn copies_alike(before: &Plan, after: &Plan) -> bool {
    let mut services = after.catalogue().services().iter().map(|service| service.name.as_str());
    services.all(|name| {
        let (was, is) = (before.mirror(name), after.mirror(name));
        was == is && (is == Weight::ZERO || before.canary_since(name) == after.canary_since(name))
    })
}

fn mirrors(plan: &Plan, state: &mut State) -> Rc<[Option<Rc<Mirror>>]> {
    let services = plan.catalogue().services().iter();
    let each = services.map(|service| {
        let share = plan.mirror(service.name.as_str());
        let asked = if share > Weight::ZERO {
            let Copying { max_in_flight, max_body, timeout, .. } = service.rollout.mirror;
            let version = service.canary.clone()?;
            steer::Mirror { version, share, max_in_flight, max_body, timeout }
        } else {
            service.mirror.clone()?
        };
        let at = |name: &VersionName| service.versions.iter().position(|version| version.name == *name);
        let to = at(&asked.version)?;
        let trial = if share > Weight::ZERO {
            Some(trial(plan, service, (at(&service.stable)?, &asked.version), state))
        } else {
            None
        };
        let backend = Rc::new(state.backend(service, &service.versions[to]));
        let copies = state.copies(&service.name, &asked.version);
        let bounds = (service.timeouts.connect, state.workers());
        Some(Mirror::new((&service.name, &asked), (to, backend), copies, bounds, trial))
    });
    each.collect()
}

/// The copies of a step of a service's rollout.
fn trial(
    plan: &Plan,
    service: &Service,
    (from, canary): (usize, &VersionName),
    state: &mut State,
) -> mirror::Trial {
    let routes = plan.catalogue().routes().iter();
    let pairs = routes.map(|route| {
        state.pairs((service.name.clone(), canary.clone(), service.stable.clone(), route.name.clone()))
    });
    let pairs = pairs.collect();
    mirror::Trial {
        from,
        methods: mirror::Trial::methods(&service.rollout.mirror),
        wire: rules::wire(service),
        since: plan.canary_since(service.name.as_str()),
        shared: state.shared(&service.name, canary),
        pairs,
    }
}

fn routes(catalogue: &Catalogue, backends: &Backends, state: &mut State) -> Rc<[RoutePlan]> {
    let lane_of = |state: &mut State, route: &Route, at: usize| {
        let service = &catalogue.services()[at];
        let versions = service.versions.iter().zip(&backends[at]);
        let lanes = versions.map(|(version, backend)| {
            let tally = state.tally(route, service, version);
            let names = Names { service: service.name.clone(), version: version.name.clone() };
            let trace_sampling = state.trace_sampling(service, version);
            Rc::new(Lane { tally, backend: backend.clone(), names: Arc::new(names), trace_sampling })
        });
        lanes.collect::<Vec<_>>()
    };
    let routes = catalogue.routes().iter();
    let each = routes.map(|route| {
        RoutePlan::new(route, catalogue, state, |state, service| lane_of(state, route, service))
    });
    each.collect()
}
