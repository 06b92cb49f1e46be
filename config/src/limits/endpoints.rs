//! Bounds of endpoints: where they come from, whether they are well.

use std::time::Duration;

/// TLS sessions with endpoints that a version remembers for resumption, by server name.
pub const ENDPOINT_TLS_SESSIONS_MAX: usize = 1024;
/// The most endpoints of one version, wherever they come from.
pub const ENDPOINTS_MAX: usize = 1024;
/// The largest file that lists endpoints.
pub const ENDPOINTS_FILE_BYTES_MAX: usize = 1024 * 1024;
/// How often a file that lists endpoints is looked at.
pub const ENDPOINTS_FILE_POLL: Duration = Duration::from_millis(500);
/// From the beginning of one health check to that of the next (HAProxy's `inter`).
pub const HEALTH_INTERVAL_DEFAULT: Duration = Duration::from_secs(2);
/// The shortest that can be configured.
pub const HEALTH_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The longest that can be configured.
pub const HEALTH_INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// For one health check.
pub const HEALTH_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
/// The shortest that can be configured.
pub const HEALTH_TIMEOUT_MIN: Duration = Duration::from_millis(10);
/// The longest that can be configured.
pub const HEALTH_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Checks in a row that bring an endpoint back (HAProxy's `rise`).
pub const HEALTH_RISE_DEFAULT: u32 = 2;
/// Checks in a row that take an endpoint out (HAProxy's `fall`).
pub const HEALTH_FALL_DEFAULT: u32 = 3;
/// The most checks in a row that can be asked for.
pub const HEALTH_STREAK_MAX: u32 = 100;
/// Health checks at once, all versions together; the others wait for their turn.
pub const HEALTH_CHECKS_AT_ONCE_MAX: usize = 64;
/// The longest path, host or service of a health check.
pub const PROBE_TEXT_MAX: usize = 1024;
/// The most of a health check's answer that is read.
pub const PROBE_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Failures in a row that eject an endpoint (Envoy's `consecutive_5xx`).
pub const OUTLIER_CONSECUTIVE_DEFAULT: u32 = 5;
/// The most failures in a row that can be asked for.
pub const OUTLIER_CONSECUTIVE_MAX: u32 = 100_000;
/// How often success rates are compared.
pub const OUTLIER_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
/// The shortest interval and ejection that can be configured.
pub const OUTLIER_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The first ejection of an endpoint.
pub const EJECTION_BASE_DEFAULT: Duration = Duration::from_secs(30);
/// The longest ejection of an endpoint.
pub const EJECTION_MAX_DEFAULT: Duration = Duration::from_secs(300);
/// The longest ejection that can be configured.
pub const EJECTION_LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The largest share of a version's endpoints that is ejected at once, in parts per million.
pub const EJECTED_PPM_DEFAULT: u32 = 500_000;
/// Endpoints that must have enough requests before their success rates are compared.
pub const SUCCESS_RATE_ENDPOINTS_DEFAULT: u32 = 5;
/// Requests that make a success rate.
pub const SUCCESS_RATE_REQUESTS_DEFAULT: u32 = 100;
/// Standard deviations below the mean that eject an endpoint.
pub const SUCCESS_RATE_DEVIATIONS_DEFAULT: f64 = 1.9;
/// The most endpoints and requests that can be asked for.
pub const SUCCESS_RATE_COUNT_MAX: u32 = 1_000_000;
/// The shortest slow start.
pub const SLOW_START_MIN: Duration = Duration::from_millis(100);
/// The longest slow start.
pub const SLOW_START_MAX: Duration = Duration::from_secs(3600);
/// Points that one endpoint has on the ring of `ring_hash`: the share of one strays by about a tenth.
pub const RING_POINTS: usize = 128;
/// The longest part of a host name (RFC 1035).
pub const DNS_LABEL_MAX: usize = 63;
/// The longest host name (RFC 1035).
pub const DNS_NAME_MAX: usize = 253;
/// The most resolvers.
pub const DNS_RESOLVERS_MAX: usize = 8;
/// A name is not asked for again sooner.
pub const DNS_MIN_TTL_DEFAULT: Duration = Duration::from_secs(1);
/// A name is asked for again by then.
pub const DNS_MAX_TTL_DEFAULT: Duration = Duration::from_secs(300);
/// The shortest bound on a TTL that can be configured.
pub const DNS_TTL_LEAST: Duration = Duration::from_millis(100);
/// The longest bound on a TTL that can be configured.
pub const DNS_TTL_MOST: Duration = Duration::from_secs(24 * 3600);
/// For one question to one resolver.
pub const DNS_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
/// The shortest that can be configured.
pub const DNS_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// The longest that can be configured.
pub const DNS_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// The longest wait after a question that had no answer; it begins at the shortest TTL and doubles.
pub const DNS_RETRY_MAX: Duration = Duration::from_secs(30);
