//! One line of the access log: a JSON object.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use serin_config::{RouteName, ServiceName, moment};

use super::super::tale::Tale;

/// Its fields, in their order; what is not known is left out.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    sampled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    query: &'a str,
    scheme: &'a str,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    generation: u64,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    own_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers_us: Option<u64>,
    total_us: u64,
    bytes_in: u64,
    bytes_out: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_agent: &'a str,
}

/// Writes the line of a request that began at `began` by the wall clock, with its end of line.
pub(super) fn write(tale: &Tale, began: SystemTime, to: &mut Vec<u8>) -> io::Result<()> {
    let last = tale.attempts.last();
    let line = Line {
        time: moment::rfc3339_micros(micros(began.duration_since(UNIX_EPOCH).unwrap_or_default())),
        trace_id: tale.context.trace.to_string(),
        span_id: tale.recorded.then(|| tale.context.server.to_string()),
        sampled: tale.context.is_sampled(),
        client: tale.client.map(|client| client.to_string()),
        method: tale.method.as_str(),
        host: tale.asked.host(),
        path: tale.asked.path(),
        query: tale.asked.query(),
        scheme: tale.scheme,
        protocol: protocol(tale.protocol),
        status: tale.status.map(|status| status.as_u16()),
        outcome: tale.outcome(),
        service: tale.service.as_ref().map(ServiceName::as_str),
        version: last.map(|attempt| attempt.names.version.as_str()),
        route: tale.route.as_ref().map(RouteName::as_str),
        endpoint: last.and_then(|attempt| attempt.endpoint.as_ref()).map(ToString::to_string),
        generation: tale.generation,
        attempts: tale.attempts_made,
        own_us: tale.own.map(micros),
        headers_us: tale.answered.map(|at| micros(at.saturating_duration_since(tale.began))),
        total_us: micros(tale.ended.saturating_duration_since(tale.began)),
        bytes_in: tale.bytes_in,
        bytes_out: tale.bytes_out,
        user_agent: tale.asked.user_agent(),
    };
    serde_json::to_writer(&mut *to, &line)?;
    to.write_all(b"\n")
}

fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_2 => "HTTP/2",
        http::Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
