//! The endpoints of a version: where they are found, how one is chosen, and when one is left out.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Serialize, Serializer};

use crate::{address::Address, limits as l, weight::Weight};

/// Where the endpoints of a version are found, if not in the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Discovery {
    /// The addresses of a name, asked for again whenever the answer's TTL has passed.
    Dns(DnsName),
    /// The addresses in a file, read again when it changes.
    File(PathBuf),
}

/// A host name and the port that all of its addresses are called on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsName {
    /// The name, as it was written; without a final dot the system's search list applies.
    pub host: String,
    /// The port; not zero.
    pub port: u16,
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Serialize for DnsName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// How one of several endpoints is chosen. Each worker balances what it sends itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The cheaper of two drawn at random, by recent peak latency, requests in flight and failures.
    #[default]
    P2c,
    /// One after the other.
    RoundRobin,
    /// The one of two drawn at random that has fewer requests in flight.
    LeastRequest,
    /// The one that owns the request's key on a ring, so that a user stays with an endpoint.
    RingHash {
        /// The header (lower-case) whose value is the key; the service's sticky key where there is none.
        header: Option<String>,
    },
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P2c => f.write_str("p2c"),
            Self::RoundRobin => f.write_str("round_robin"),
            Self::LeastRequest => f.write_str("least_request"),
            Self::RingHash { header: None } => f.write_str("ring_hash"),
            Self::RingHash { header: Some(header) } => write!(f, "ring_hash by header {header}"),
        }
    }
}

/// How the endpoints of a version are looked after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointPolicy {
    /// How one of them is chosen.
    pub balance: Balance,
    /// How long the share of an endpoint grows that is new or came back; at once where there is none.
    #[serde(serialize_with = "crate::duration::serialize_any")]
    pub slow_start: Option<Duration>,
    /// What is asked of each endpoint, apart from the traffic, to see whether it is well.
    pub health: Option<HealthCheck>,
    /// When an endpoint is left out for a while because of how its attempts end.
    pub outlier: Option<OutlierPolicy>,
}

impl Default for EndpointPolicy {
    fn default() -> Self {
        Self {
            balance: Balance::default(),
            slow_start: None,
            health: None,
            outlier: Some(OutlierPolicy::default()),
        }
    }
}

/// A regular question to every endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// From the beginning of one check to that of the next, ±10 %.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub interval: Duration,
    /// For the whole check, connecting included.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub timeout: Duration,
    /// Checks in a row that must pass before an endpoint that was down is used again.
    pub rise: u32,
    /// Checks in a row that must fail before an endpoint that was up is left out.
    pub fall: u32,
}

impl HealthCheck {
    /// A check with HAProxy's intervals and counts.
    pub fn new(probe: Probe) -> Self {
        Self {
            probe,
            interval: l::HEALTH_INTERVAL_DEFAULT,
            timeout: l::HEALTH_TIMEOUT_DEFAULT,
            rise: l::HEALTH_RISE_DEFAULT,
            fall: l::HEALTH_FALL_DEFAULT,
        }
    }
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// `GET path`, answered with one of these statuses.
    Http {
        /// Begins with a slash.
        path: String,
        /// The statuses that pass.
        status: StatusRange,
        /// The `Host`; the endpoint's address where there is none.
        host: Option<String>,
    },
    /// `grpc.health.v1.Health/Check`, answered with SERVING.
    Grpc {
        /// The service that is asked about; empty for the server as a whole.
        service: String,
    },
    /// That it accepts a connection.
    Tcp,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { path, status, .. } => write!(f, "GET {path} {status}"),
            Self::Grpc { service } if service.is_empty() => f.write_str("grpc"),
            Self::Grpc { service } => write!(f, "grpc {service}"),
            Self::Tcp => f.write_str("tcp"),
        }
    }
}

/// Statuses from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// What passes unless the file says otherwise: success and redirects, as in HAProxy.
    pub const DEFAULT: Self = Self { first: 200, last: 399 };

    /// The range, if its ends are statuses (100 to 599) in order.
    pub const fn try_new(first: u16, last: u16) -> Option<Self> {
        if first >= 100 && first <= last && last <= 599 { Some(Self { first, last }) } else { None }
    }

    /// Whether the range holds a status.
    pub const fn holds(self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// When an endpoint is ejected: left out for a while because its attempts fail. The attempts stay charged to
/// their version.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OutlierPolicy {
    /// After so many failures in a row; never by this rule where there is none.
    pub consecutive_failures: Option<u32>,
    /// When it fails much more often than its fellows; never by this rule where there is none.
    pub success_rate: Option<SuccessRate>,
    /// How often success rates are compared.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub interval: Duration,
    /// How long the first ejection lasts; the second lasts twice as long, and so on.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub base_ejection: Duration,
    /// The longest that one ejection lasts.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub max_ejection: Duration,
    /// The largest share of a version's endpoints that is out at once. The last one that is ready stays,
    /// whatever the share.
    pub max_ejected: Weight,
}

impl Default for OutlierPolicy {
    /// Envoy's numbers, but for the share: a tenth of fewer than ten endpoints is none at all.
    fn default() -> Self {
        Self {
            consecutive_failures: Some(l::OUTLIER_CONSECUTIVE_DEFAULT),
            success_rate: Some(SuccessRate::default()),
            interval: l::OUTLIER_INTERVAL_DEFAULT,
            base_ejection: l::EJECTION_BASE_DEFAULT,
            max_ejection: l::EJECTION_MAX_DEFAULT,
            max_ejected: Weight::from_ppm(l::EJECTED_PPM_DEFAULT).unwrap_or(Weight::WHOLE),
        }
    }
}

/// An endpoint is ejected whose success rate is below the mean of its version's endpoints by more than so
/// many standard deviations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SuccessRate {
    /// So many endpoints must have had enough requests for a mean to say anything.
    pub min_endpoints: u32,
    /// So many requests an endpoint must have had in the interval.
    pub min_requests: u32,
    /// The number of standard deviations; above zero.
    pub deviations: f64,
}

impl Default for SuccessRate {
    fn default() -> Self {
        Self {
            min_endpoints: l::SUCCESS_RATE_ENDPOINTS_DEFAULT,
            min_requests: l::SUCCESS_RATE_REQUESTS_DEFAULT,
            deviations: l::SUCCESS_RATE_DEVIATIONS_DEFAULT,
        }
    }
}

/// What happens to a request whose version has no endpoint that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnready {
    /// It fails with 503 `no_endpoint`: its version's failure stays visible, and the comparison honest.
    #[default]
    Fail,
    /// Another version that is ready takes it, the stable one first; it is left out of the comparison.
    Spill,
}

/// Whom names are asked of, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// The resolvers; the system's (`/etc/resolv.conf`) where there is none.
    pub resolvers: Vec<std::net::SocketAddr>,
    /// A name is not asked for again sooner, however short its TTL.
    pub min_ttl: Duration,
    /// A name is asked for again by then, however long its TTL.
    pub max_ttl: Duration,
    /// For one question to one resolver.
    pub timeout: Duration,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            resolvers: Vec::new(),
            min_ttl: l::DNS_MIN_TTL_DEFAULT,
            max_ttl: l::DNS_MAX_TTL_DEFAULT,
            timeout: l::DNS_TIMEOUT_DEFAULT,
        }
    }
}

/// The words of a version's endpoints for people: addresses, or where they are found.
pub fn shown(endpoints: &[Address], discovery: Option<&Discovery>) -> String {
    match discovery {
        None => endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Some(Discovery::Dns(name)) => format!("dns {name}"),
        Some(Discovery::File(path)) => format!("file {}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_statuses_has_both_of_its_ends() {
        let range = StatusRange::DEFAULT;
        assert!(range.holds(200) && range.holds(399) && !range.holds(199) && !range.holds(400));
        assert_eq!(range.to_string(), "200-399");
        assert_eq!(StatusRange::try_new(204, 204).unwrap().to_string(), "204");
        assert!(StatusRange::try_new(300, 200).is_none());
        assert!(StatusRange::try_new(99, 200).is_none());
        assert!(StatusRange::try_new(200, 600).is_none());
    }
}
