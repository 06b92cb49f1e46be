//! The names of all metrics of the data plane, and the handles of those that are counted one by one.
//!
//! What is counted per version comes from the tallies and is written by [`super::export`]. The rest is rare
//! and goes through the `metrics` facade.

use std::sync::OnceLock;

use metrics::{Counter, counter, describe_counter};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serin_config::{RouteName, ServiceName, VersionName};
use serin_split::{abuse::Abuse, resilience::tripwire::Reason};

use super::{access_log::LogCounters, spans::SpanCounters};
use crate::shared::VersionKey;

/// Attempts by outcome.
pub(crate) const REQUESTS: &str = "serin_requests_total";
/// Of those, the ones that have no part in the comparison of versions, by reason.
pub(crate) const UNJUDGED: &str = "serin_requests_unjudged_total";
/// Time from the request's head to the end of the response (OpenTelemetry's `http.server.request.duration`).
pub(crate) const REQUEST_DURATION: &str = "http_server_request_duration_seconds";
/// Time from the request's head to the response's head, of attempts that did not fail.
pub(crate) const HEADERS_DURATION: &str = "serin_response_headers_duration_seconds";
/// The proxy's own part of a request.
pub(crate) const OWN_DURATION: &str = "serin_proxy_duration_seconds";
/// Requests in flight.
pub(crate) const IN_FLIGHT: &str = "serin_requests_in_flight";
/// Open client connections.
pub(crate) const CLIENT_CONNECTIONS: &str = "serin_client_connections";
/// The same, by the worker that serves them.
pub(crate) const WORKER_CONNECTIONS: &str = "serin_worker_client_connections";
/// Attempts, by the worker that made them.
pub(crate) const WORKER_REQUESTS: &str = "serin_worker_requests_total";
/// Unused connections to endpoints.
pub(crate) const IDLE_CONNECTIONS: &str = "serin_endpoint_idle_connections";
/// The plan in force.
pub(crate) const GENERATION: &str = "serin_plan_generation";
/// The weights in force.
pub(crate) const WEIGHT: &str = "serin_plan_weight_ratio";
/// The shares in force of requests that are copied.
pub(crate) const MIRROR: &str = "serin_plan_mirror_ratio";
/// Reloads of the configuration.
pub(crate) const RELOADS: &str = "serin_config_reloads_total";
/// Whether the last reload was taken.
pub(crate) const RELOAD_SUCCESSFUL: &str = "serin_config_last_reload_successful";
/// When the last reload was taken.
pub(crate) const RELOAD_TIME: &str = "serin_config_last_reload_success_timestamp_seconds";
/// What was built.
pub(crate) const BUILD_INFO: &str = "serin_build_info";

/// How long certificates are still good.
pub(crate) const CERTIFICATE_EXPIRY: &str = "serin_tls_certificate_expiry_seconds";
const CERTIFICATE_RELOADS: &str = "serin_tls_certificate_reloads_total";
const TLS_HANDSHAKES: &str = "serin_tls_handshakes_total";
const TLS_HANDSHAKE_FAILURES: &str = "serin_tls_handshake_failures_total";
const PROXY_PROTOCOL_REFUSED: &str = "serin_proxy_protocol_refused_total";
/// Whether an endpoint is in use.
pub(crate) const ENDPOINT_UP: &str = "serin_endpoint_up";
/// Endpoints that were left out for a while.
pub(crate) const ENDPOINT_EJECTIONS: &str = "serin_endpoint_ejections_total";
const SPILLED: &str = "serin_split_spilled_total";
const HEALTH_CHECKS: &str = "serin_endpoint_health_checks_total";
const SEARCHES: &str = "serin_endpoint_searches_total";
/// Copies of requests by outcome.
pub(crate) const MIRROR_REQUESTS: &str = "serin_mirror_requests_total";
/// Time from a copy to the end of its answer.
pub(crate) const MIRROR_DURATION: &str = "serin_mirror_duration_seconds";
const MIRROR_DROPPED: &str = "serin_mirror_dropped_total";
const MIRROR_COMPARED: &str = "serin_mirror_compared_total";
const MIRROR_DIFFERENCES: &str = "serin_mirror_differences_total";
/// Second tries by the version that they were made at.
const RETRIES: &str = "serin_retries_total";
/// Second tries that the budget did not allow.
const RETRIES_SPARED: &str = "serin_retries_over_budget_total";
/// Failed requests of the canary that the stable version took over.
const SHIELDED: &str = "serin_shielded_total";
/// Canaries that were taken out at once.
const TRIPS: &str = "serin_trips_total";
/// Requests that an injected fault hit.
const FAULTS: &str = "serin_faults_injected_total";
/// Whether the trip-wire holds a version out.
pub(crate) const TRIPPED: &str = "serin_version_tripped";
/// Whether a version gets few requests yet because it is new.
pub(crate) const PROBED: &str = "serin_version_probed";
/// Whether a breaker was opened by hand.
pub(crate) const BREAKER_OPEN: &str = "serin_breaker_open";
/// Requests that wait for a place at a version.
pub(crate) const PENDING: &str = "serin_requests_pending";
/// The adaptive limit in force.
pub(crate) const ADAPTIVE_LIMIT: &str = "serin_adaptive_limit";

const REFUSED: &str = "serin_requests_refused_total";
const RATE_LIMITED: &str = "serin_requests_rate_limited_total";
const CONNECTIONS_REFUSED: &str = "serin_client_connections_refused_total";
const CLIENT_ABUSE: &str = "serin_client_abuse_total";
const WINDOWS_DROPPED: &str = "serin_windows_dropped_total";
const SPANS_EXPORTED: &str = "serin_spans_exported_total";
const SPANS_DROPPED: &str = "serin_spans_dropped_total";
const LOG_WRITTEN: &str = "serin_access_log_lines_total";
const LOG_DROPPED: &str = "serin_access_log_dropped_total";

/// Handles of what is counted about spans.
pub(crate) fn span_counters() -> SpanCounters {
    describe_counter!(SPANS_EXPORTED, "Spans that the OTLP receiver took.");
    describe_counter!(
        SPANS_DROPPED,
        "Spans that were not exported, by reason; for rate_limited, failed or slow requests whose spans were not kept."
    );
    SpanCounters {
        exported: counter!(SPANS_EXPORTED),
        queue_full: counter!(SPANS_DROPPED, "reason" => "queue_full"),
        export_failed: counter!(SPANS_DROPPED, "reason" => "export_failed"),
        rate_limited: counter!(SPANS_DROPPED, "reason" => "rate_limited"),
    }
}

/// Handles of what is counted about the access log.
pub(crate) fn log_counters() -> LogCounters {
    describe_counter!(LOG_WRITTEN, "Lines of the access log that were written.");
    describe_counter!(LOG_DROPPED, "Lines of the access log that were not written, by reason.");
    LogCounters {
        written: counter!(LOG_WRITTEN),
        queue_full: counter!(LOG_DROPPED, "reason" => "queue_full"),
        write_failed: counter!(LOG_DROPPED, "reason" => "write_failed"),
    }
}

/// Handles of the rare counters.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) bad_request: Counter,
    pub(crate) no_route: Counter,
    pub(crate) shed_memory: Counter,
    pub(crate) shed_requests: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) windows_dropped: Counter,
    /// One for each kind, at its number.
    client_abuse: [Counter; Abuse::ALL.len()],
}

impl Counters {
    /// Fetches the handles; a recorder must be installed before, or they count nothing.
    pub(crate) fn register() -> Self {
        describe_counter!(RETRIES, "Second tries by the version that they were made at.");
        describe_counter!(RETRIES_SPARED, "Second tries that the budget did not allow.");
        describe_counter!(SHIELDED, "Failed requests of the canary that the stable version took over.");
        describe_counter!(TRIPS, "Canaries that the trip-wire took out, by reason.");
        describe_counter!(FAULTS, "Requests that an injected fault hit, by kind.");
        describe_counter!(REFUSED, "Requests that reached no version, by reason.");
        describe_counter!(RATE_LIMITED, "Requests over the limit of their route.");
        describe_counter!(
            CONNECTIONS_REFUSED,
            "Client connections closed at once because there were too many."
        );
        describe_counter!(
            CLIENT_ABUSE,
            "Client connections closed, and streams given up, that were slow or flooded, by kind."
        );
        describe_counter!(WINDOWS_DROPPED, "Windows that the control plane did not take in time.");
        Self {
            bad_request: counter!(REFUSED, "reason" => "bad_request"),
            no_route: counter!(REFUSED, "reason" => "no_route"),
            shed_memory: counter!(REFUSED, "reason" => "memory"),
            shed_requests: counter!(REFUSED, "reason" => "in_flight"),
            connections_refused: counter!(CONNECTIONS_REFUSED),
            windows_dropped: counter!(WINDOWS_DROPPED),
            client_abuse: Abuse::ALL.map(|abuse| counter!(CLIENT_ABUSE, "kind" => abuse.label())),
        }
    }
}

impl Counters {
    /// Clients were cut off in this way.
    pub(crate) fn abused(&self, abuse: Abuse, times: u64) {
        if let Some(counter) = self.client_abuse.get(abuse as usize) {
            counter.increment(times);
        }
    }
}

/// Handles of what is counted of a version's endpoints.
#[derive(Debug, Clone)]
pub(crate) struct EndpointCounters {
    pub(crate) passed: Counter,
    pub(crate) failed: Counter,
    pub(crate) found: Counter,
    pub(crate) not_found: Counter,
}

impl EndpointCounters {
    /// Fetches the handles.
    pub(crate) fn register(service: &ServiceName, version: &VersionName) -> Self {
        describe_counter!(HEALTH_CHECKS, "Health checks of endpoints, by result.");
        describe_counter!(
            SEARCHES,
            "Questions to DNS, and changed files, that endpoints were looked for in, by result."
        );
        let of = |name: &'static str, result: &'static str| {
            let (service, version) = (service.to_string(), version.to_string());
            counter!(name, "service" => service, "version" => version, "result" => result)
        };
        Self {
            passed: of(HEALTH_CHECKS, "pass"),
            failed: of(HEALTH_CHECKS, "fail"),
            found: of(SEARCHES, "success"),
            not_found: of(SEARCHES, "failure"),
        }
    }
}

/// Requests that another version took over.
pub(crate) fn spilled(service: &str, from: &str, to: &str) -> Counter {
    describe_counter!(
        SPILLED,
        "Requests whose version had no endpoint that was ready, and that another one took over."
    );
    let (service, from, to) = (service.to_owned(), from.to_owned(), to.to_owned());
    counter!(SPILLED, "service" => service, "from" => from, "to" => to)
}

/// Handshakes with clients that led to a secure connection.
pub(crate) fn tls_handshakes(listener: &str, version: &'static str, resumed: bool) -> Counter {
    describe_counter!(
        TLS_HANDSHAKES,
        "TLS handshakes with clients, by version and whether a session was resumed."
    );
    let resumed = if resumed { "true" } else { "false" };
    counter!(TLS_HANDSHAKES, "listener" => listener.to_owned(), "version" => version, "resumed" => resumed)
}

/// Handshakes with clients that failed.
pub(crate) fn tls_handshake_failures(listener: &str, reason: &'static str) -> Counter {
    describe_counter!(TLS_HANDSHAKE_FAILURES, "TLS handshakes with clients that failed, by reason.");
    counter!(TLS_HANDSHAKE_FAILURES, "listener" => listener.to_owned(), "reason" => reason)
}

/// Connections without the PROXY protocol header that they must begin with.
pub(crate) fn proxy_protocol_refused(listener: &str, reason: &'static str) -> Counter {
    describe_counter!(
        PROXY_PROTOCOL_REFUSED,
        "Connections closed because of their PROXY protocol header, by reason."
    );
    counter!(PROXY_PROTOCOL_REFUSED, "listener" => listener.to_owned(), "reason" => reason)
}

/// Changed certificate files, and whether they were taken.
pub(crate) fn certificate_reload(taken: bool) {
    certificate_reloads(taken).increment(1);
}

fn certificate_reloads(taken: bool) -> Counter {
    describe_counter!(CERTIFICATE_RELOADS, "Changed files of certificates, by whether they were taken.");
    counter!(CERTIFICATE_RELOADS, "result" => if taken { "success" } else { "failure" })
}

/// Handles for the copies that a version gets.
pub(crate) struct MirrorCounters {
    /// Not copied: too many copies are under way.
    pub(crate) too_many: Counter,
    /// Not copied: the body is too long.
    pub(crate) too_long: Counter,
    /// Not copied: the request broke off.
    pub(crate) unfinished: Counter,
    /// Not copied: the version has no endpoint that is ready.
    pub(crate) no_endpoint: Counter,
    /// Answers that were compared, and in what they differed.
    pub(crate) compared: Counter,
    pub(crate) status: Counter,
    pub(crate) length: Counter,
    pub(crate) slower: Counter,
}

impl MirrorCounters {
    /// Fetches the handles.
    pub(crate) fn new(service: &ServiceName, version: &VersionName) -> Self {
        describe_counter!(MIRROR_DROPPED, "Requests that should have been copied and were not, by reason.");
        describe_counter!(MIRROR_COMPARED, "Copies whose answer was compared with the real one.");
        describe_counter!(MIRROR_DIFFERENCES, "Copies whose answer differed from the real one, by what.");
        let own = || [("service", service.to_string()), ("version", version.to_string())];
        let labelled = |name: &'static str, key: &'static str, value: &'static str| {
            let [service, version] = own();
            counter!(name, &[service, version, (key, value.to_owned())])
        };
        let dropped = |reason| labelled(MIRROR_DROPPED, "reason", reason);
        let differs = |kind| labelled(MIRROR_DIFFERENCES, "kind", kind);
        Self {
            too_many: dropped("in_flight"),
            too_long: dropped("body"),
            unfinished: dropped("unfinished"),
            no_endpoint: dropped("no_endpoint"),
            compared: counter!(MIRROR_COMPARED, &own()),
            status: differs("status"),
            length: differs("length"),
            slower: differs("latency"),
        }
    }
}

/// The handle for requests over the limit of a route.
pub(crate) fn rate_limited(route: &RouteName) -> Counter {
    counter!(RATE_LIMITED, "route" => route.to_string())
}

/// The counter of second tries at a version.
pub(crate) fn retried((service, version): &VersionKey) -> Counter {
    counter!(RETRIES, "service" => service.to_string(), "version" => version.to_string())
}

/// The counter of second tries at a version that the budget did not allow.
pub(crate) fn retries_spared((service, version): &VersionKey) -> Counter {
    counter!(RETRIES_SPARED, "service" => service.to_string(), "version" => version.to_string())
}

/// The counter of requests that a version took over from a failed canary.
pub(crate) fn shielded((service, version): &VersionKey) -> Counter {
    counter!(SHIELDED, "service" => service.to_string(), "version" => version.to_string())
}

/// A canary was taken out at once: counts it, and says so in the log.
#[cold]
pub(crate) fn tripped((service, version): &VersionKey, reason: &Reason) {
    let (name, of, kind) = (service.to_string(), version.to_string(), reason.label());
    counter!(TRIPS, "service" => name, "version" => of, "reason" => kind).increment(1);
    tracing::warn!(%service, %version, %reason, "the trip-wire took the canary out");
}

/// A request was hit by an injected fault.
#[cold]
pub(crate) fn injected((service, version): &VersionKey, kind: &'static str) {
    let (service, version) = (service.to_string(), version.to_string());
    counter!(FAULTS, "service" => service, "version" => version, "kind" => kind).increment(1);
}

/// Installs the process's recorder, once.
pub(crate) fn recorder() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!(
                "another recorder of metrics is installed: rare counters are missing from /metrics"
            );
        }
        handle
    };
    HANDLE.get_or_init(install).clone()
}
