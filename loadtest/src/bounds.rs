//! Every bound of the load generator and of the stub, by name. They protect the measurement from itself: a
//! generator that queues without end measures its own memory.

use std::time::Duration;

/// The highest rate that a schedule may ask for, in requests a second: ten times what one core delivers.
pub const RATE_MAX: f64 = 200_000.0;
/// Connections, and so HTTP/1.1 requests in flight, of one load, where the caller names no other bound.
pub const CONNECTIONS_DEFAULT: usize = 512;
/// The most connections that one load may ask for.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Requests that are due and wait for a connection; beyond it they are missed, and counted so.
pub const WAITING_MAX: usize = 20_000;
/// Time for one exchange, connecting included, where the caller names no other bound.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// A request that leaves later than this after it was due counts as late.
pub const LATE_AFTER: Duration = Duration::from_millis(10);
/// The shortest sleep of the pacer: requests due within it leave together. Their due times stay exact.
pub const PACER_TICK: Duration = Duration::from_micros(250);
/// How long a closed-loop connection rests after a failure, so that a refused connection is no busy loop.
pub const FAILURE_PAUSE: Duration = Duration::from_millis(1);
/// Snapshots that wait for their reader; beyond it the newest is dropped and counted.
pub const SNAPSHOTS_QUEUED_MAX: usize = 64;
/// Version labels that are told apart; further ones are counted together.
pub const VERSIONS_MAX: usize = 32;
/// The longest version label, in bytes; the rest is cut.
pub const VERSION_BYTES_MAX: usize = 128;
/// The largest body that is kept for a check of the answer; a longer one fails the check.
pub const CHECKED_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Connections that a stub serves at once; further ones wait in the kernel.
pub const STUB_CONNECTIONS_MAX: usize = 4096;
/// The largest body that a stub answers with.
pub const STUB_BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest latency that a stub draws from its distribution.
pub const STUB_LATENCY_MAX: Duration = Duration::from_secs(30);
/// How long a stub that could not accept a connection waits before it tries again.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
