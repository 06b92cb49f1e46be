//! Bounds of what is told of the traffic: spans, the access log, metrics.

use std::time::Duration;

/// The most requests whose spans may wait for export.
pub const OTLP_QUEUE_MAX: usize = 65_536;
/// Requests in one export of spans.
pub const OTLP_BATCH_MAX: usize = 512;
/// How long spans wait for others to be exported with.
pub const OTLP_BATCH_WAIT: Duration = Duration::from_millis(500);
/// Spans of attempts that are told of one request; later ones are counted only.
pub const ATTEMPTS_TOLD_MAX: usize = 8;
/// Unsampled traces of failed or slow requests that are kept in a second, all workers together: an outage
/// must not become one of the collector.
pub const KEPT_TRACES_PER_SECOND_MAX: u32 = 100;
/// Lines that wait for the access log's writer; what is more is dropped and counted.
pub const ACCESS_LOG_QUEUE_MAX: usize = 8_192;
/// Bytes of lines that are written at once.
pub const ACCESS_LOG_WRITE_BYTES: usize = 64 * 1024;
/// How often a file that can't be opened or written is tried again.
pub const ACCESS_LOG_RETRY: Duration = Duration::from_secs(1);
/// How long the end of the process waits for spans, and for lines, that are still to be written.
pub const TELEMETRY_FLUSH: Duration = Duration::from_secs(1);
/// The longest path that is told of a request, in bytes.
pub const TOLD_PATH_BYTES_MAX: usize = 2_048;
/// The longest query, host, user agent and `tracestate` that is told of a request, in bytes.
pub const TOLD_FIELD_BYTES_MAX: usize = 512;
/// The largest value in a latency histogram, in microseconds; longer ones are counted there.
pub const LATENCY_MAX_US: u64 = 60_000_000;
