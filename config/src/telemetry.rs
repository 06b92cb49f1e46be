//! What is told about the traffic: traces, spans, the access log.

use std::{path::PathBuf, time::Duration};

use crate::{secret::Secret, weight::Weight};

/// The name of a proxy, unless the file says otherwise.
pub const INSTANCE_DEFAULT: &str = "serin";
/// The name of the service in spans, unless the file says otherwise.
pub const SERVICE_NAME_DEFAULT: &str = "serin";
/// The share of traces that are sampled, unless the file says otherwise.
pub const TRACE_SAMPLING_DEFAULT: Weight = match Weight::from_ppm(10_000) {
    Some(share) => share,
    None => Weight::ZERO,
};
/// What is slow enough to be kept, unless the file says otherwise.
pub const KEEP_SLOWER_THAN_DEFAULT: Duration = Duration::from_secs(1);
/// How long an export may take, retries included, unless the file says otherwise: OpenTelemetry's default.
pub const OTLP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Requests whose spans wait for export, unless the file says otherwise: OpenTelemetry's default.
pub const OTLP_QUEUE_DEFAULT: usize = 2_048;
/// The path of OTLP over HTTP for traces, where the endpoint has none.
pub const OTLP_HTTP_PATH: &str = "/v1/traces";

/// What is told about the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// The name of this proxy in windows, metrics and spans.
    pub instance: String,
    /// The share of the traces that begin here which are marked as sampled. Default 1 %. What comes with a
    /// trace context keeps its own mark.
    pub trace_sampling: Weight,
    /// The same for the version under test, where that has none of its own; as all others if absent.
    pub canary_trace_sampling: Option<Weight>,
    /// Whether B3 is spoken beside W3C Trace Context. Off by default.
    pub b3: B3,
    /// Whether spans of failed requests are exported although their trace is not sampled. On by default.
    pub keep_errors: bool,
    /// The same for requests whose answer took longer than this to begin. One second by default; none keeps
    /// no slow ones.
    pub keep_slower_than: Option<Duration>,
    /// Whether queries are part of spans and access log lines. Off by default: they often hold secrets.
    pub record_query: bool,
    /// Where spans go. Absent by default: none are made.
    pub otlp: Option<Otlp>,
    /// A line for each request. Absent by default.
    pub access_log: Option<AccessLog>,
    /// Adds `x-serin-version` and `x-serin-generation` to requests and responses. Off by default: clients
    /// would learn who is on the canary.
    pub debug_headers: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            instance: INSTANCE_DEFAULT.into(),
            trace_sampling: TRACE_SAMPLING_DEFAULT,
            canary_trace_sampling: None,
            b3: B3::Off,
            keep_errors: true,
            keep_slower_than: Some(KEEP_SLOWER_THAN_DEFAULT),
            record_query: false,
            otlp: None,
            access_log: None,
            debug_headers: false,
        }
    }
}

/// Whether B3 (`b3`, `x-b3-…`) is spoken beside W3C Trace Context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum B3 {
    /// Its headers pass like any others.
    #[default]
    Off,
    /// Where there is no `traceparent`, the context is taken from B3; endpoints get `traceparent`.
    In,
    /// The same, and endpoints get B3 too.
    Both,
}

/// An OTLP receiver for spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otlp {
    /// `http://HOST:PORT`, for HTTP with its path.
    pub endpoint: String,
    /// How it is talked to.
    pub protocol: OtlpProtocol,
    /// Headers (metadata) that every export carries; names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// How long an export may take, retries included.
    pub timeout: Duration,
    /// Requests whose spans wait for export; what is more is dropped and counted.
    pub queue: usize,
    /// `service.name` of the resource.
    pub service_name: String,
    /// Further attributes of the resource.
    pub attributes: Vec<(String, String)>,
}

/// How an OTLP receiver is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtlpProtocol {
    /// gRPC, usually on port 4317.
    #[default]
    Grpc,
    /// Protobuf over HTTP/1.1, usually on port 4318.
    Http,
}

/// The access log: a JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Where lines go.
    pub to: LogTarget,
    /// The share of requests that are logged. Default 100 %.
    pub sample: Weight,
    /// Whether failed requests are logged whatever the share. On by default.
    pub keep_errors: bool,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, opened again on SIGUSR1.
    File(PathBuf),
}
