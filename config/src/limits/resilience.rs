//! Bounds of trying again, shedding, breaking off on purpose.

use std::time::Duration;

/// A request sent over an idle connection that the endpoint had just closed may go out again this often.
pub const STALE_CONNECTION_RETRIES_MAX: u32 = 2;
/// The longest request body that is kept to be sent again, unless the file says otherwise.
pub const REPLAY_BYTES_DEFAULT: usize = 64 * 1024;
/// The longest that can be configured.
pub const REPLAY_BYTES_MAX: usize = 1024 * 1024;
/// The most tries of one request beyond the first.
pub const RETRIES_MAX: u64 = 10;
/// The longest wait before a try that can be configured.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// The most requests that may wait for a place at one version.
pub const PENDING_MAX: usize = 100_000;
/// The longest body of a fallback answer, in bytes.
pub const FALLBACK_BYTES_MAX: usize = 64 * 1024;
/// The most header fields of a fallback answer.
pub const FALLBACK_FIELDS_MAX: usize = 32;
/// The least that can be configured as the memory that there is: below, the process alone takes most of it.
pub const MEMORY_LEAST: u64 = 16 * 1024 * 1024;
/// From this share of the memory that there is, in per cent, new requests are refused.
pub const MEMORY_SHED_PERCENT: u64 = 95;
/// Below this share they are taken again.
pub const MEMORY_TAKE_PERCENT: u64 = 90;
/// Injected faults at once.
pub const FAULTS_MAX: usize = 64;
/// The longest that an injected fault may last.
pub const FAULT_LIFE_MAX: Duration = Duration::from_secs(3600);
/// The longest that an injected fault may hold a request.
pub const FAULT_DELAY_MAX: Duration = Duration::from_secs(60);
/// How often housekeeping looks for versions that hang, and moves adaptive limits.
pub const RESILIENCE_TICK: Duration = Duration::from_millis(100);
/// The most that can be configured of client connections, and of requests in flight to one version.
pub const CONCURRENCY_MAX: usize = 1_000_000;
