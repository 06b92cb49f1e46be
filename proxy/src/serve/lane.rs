//! What the hot path looks up by position: a plan, compiled for one worker.
//!
//! Compiling resolves every name to the worker's own state: pools of an address, load of a version, tally
//! of a (route, version). That state is keyed by identity and outlives plans, so a new plan forgets nothing.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use http::HeaderValue;
use serin_config::{Catalogue, Plan, Route, Service, Weight};
use serin_split::{Matcher, Salt, Table, Tally};

use super::{backend::Backend, routing::RoutePlan, worker::State};
use crate::observe::tale::Names;

/// A plan with everything that a request needs already looked up.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) plan: Arc<Plan>,
    pub(crate) generation: HeaderValue,
    pub(crate) matcher: Rc<Matcher>,
    /// What each route does.
    pub(crate) routes: Rc<[RoutePlan]>,
    /// For each service, in the order of the catalogue.
    pub(crate) services: Vec<Splitter>,
}

/// How a service splits.
#[derive(Debug)]
pub(crate) struct Splitter {
    pub(crate) table: Table,
    pub(crate) salt: Salt,
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
        let services = plan
            .services()
            .map(|(service, split)| Splitter {
                table: Table::new(service, split),
                salt: Salt::of_service(service.name.as_str()),
            })
            .collect();
        let same = before.filter(|before| Arc::ptr_eq(before.plan.catalogue(), catalogue));
        let (matcher, routes) = match same {
            Some(before) => (before.matcher.clone(), before.routes.clone()),
            None => (Rc::new(Matcher::new(catalogue.routes())), routes(catalogue, state)),
        };
        Self {
            plan: plan.clone(),
            generation: HeaderValue::from(plan.generation().0),
            matcher,
            routes,
            services,
        }
    }

    /// The service at a position of the catalogue.
    pub(crate) fn service(&self, at: usize) -> &Service {
        &self.plan.catalogue().services()[at]
    }
}

fn routes(catalogue: &Catalogue, state: &mut State) -> Rc<[RoutePlan]> {
    let backends: Vec<Vec<Rc<Backend>>> = catalogue
        .services()
        .iter()
        .map(|service| {
            let versions = service.versions.iter();
            versions.map(|version| Rc::new(state.backend(service, version))).collect()
        })
        .collect();
    let lane_of = |state: &mut State, route: &Route, at: usize| {
        let service = &catalogue.services()[at];
        let versions = service.versions.iter().zip(&backends[at]);
        let lanes = versions.map(|(version, backend)| {
            let tally = state.tally(route, service, version);
            let names = Names {
                service: service.name.clone(),
                version: version.name.clone(),
                route: route.name.clone(),
            };
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
