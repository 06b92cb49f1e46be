//! What a service does when a version fails, hangs or has too much to do.
//!
//! Five parts, each a value of its own: a second try ([`Retries`]), a rescue on the stable version (the
//! shield), a bound on what one version may hold ([`Breaker`]), a bound that finds itself
//! ([`AdaptiveConcurrency`]), and the wire that takes a canary out without waiting for anybody
//! ([`Tripwire`]). By default only what can't do harm is on: one retry of what no endpoint has seen, a
//! bulkhead for each version, and the trip-wire for a canary that can't be reached or never answers.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

use crate::weight::Weight;

/// Everything of a service's resilience.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resilience {
    /// Second tries on the same version; none where they are off.
    pub retries: Option<Retries>,
    /// A failed attempt of the canary is tried again on the stable version, so that the user sees no error.
    /// Off by default: it hides from users what the canary is charged with all the same.
    pub shield: bool,
    /// What one version may hold at once.
    pub breaker: Breaker,
    /// A limit on requests in flight that follows latency; off by default.
    pub adaptive_concurrency: Option<AdaptiveConcurrency>,
    /// What takes the canary out at once; none where it is off.
    pub tripwire: Option<Tripwire>,
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            retries: Some(Retries::default()),
            shield: false,
            breaker: Breaker::default(),
            adaptive_concurrency: None,
            tripwire: Some(Tripwire::default()),
        }
    }
}

/// What may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RetryOn {
    /// The endpoint refused the connection, or was not there. Safe for every method.
    ConnectFail,
    /// The connection was not accepted in time. Safe for every method.
    ConnectTimeout,
    /// The TLS handshake failed. Safe for every method.
    TlsFail,
    /// The connection ended before one byte of the request was written to it. Safe for every method.
    Unsent,
    /// The endpoint said in HTTP/2 that it did not take the request (`REFUSED_STREAM`, or a stream above
    /// the last of its `GOAWAY`). Safe for every method.
    RefusedStream,
    /// The connection ended before an answer. Idempotent methods only, as all that follow.
    ResetBeforeHeaders,
    /// No answer within `per_try_timeout`, or within the header timeout.
    HeaderTimeout,
    /// Status 429.
    Http429,
    /// Status 502.
    Http502,
    /// Status 503.
    Http503,
    /// Status 504.
    Http504,
    /// Any status from 500 on.
    Http5xx,
    /// A gRPC answer without a message whose status is 14, `UNAVAILABLE`.
    GrpcUnavailable,
    /// A gRPC answer without a message whose status is 8, `RESOURCE_EXHAUSTED`.
    GrpcResourceExhausted,
}

impl RetryOn {
    /// All of them, with the word that the file uses.
    pub const ALL: [(&str, Self); 14] = [
        ("connect_fail", Self::ConnectFail),
        ("connect_timeout", Self::ConnectTimeout),
        ("tls_fail", Self::TlsFail),
        ("unsent", Self::Unsent),
        ("refused_stream", Self::RefusedStream),
        ("reset_before_headers", Self::ResetBeforeHeaders),
        ("header_timeout", Self::HeaderTimeout),
        ("http_429", Self::Http429),
        ("http_502", Self::Http502),
        ("http_503", Self::Http503),
        ("http_504", Self::Http504),
        ("http_5xx", Self::Http5xx),
        ("grpc_unavailable", Self::GrpcUnavailable),
        ("grpc_resource_exhausted", Self::GrpcResourceExhausted),
    ];

    /// Whether the endpoint can't have begun to work on the request, so that a second try is safe whatever
    /// its method.
    pub const fn is_unprocessed(self) -> bool {
        matches!(
            self,
            Self::ConnectFail | Self::ConnectTimeout | Self::TlsFail | Self::Unsent | Self::RefusedStream
        )
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// A set of [`RetryOn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetrySet(u16);

impl RetrySet {
    /// The set of these.
    pub fn of(each: impl IntoIterator<Item = RetryOn>) -> Self {
        Self(each.into_iter().fold(0, |bits, on| bits | on.bit()))
    }

    /// Whether it is in the set.
    pub const fn has(self, on: RetryOn) -> bool {
        self.0 & on.bit() != 0
    }

    /// Whether anything in it needs a request that was sent to be sent again.
    pub fn resends(self) -> bool {
        self.words().any(|(_, on)| !on.is_unprocessed())
    }

    fn words(self) -> impl Iterator<Item = (&'static str, RetryOn)> {
        RetryOn::ALL.into_iter().filter(move |(_, on)| self.has(*on))
    }
}

impl fmt::Display for RetrySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (word, _)) in self.words().enumerate() {
            write!(f, "{}{word}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Serialize for RetrySet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.words().map(|(word, _)| word))
    }
}

/// Second tries on the same version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retries {
    /// Tries beyond the first, 1 to 10. 1.
    pub attempts: u32,
    /// After what. What no endpoint has seen: `connect_fail`, `connect_timeout`, `unsent`,
    /// `refused_stream`.
    pub on: RetrySet,
    /// How long one try may wait for its answer's head; none is the header timeout alone.
    #[serde(serialize_with = "crate::duration::serialize_any")]
    pub per_try_timeout: Option<Duration>,
    /// Before the first retry, a uniformly random time up to this; twice as much before each further one.
    /// 25 ms.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub backoff: Duration,
    /// The longest wait. 250 ms.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub max_backoff: Duration,
    /// Retries in flight to a version, as a share of all its requests in flight, all workers together. 20 %,
    /// as Envoy and Linkerd have it.
    pub budget: Weight,
    /// Retries in flight that are allowed however few requests there are. 3.
    pub budget_floor: u32,
    /// A longer request body is not kept, and so not sent again, in bytes. 65 536.
    pub max_body: usize,
}

impl Default for Retries {
    fn default() -> Self {
        use RetryOn as On;
        Self {
            attempts: 1,
            on: RetrySet::of([On::ConnectFail, On::ConnectTimeout, On::Unsent, On::RefusedStream]),
            per_try_timeout: None,
            backoff: Duration::from_millis(25),
            max_backoff: Duration::from_millis(250),
            budget: Weight::from_ppm(200_000).unwrap_or(Weight::ZERO),
            budget_floor: 3,
            max_body: crate::limits::REPLAY_BYTES_DEFAULT,
        }
    }
}

/// What one version may hold at once, all workers together: a bulkhead, so that a slow canary can't starve
/// the stable version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Breaker {
    /// Requests in flight; none is `limits.max_requests_per_version`.
    pub max_requests: Option<usize>,
    /// Connections to its endpoints; none is no limit but that on requests.
    pub max_connections: Option<usize>,
    /// Requests that may wait for a place. 0: they are refused at once.
    pub max_pending: usize,
    /// How long they wait. 1 s.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub pending_timeout: Duration,
    /// The answer to a refused request; none is Serin's own 503.
    pub fallback: Option<Fallback>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            max_requests: None,
            max_connections: None,
            max_pending: 0,
            pending_timeout: Duration::from_secs(1),
            fallback: None,
        }
    }
}

/// What a client gets instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fallback {
    /// 200 to 599. 503.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Header fields, names in lower case; nothing of framing or of the connection.
    pub headers: Vec<(String, String)>,
}

/// The bounds of a limit on requests in flight that follows latency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AdaptiveConcurrency {
    /// It never falls below. 3, as Envoy's.
    pub min: usize,
    /// It never rises above. 1 000.
    pub max: usize,
    /// Where it begins. 100.
    pub initial: usize,
    /// Latency may rise by this factor over its long-term mean before the limit falls. 1.5.
    pub tolerance: f64,
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        Self { min: 3, max: 1_000, initial: 100, tolerance: 1.5 }
    }
}

/// What takes the canary out at once, in every worker and with no control plane. It watches the canary while
/// somebody can take over: the stable version has weight too, or stands by since the rollout is not over, or the canary gets
/// copies only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tripwire {
    /// So many attempts in a row that found no connection; none is off. 5.
    pub connect_failures: Option<u32>,
    /// So many attempts in a row that got no answer in time; none is off. 5.
    pub timeouts: Option<u32>,
    /// The canary may fail so many requests from when it gets weight until it has none again; none is no
    /// such budget.
    pub failed_requests: Option<u64>,
    /// A canary that does not answer at all; none is off.
    pub hang: Option<Hang>,
}

impl Default for Tripwire {
    fn default() -> Self {
        Self {
            connect_failures: Some(5),
            timeouts: Some(5),
            failed_requests: None,
            hang: Some(Hang::default()),
        }
    }
}

/// When a version that does not answer hangs: at least `requests` have waited all through `silence`, in which
/// it did not begin one answer, while the stable version answered. A silence is at least twice as long as the
/// stable version's slowest recent answer, so that a service that is always slow is not taken for one that
/// hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hang {
    /// Requests that wait. 10.
    pub requests: u64,
    /// At least how long. 2 s.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub silence: Duration,
}

impl Default for Hang {
    fn default() -> Self {
        Self { requests: 10, silence: Duration::from_secs(2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_tries_again_only_what_no_endpoint_has_seen() {
        let standard = Resilience::default();
        let retries = standard.retries.unwrap();
        assert!(!retries.on.resends());
        assert_eq!(retries.on.to_string(), "connect_fail, connect_timeout, unsent, refused_stream");
        assert!(!standard.shield && standard.adaptive_concurrency.is_none());
        assert_eq!(standard.tripwire.unwrap().failed_requests, None);
    }

    #[test]
    fn every_condition_has_a_bit_of_its_own() {
        let all = RetrySet::of(RetryOn::ALL.map(|(_, on)| on));
        assert_eq!(all.words().count(), RetryOn::ALL.len());
        for (_, on) in RetryOn::ALL {
            assert_eq!(RetrySet::of([on]).words().count(), 1);
        }
    }
}
