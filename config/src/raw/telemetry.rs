//! What is told about the traffic, as it is written.

use std::time::Duration;

use super::{
    decode::Named,
    leaf::{OrNone, SecretSource},
    record::record,
};
use crate::{
    telemetry::{B3, OtlpProtocol},
    weight::Weight,
};

record! {
    /// What is told about the traffic.
    pub struct Telemetry {
        /// The name of this process in windows, metrics and spans, and among the control planes of one store. Default: serin;
        /// the host's name for serin proxy and serin control.
        @ instance: String,
        /// The share of the traces that begin here which are marked as sampled; what comes with a trace
        /// context keeps its own mark. Default: 1%.
        @ trace_sampling: Weight,
        /// The same for the version under test of each service. A version's own trace_sampling goes before
        /// both. Default: as trace_sampling.
        @ canary_trace_sampling: Weight,
        /// Whether B3 headers are spoken beside W3C Trace Context: off, in (a context is taken from them
        /// where there is no traceparent) or both (endpoints get them, too). Default: off, they pass as they
        /// are.
        @ b3: B3,
        /// true: spans of failed requests are exported although their trace is not sampled. Default: true.
        @ keep_errors: bool,
        /// The same for requests whose answer took longer than this to begin; none keeps no slow ones.
        /// Default: 1s.
        @ keep_slower_than: OrNone,
        /// true: queries are part of spans and access log lines. Default: false, since they often hold
        /// secrets.
        @ record_query: bool,
        /// Where spans go, by OTLP. Default: nowhere, and none are made.
        @ otlp: Otlp,
        /// A JSON object a line for each request. Default: none.
        @ access_log: AccessLog,
        /// true: adds x-serin-version and x-serin-generation to requests and responses. Default: false, since
        /// clients would learn who is on the canary.
        @ debug_headers: bool,
    }

    /// An OTLP receiver for spans, such as an OpenTelemetry collector. One that is slow or gone costs spans
    /// and nothing else.
    pub struct Otlp {
        /// Where it is: http://HOST:PORT. For protocol http a path may follow; without one it is /v1/traces.
        required @ endpoint: String,
        /// grpc (usually port 4317) or http (protobuf, usually port 4318). Default: grpc.
        @ protocol: OtlpProtocol,
        /// Headers that every export carries, by name; each value is "${NAME}" for an environment variable or
        /// "${file:PATH}" for a file, relative to this file's directory. Default: none.
        @ headers: Named<String, SecretSource>,
        /// How long an export may take, retries included. Default: 10s.
        @ timeout: Duration,
        /// Requests whose spans wait for export; what is more is dropped and counted. Default: 2048.
        @ queue: u64,
        /// service.name of the resource. Default: serin.
        @ service_name: String,
        /// Further attributes of the resource, such as { deployment.environment.name: staging }. Default:
        /// none.
        @ attributes: Named<String, String>,
    }

    /// The access log: a JSON object a line, written beside the traffic; lines that can't be written in time
    /// are dropped and counted.
    pub struct AccessLog {
        /// stdout, or a file, relative to this file's directory; it is opened again on SIGUSR1.
        required @ path: String,
        /// The share of requests that are logged. Default: 100%.
        @ sample: Weight,
        /// true: failed requests are logged whatever the share. Default: true.
        @ keep_errors: bool,
    }
}
