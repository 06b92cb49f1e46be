//! Every bound of the program, by name. What an operator may change stands in [`Limits`] with its default;
//! the rest are constants. Sources of the defaults: RFC 9110/9112/9113 and the published edge advice of
//! Envoy, HAProxy and nginx, where they agree.
//!
//! The constants stand by subject, a file each; all of them are reached from here.

mod api;
mod endpoints;
mod file;
mod fleet;
mod notice;
mod resilience;
mod rollout;
mod routing;
mod store;
mod telemetry;
mod wire;

use std::time::Duration;

use serde::Serialize;

pub use api::*;
pub use endpoints::*;
pub use file::*;
pub use fleet::*;
pub use notice::*;
pub use resilience::*;
pub use rollout::*;
pub use routing::*;
pub use store::*;
pub use telemetry::*;
pub use wire::*;

/// How much memory there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxMemory {
    /// What the process's cgroup allows; no limit where it allows everything.
    Auto,
    /// No limit.
    None,
    /// So many bytes.
    Bytes(u64),
}

/// Bounds that an operator may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Serving threads; each has its own runtime, listener, pools and recorders. Default: the cores that
    /// the process may use.
    pub workers: Option<usize>,
    /// Client connections at once, all workers together; beyond it they are refused at once. 10 000.
    pub max_connections: usize,
    /// Requests in flight to one version, all workers together; beyond it 503 `overload_local`. 1 000.
    pub max_requests_per_version: usize,
    /// Requests in flight, all versions and workers together; beyond it new ones get 503. None: no limit but
    /// those of the versions.
    pub max_requests: Option<usize>,
    /// Memory near which new requests get 503. The limit of the process's cgroup.
    pub max_memory: MaxMemory,
    /// The longest body of a request, in bytes; a longer one gets 413. None: no limit, since bodies are not kept.
    pub max_body: Option<u64>,
    /// Streams at once on one HTTP/2 connection. 100.
    pub max_streams: u32,
    /// From the connection to a complete request head. 10 s.
    #[serde(with = "millis")]
    pub client_header_timeout: Duration,
    /// A client connection without a request is closed after this. 75 s.
    #[serde(with = "millis")]
    pub client_keep_alive: Duration,
    /// A client that reads or sends nothing within a body is dropped after this. 30 s.
    #[serde(with = "millis")]
    pub client_stall_timeout: Duration,
    /// An unused connection to an endpoint is closed after this. 30 s.
    #[serde(with = "millis")]
    pub endpoint_keep_alive: Duration,
    /// Unused connections kept for each endpoint and worker. 256.
    pub idle_connections_per_endpoint: usize,
    /// From SIGTERM to the end, whatever is still in flight. 30 s.
    #[serde(with = "millis")]
    pub drain_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: None,
            max_connections: 10_000,
            max_requests_per_version: 1_000,
            max_requests: None,
            max_memory: MaxMemory::Auto,
            max_body: None,
            max_streams: 100,
            client_header_timeout: Duration::from_secs(10),
            client_keep_alive: Duration::from_secs(75),
            client_stall_timeout: Duration::from_secs(30),
            endpoint_keep_alive: Duration::from_secs(30),
            idle_connections_per_endpoint: 256,
            drain_deadline: Duration::from_secs(30),
        }
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Serialize, Serializer};

    #[expect(clippy::cast_possible_truncation, reason = "timeouts are at most a day")]
    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        (time.as_millis() as u64).serialize(to)
    }
}
