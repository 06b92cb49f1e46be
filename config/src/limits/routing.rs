//! Bounds of routes, and what they do to a request.

use std::time::Duration;

/// The longest regular expression, in characters.
pub const REGEX_CHARS_MAX: usize = 1024;
/// The most memory of one compiled regular expression, and of what it keeps while it matches.
pub const REGEX_COMPILED_BYTES_MAX: usize = 256 * 1024;
/// The most values or fields in one list of a route: methods, conditions, header changes.
pub const ROUTE_ITEMS_MAX: usize = 64;
/// The longest value of a header that the file gives, or that a route compares with.
pub const VALUE_BYTES_MAX: usize = 4096;
/// The largest body of an answer that the file gives.
pub const RESPOND_BODY_BYTES_MAX: usize = 64 * 1024;
/// The most overrides of one service.
pub const OVERRIDES_MAX: usize = 64;
/// The highest priority of a route.
pub const PRIORITY_MAX: u64 = 1_000_000;
/// The highest rate, and burst, of a rate limit.
pub const RATE_MAX: u64 = 1_000_000;
/// The lowest rate of a rate limit: one request in a day.
pub const RATE_MIN: f64 = 1.0 / 86_400.0;
/// Clients whose buckets one rate limit tells apart, all workers together; the fullest bucket gives way, which
/// is the one that its client missed least. 16 bytes each.
pub const RATE_LIMIT_KEYS_MAX: usize = 65_536;
/// Copies of requests under way at once, to a mirror.
pub const MIRROR_IN_FLIGHT_DEFAULT: u64 = 64;
/// The longest body of a request that is copied.
pub const MIRROR_BODY_DEFAULT: u64 = 64 * 1024;
/// The longest body of copied requests that can be configured.
pub const MIRROR_BODY_MAX: u64 = 1024 * 1024;
/// Time for a copy and its whole answer.
pub const MIRROR_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);
/// The longest answer to a copy that is read to its end, to be compared; the connection of a longer one is closed.
pub const MIRROR_ANSWER_MAX: u64 = 16 * 1024 * 1024;
