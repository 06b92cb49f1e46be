//! What the workers and housekeeping know together: of each version, of injected faults, of the whole load.
//!
//! Everything here is an atomic behind an `Arc`: a worker looks its versions up once for each plan and never
//! meets the registry's lock while it serves.

pub(crate) mod faults;
pub(crate) mod gate;
pub(crate) mod patrol;
pub(crate) mod probation;
pub(crate) mod pulse;
pub(crate) mod shed;
pub(crate) mod switch;
pub(crate) mod terms;
pub(crate) mod trip;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serin_config::{Generation, ServiceName, VersionName, limits::Limits};

use self::{
    faults::Faults, gate::Gate, probation::OnProbation, pulse::Pulse, shed::Shedding, switch::Switch,
    terms::Terms, trip::Trip,
};

/// What identifies a version.
pub(crate) type VersionKey = (ServiceName, VersionName);

use crate::{endpoints::Endpoints, rate_limits::RateLimits, tls::Store};

/// The registry: one for the process.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The buckets of rate limits.
    pub(crate) rates: RateLimits,
    workers: usize,
    /// The plan that the process began with.
    pub(crate) first: Generation,
    versions: Mutex<HashMap<VersionKey, Arc<VersionShared>>>,
    /// Injected faults.
    pub(crate) faults: Faults,
    /// Whether new requests are taken at all.
    pub(crate) shedding: Shedding,
    /// TLS of listeners and versions.
    pub(crate) tls: Arc<Store>,
}

/// What all workers know of one version.
#[derive(Debug)]
pub(crate) struct VersionShared {
    /// Its endpoints, and which of them are ready.
    pub(crate) endpoints: Endpoints,
    /// Requests in flight, and those that wait to be.
    pub(crate) requests: Gate,
    /// Open connections, where they are bounded.
    pub(crate) connections: Gate,
    /// How many there may be; 0 is no limit.
    max_connections: AtomicUsize,
    /// Retries in flight.
    pub(crate) retrying: AtomicUsize,
    /// The adaptive limit on requests in flight; 0 where there is none.
    adaptive: AtomicUsize,
    /// The breaker as an operator has set it.
    pub(crate) breaker: Switch,
    /// The trip-wire.
    pub(crate) trip: Trip,
    /// Whether it gets few requests yet because it is new.
    pub(crate) probation: OnProbation,
    /// Who waits for an answer, how long answers take, and how many attempts fail.
    pub(crate) pulse: Pulse,
    /// How its attempts are counted for the comparison.
    pub(crate) terms: Terms,
}

impl Shared {
    /// For so many workers, with these limits, in a process that begins with the plan `first`; no version is known
    /// yet.
    pub(crate) fn new(workers: usize, limits: &Limits, tls: Arc<Store>, first: Generation) -> Self {
        Self {
            rates: RateLimits::default(),
            workers,
            first,
            versions: Mutex::default(),
            faults: Faults::default(),
            shedding: Shedding::new(limits),
            tls,
        }
    }

    /// The state of a version, made at the first question.
    pub(crate) fn version(&self, service: &ServiceName, version: &VersionName) -> Arc<VersionShared> {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(VersionShared::new(self.workers));
        versions.entry((service.clone(), version.clone())).or_insert_with(made).clone()
    }

    /// The state of a version that a worker serves.
    pub(crate) fn existing(&self, service: &str, version: &str) -> Option<Arc<VersionShared>> {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |(s, v): &VersionKey| s.as_str() == service && v.as_str() == version;
        versions.iter().find(|(key, _)| named(key)).map(|(_, version)| version.clone())
    }

    /// The same by its key.
    pub(crate) fn known(&self, service: &ServiceName, version: &VersionName) -> Option<Arc<VersionShared>> {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.get(&(service.clone(), version.clone())).cloned()
    }

    /// All versions that there are, by name.
    pub(crate) fn versions(&self) -> Vec<(VersionKey, Arc<VersionShared>)> {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = versions.iter().map(|(key, version)| (key.clone(), version.clone())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Forgets versions that no worker holds any more.
    pub(crate) fn forget_unused(&self) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.retain(|_, version| Arc::strong_count(version) > 1);
        drop(versions);
        self.rates.forget_unused();
    }
}

impl VersionShared {
    fn new(workers: usize) -> Self {
        Self {
            endpoints: Endpoints::default(),
            requests: Gate::default(),
            connections: Gate::default(),
            max_connections: AtomicUsize::new(0),
            retrying: AtomicUsize::new(0),
            adaptive: AtomicUsize::new(0),
            breaker: Switch::default(),
            trip: Trip::default(),
            probation: OnProbation::default(),
            pulse: Pulse::new(workers),
            terms: Terms::default(),
        }
    }

    /// How many requests may be in flight, where the file says `most`.
    pub(crate) fn limit(&self, most: usize) -> usize {
        match self.adaptive.load(Ordering::Relaxed) {
            0 => most,
            adaptive => adaptive.min(most),
        }
    }

    /// How many connections there may be, if they are bounded.
    pub(crate) fn max_connections(&self) -> Option<usize> {
        Some(self.max_connections.load(Ordering::Relaxed)).filter(|most| *most > 0)
    }

    /// Bounds the connections to come; none takes the bound away.
    pub(crate) fn bound_connections(&self, most: Option<usize>) {
        self.max_connections.store(most.unwrap_or(0), Ordering::Relaxed);
    }

    /// The adaptive limit, if there is one.
    pub(crate) fn adaptive_limit(&self) -> Option<usize> {
        Some(self.adaptive.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// Sets the adaptive limit; 0 takes it away.
    pub(crate) fn set_adaptive(&self, limit: usize) {
        self.adaptive.store(limit, Ordering::Relaxed);
    }
}
