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
/// Seconds that wait to be added to the whole; beyond it the next one holds them, too.
pub const PAGES_QUEUED_MAX: usize = 16;
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
/// The longest head of an answer that is read.
pub const ANSWER_HEAD_BYTES_MAX: usize = 256 * 1024;
/// The most fields of such a head.
pub const ANSWER_HEADERS_MAX: usize = 100;
/// What a connection reads at once. It is never filled beyond the longest head.
pub const READ_BUFFER_BYTES: usize = 16 * 1024;
/// What a server may send on one HTTP/2 stream before it is read.
pub const HTTP2_STREAM_WINDOW: u32 = 1024 * 1024;
/// The same for all streams of a connection.
pub const HTTP2_CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// Requests at once on one HTTP/2 connection, where the caller names no other number; servers usually allow 100.
pub const HTTP2_STREAMS_DEFAULT: usize = 100;
/// The most of them.
pub const HTTP2_STREAMS_MAX: usize = 10_000;
/// Requests of different kinds in one mix.
pub const ASKS_MAX: usize = 200;
/// The largest body of a request.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most users of one load.
pub const USERS_MAX: u32 = 10_000_000;
/// The largest file of a mix.
pub const MIX_BYTES_MAX: usize = 1024 * 1024;
/// The stages of one schedule.
pub const STAGES_MAX: usize = 100;
/// The longest load.
pub const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The most threads of one load.
pub const THREADS_MAX: usize = 64;
/// The largest record that is read.
pub const RECORD_BYTES_MAX: usize = 512 * 1024 * 1024;
/// The seconds whose histograms a report keeps; a longer load keeps its last ones.
pub const SECONDS_KEPT_MAX: usize = 24 * 3600;
/// The longest part of an experiment, in seconds, but for a fault, whose end the proxy bounds.
pub const EXPERIMENT_SECONDS_MAX: u64 = 24 * 3600;
/// The most proxies in which an experiment injects its faults.
pub const PROXIES_MAX: usize = 64;
/// The largest answer of an admin listener about faults.
pub const ADMIN_ANSWER_BYTES_MAX: usize = 1024 * 1024;
