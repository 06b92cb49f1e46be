//! What the workers and housekeeping know together of each version.
//!
//! Everything here is an atomic behind an `Arc`: a worker looks its versions up once for each plan and never
//! meets the registry's lock while it serves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serin_config::{ServiceName, VersionName};

use crate::{endpoints::Endpoints, rate_limits::RateLimits, tls::Store};

/// The registry: one for the process.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The buckets of rate limits.
    pub(crate) rates: RateLimits,
    versions: Mutex<HashMap<(ServiceName, VersionName), Arc<VersionShared>>>,
    /// TLS of listeners and versions.
    pub(crate) tls: Arc<Store>,
}

/// What all workers know of one version.
#[derive(Debug, Default)]
pub(crate) struct VersionShared {
    /// Its endpoints, and which of them are ready.
    pub(crate) endpoints: Endpoints,
}

impl Shared {
    /// No version is known yet.
    pub(crate) fn new(tls: Arc<Store>) -> Self {
        Self { tls, ..Self::default() }
    }

    /// The state of a version, made at the first question.
    pub(crate) fn version(&self, service: &ServiceName, version: &VersionName) -> Arc<VersionShared> {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.entry((service.clone(), version.clone())).or_default().clone()
    }

    /// Forgets versions that no worker holds any more.
    pub(crate) fn forget_unused(&self) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.retain(|_, version| Arc::strong_count(version) > 1);
        drop(versions);
        self.rates.forget_unused();
    }
}
