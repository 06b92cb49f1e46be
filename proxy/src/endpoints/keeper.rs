//! What runs for each version: finding its endpoints, checking them, ejecting those that fail.
//!
//! The keeper hears of every catalogue before it is in force ([`Keeper::prepare`]), so that no request meets a
//! version whose endpoints are those of the catalogue before. What a version asks for runs as tasks on the
//! housekeeping runtime; they end when it asks for something else, and never touch a request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serin_config::{
    Discovery, EndpointPolicy, Plan, ServiceName, Version, VersionName,
    endpoint::Dns,
    limits::HEALTH_CHECKS_AT_ONCE_MAX,
    tls::{EndpointTls, HttpProtocol},
};
use tokio::{runtime::Handle, sync::Semaphore, task::JoinSet};

use super::outlier;
use crate::{
    clock,
    discover::{dns, file},
    health,
    observe::metrics::EndpointCounters,
    shared::{Shared, VersionShared},
};

/// Keeps the tasks of all versions.
#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    names: Arc<dns::Names>,
    /// Places for health checks, all versions together.
    places: Arc<Semaphore>,
    runtime: Handle,
    jobs: Mutex<HashMap<(ServiceName, VersionName), Job>>,
}

/// What runs for one version. Dropping it ends it.
#[derive(Debug)]
struct Job {
    wanted: Wanted,
    /// Keeps the version's state from being forgotten.
    _version: Arc<VersionShared>,
    _tasks: JoinSet<()>,
}

/// What a version asks for.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    discovery: Option<Discovery>,
    policy: EndpointPolicy,
    protocol: HttpProtocol,
    tls: Option<EndpointTls>,
}

impl Wanted {
    fn by(version: &Version) -> Self {
        Self {
            discovery: version.discovery.clone(),
            policy: version.endpoint_policy.clone(),
            protocol: version.protocol,
            tls: version.tls.clone(),
        }
    }
}

/// The names of a version, for metrics and the log.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) service: ServiceName,
    pub(crate) version: VersionName,
}

impl Keeper {
    /// Runs what is asked for on the present runtime.
    pub(crate) fn new(shared: Arc<Shared>, dns: &Dns) -> Self {
        Self {
            shared,
            names: Arc::new(dns::Names::new(dns.clone())),
            places: Arc::new(Semaphore::new(HEALTH_CHECKS_AT_ONCE_MAX)),
            runtime: Handle::current(),
            jobs: Mutex::default(),
        }
    }

    /// Gets ready for a plan: hands out the endpoints that it names, and starts and ends what it asks for.
    pub(crate) fn prepare(&self, plan: &Plan) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *jobs);
        for service in plan.catalogue().services() {
            for version in &service.versions {
                let key = (service.name.clone(), version.name.clone());
                let shared = self.shared.version(&service.name, &version.name);
                shared.endpoints.configure(plan.generation(), version, clock::now());
                let wanted = Wanted::by(version);
                let kept = before.remove(&key).filter(|job| job.wanted == wanted);
                let job = kept.unwrap_or_else(|| self.start(&key, wanted, shared));
                jobs.insert(key, job);
            }
        }
    }

    fn start(
        &self,
        (service, version): &(ServiceName, VersionName),
        wanted: Wanted,
        shared: Arc<VersionShared>,
    ) -> Job {
        let named = Named { service: service.clone(), version: version.clone() };
        let counters = EndpointCounters::register(service, version);
        let mut tasks = JoinSet::new();
        match &wanted.discovery {
            None => drop(shared.endpoints.note_search(None)),
            Some(Discovery::Dns(name)) => {
                let search = dns::run(
                    self.names.clone(),
                    name.clone(),
                    shared.clone(),
                    named.clone(),
                    counters.clone(),
                );
                tasks.spawn_on(search, &self.runtime);
            }
            Some(Discovery::File(path)) => {
                let search = file::run(path.clone(), shared.clone(), named.clone(), counters.clone());
                tasks.spawn_on(search, &self.runtime);
            }
        }
        if let Some(check) = &wanted.policy.health {
            let host = match &wanted.discovery {
                Some(Discovery::Dns(name)) => Some(name.host.trim_end_matches('.').to_owned()),
                _ => None,
            };
            let tls = wanted.tls.as_ref();
            let prober = health::Prober {
                probe: check.probe.clone(),
                protocol: wanted.protocol,
                secured: tls.map(|tls| self.shared.tls.connector(tls, wanted.protocol)),
                host: tls.and_then(|tls| tls.server_name.clone()).or(host),
            };
            let checks = health::Checks {
                check: check.clone(),
                prober,
                places: self.places.clone(),
                version: shared.clone(),
                named: named.clone(),
                counters,
            };
            tasks.spawn_on(Arc::new(checks).run(), &self.runtime);
        }
        if let Some(policy) = wanted.policy.outlier {
            tasks.spawn_on(outlier::run(policy, shared.clone(), named), &self.runtime);
        }
        Job { wanted, _version: shared, _tasks: tasks }
    }
}
