//! What a service does when a version fails, hangs or has too much to do, as it is written.

use std::time::Duration;

use super::{
    decode::{List, Named, Switch},
    leaf::{FieldName, OrNone, OrOff},
    record::record,
};
use crate::{resilience::RetryOn, weight::Weight};

record! {
    /// Second tries on the same version. A request that is not idempotent (POST, PATCH) is tried again only if
    /// no endpoint has seen a byte of it.
    pub struct Retries {
        /// Tries beyond the first, 1 to 10. Default: 1.
        @ attempts: u64,
        /// After what: connect_fail, connect_timeout, tls_fail, unsent and refused_stream for every method;
        /// reset_before_headers, header_timeout, http_429, http_502, http_503, http_504, http_5xx,
        /// grpc_unavailable and grpc_resource_exhausted for idempotent ones. Default: connect_fail,
        /// connect_timeout, unsent, refused_stream.
        @ on: List<RetryOn>,
        /// How long one try may wait for its answer's head; it counts as header_timeout. Default: none, the
        /// header timeout alone.
        @ per_try_timeout: OrNone,
        /// Before the first retry, a random time up to this; twice as much before each further one. A
        /// Retry-After or grpc-retry-pushback-ms that asks for more than max_backoff is obeyed by not trying
        /// again. Default: 25ms.
        @ backoff: Duration,
        /// The longest wait. Default: 250ms.
        @ max_backoff: Duration,
        /// Retries in flight to a version, as a share of its requests in flight. Default: 20%.
        @ budget: Weight,
        /// Retries in flight that are allowed however few requests there are. Default: 3.
        @ budget_floor: u64,
        /// A request body of more bytes is not kept, and so not sent again. Default: 65536.
        @ max_body: u64,
    }

    /// What one version may hold at once, all workers together.
    pub struct Breaker {
        /// Requests in flight; beyond it they wait or are refused. Default: limits.max_requests_per_version.
        @ max_requests: u64,
        /// Connections to the version's endpoints. Default: no limit but that on requests.
        @ max_connections: u64,
        /// Requests that may wait for a place. Default: 0, they are refused at once.
        @ max_pending: u64,
        /// How long they wait before they are refused. Default: 1s.
        @ pending_timeout: Duration,
        /// The answer to a refused request. Default: 503 with Retry-After.
        @ fallback: Fallback,
    }

    /// What a client gets instead of an answer.
    pub struct Fallback {
        /// From 200 to 599. Default: 503.
        @ status: u64,
        /// The body. Default: none.
        @ body: String,
        /// Header fields. Default: none.
        @ headers: Named<FieldName, String>,
    }

    /// A limit on a version's requests in flight that falls when latency rises.
    pub struct AdaptiveConcurrency {
        /// It never falls below. Default: 3.
        @ min: u64,
        /// It never rises above. Default: 1000.
        @ max: u64,
        /// Where it begins. Default: 100, or the nearer of min and max.
        @ initial: u64,
        /// Latency may rise by this factor over its long-term mean before the limit falls. From 1 to 10.
        /// Default: 1.5.
        @ tolerance: f64,
    }

    /// What takes the canary out at once, with no control plane.
    pub struct Tripwire {
        /// So many attempts in a row that found no connection, or off. Default: 5.
        @ connect_failures: OrOff,
        /// So many attempts in a row that got no answer in time, or off. Default: 5.
        @ timeouts: OrOff,
        /// The canary may fail so many requests from when it gets weight until it has none again, or off.
        /// Default: off.
        @ failed_requests: OrOff,
        /// A canary that does not answer at all while the stable version does. On by default; off switches it
        /// off.
        @ hang: Switch<Hang>,
    }

    /// When a canary hangs.
    pub struct Hang {
        /// At least so many requests have waited. Default: 10.
        @ requests: u64,
        /// Since at least so long it has not begun one answer; never less than twice the stable version's
        /// slowest recent answer. Default: 2s.
        @ silence: Duration,
    }
}
