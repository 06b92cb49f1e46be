//! What is told about the traffic: counts come from the workers once a second, go up to the control plane
//! as windows, and stand ready as metrics. Nothing here can make a request wait: workers hand over through
//! a bounded channel and keep their counts if it is full; windows are dropped and counted if the control
//! plane is behind.

pub(crate) mod access_log;
mod beat;
mod clients;
mod collect;
mod compared;
pub(crate) mod export;
mod hangs;
pub(crate) mod metrics;
pub(crate) mod openmetrics;
mod process;
pub(crate) mod spans;
pub(crate) mod tale;
pub(crate) mod tellers;
pub(crate) mod telling;
mod totals;

pub(crate) use self::{
    beat::Beats,
    collect::{Collector, Windows},
    compared::Compared,
    metrics::Counters,
    process::resident_bytes,
    totals::Totals,
};

/// Installs the process's recorder of rare counters. What is counted or described before is lost, so a program
/// that counts before [`Proxy::start`](crate::Proxy::start) calls this first; calling it again is harmless.
pub fn install_metrics_recorder() {
    drop(metrics::recorder());
}

/// What the process's recorder has, as text for Prometheus: what is counted rarely, and by whoever shares the process.
pub fn rare_metrics() -> String {
    metrics::recorder().render()
}

use serin_config::{RouteName, ServiceName, VersionName};
use serin_split::tally::Drained;

/// One worker's counts of one second.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) worker: usize,
    /// Seconds since the start; the same on all workers.
    pub(crate) tick: u64,
    pub(crate) cells: Vec<Cell>,
    /// What copies of requests came to, by service and version.
    pub(crate) copies: Vec<(ServiceName, VersionName, Drained)>,
    /// Copies by which a canary is judged, and the requests that were copied.
    pub(crate) pairs: Vec<Cell>,
    /// Requests in flight, now.
    pub(crate) in_flight: Vec<(ServiceName, VersionName, u64)>,
    /// Unused connections to endpoints, now.
    pub(crate) upstream_idle: u64,
}

/// What one worker counted for one (service, version, route).
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) service: ServiceName,
    pub(crate) version: VersionName,
    pub(crate) route: RouteName,
    pub(crate) drained: Drained,
}
