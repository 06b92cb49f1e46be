//! From a tale to spans, by OpenTelemetry's conventions for HTTP (1.44): a server span for the request, and
//! below it a client span for each attempt.
//!
//! A route's name stands as `http.route`: it is of few values, as the conventions ask, and the path is not. A
//! span of the server's kind is an error from status 500 on, one of the client's kind from 400 on; that a
//! client went away is nobody's error. What only Serin knows stands under `serin.`.

use std::{borrow::Cow, str::FromStr, time::SystemTime};

use http::{Method, StatusCode, Version};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::SpanData;
use serin_config::{Address, Outcome};

use super::super::tale::{Attempt, Tale};
use crate::clock;

/// All spans of a request, the server's last: it is the one that ends last.
pub(super) fn spans(tale: &Tale, scope: &InstrumentationScope) -> Vec<SpanData> {
    let state = TraceState::from_str(tale.asked.tracestate()).unwrap_or_default();
    let made = Made { tale, scope, state };
    let attempts = tale.attempts.iter().enumerate().map(|(resent, attempt)| made.client(attempt, resent));
    attempts.chain([made.server()]).collect()
}

struct Made<'a> {
    tale: &'a Tale,
    scope: &'a InstrumentationScope,
    state: TraceState,
}

impl Made<'_> {
    fn server(&self) -> SpanData {
        let tale = self.tale;
        let context = &tale.context;
        let mut attributes = Vec::with_capacity(20);
        let method = push_method(&mut attributes, &tale.method);
        attributes.push(KeyValue::new("url.scheme", tale.scheme));
        attributes.push(KeyValue::new("url.path", tale.asked.path().to_owned()));
        push_text(&mut attributes, "url.query", tale.asked.query());
        push_host(&mut attributes, tale.asked.host());
        if let Some(client) = tale.client {
            attributes.push(KeyValue::new("client.address", client.to_string()));
        }
        push_text(&mut attributes, "user_agent.original", tale.asked.user_agent());
        attributes.push(KeyValue::new("network.protocol.version", protocol(tale.protocol)));
        push_status(&mut attributes, tale.status);
        if let Some(service) = &tale.service {
            attributes.push(KeyValue::new("serin.service", service.to_string()));
        }
        if let Some(last) = tale.attempts.last() {
            attributes.push(KeyValue::new("serin.version", last.names.version.to_string()));
        }
        attributes.push(KeyValue::new("serin.outcome", tale.outcome()));
        attributes
            .push(KeyValue::new("serin.generation", i64::try_from(tale.generation).unwrap_or(i64::MAX)));
        attributes.push(KeyValue::new("serin.attempts", i64::from(tale.attempts_made)));
        let wrong = match (tale.status, tale.attempts.last()) {
            (_, Some(last)) if is_broken(last.outcome) => Some(Cow::Borrowed(last.outcome.label())),
            (Some(status), _) if status.is_server_error() => {
                Some(tale.own_answer.map_or_else(|| status.as_str().to_owned().into(), Cow::Borrowed))
            }
            _ => None,
        };
        let name = match &tale.route {
            Some(route) => {
                attributes.push(KeyValue::new("http.route", route.to_string()));
                format!("{method} {route}").into()
            }
            None => method.into(),
        };
        let status = push_error(&mut attributes, wrong);
        let (parent, remote) = (context.caller.map_or(SpanId::INVALID, id), context.caller.is_some());
        let times = (clock::wall(tale.began), clock::wall(tale.ended));
        self.span(id(context.server), (parent, remote), SpanKind::Server, name, times, attributes, status)
    }

    fn client(&self, attempt: &Attempt, resent: usize) -> SpanData {
        let tale = self.tale;
        let mut attributes = Vec::with_capacity(14);
        let method = push_method(&mut attributes, &tale.method);
        push_endpoint(&mut attributes, attempt.endpoint.as_ref(), tale.asked.path());
        if let Some(version) = attempt.protocol {
            attributes.push(KeyValue::new("network.protocol.version", protocol(version)));
        }
        if resent > 0 {
            attributes
                .push(KeyValue::new("http.request.resend_count", i64::try_from(resent).unwrap_or(i64::MAX)));
        }
        push_status(&mut attributes, attempt.status);
        attributes.push(KeyValue::new("serin.service", attempt.names.service.to_string()));
        attributes.push(KeyValue::new("serin.version", attempt.names.version.to_string()));
        attributes.push(KeyValue::new("serin.outcome", attempt.outcome.label()));
        let wrong = match attempt.status {
            _ if is_broken(attempt.outcome) => Some(Cow::Borrowed(attempt.outcome.label())),
            Some(status) if status.is_client_error() || status.is_server_error() => {
                Some(status.as_str().to_owned().into())
            }
            _ => None,
        };
        let status = push_error(&mut attributes, wrong);
        let times = (clock::wall(attempt.began), clock::wall(attempt.ended));
        let parent = (id(tale.context.server), false);
        self.span(id(attempt.span), parent, SpanKind::Client, method.into(), times, attributes, status)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a span, put together in one place")]
    fn span(
        &self,
        span: SpanId,
        (parent_span_id, parent_span_is_remote): (SpanId, bool),
        span_kind: SpanKind,
        name: Cow<'static, str>,
        (start_time, end_time): (SystemTime, SystemTime),
        attributes: Vec<KeyValue>,
        status: Status,
    ) -> SpanData {
        let context = &self.tale.context;
        let trace = TraceId::from_bytes(context.trace.get().to_be_bytes());
        let flags = TraceFlags::new(context.flags.bits());
        SpanData {
            span_context: SpanContext::new(trace, span, flags, false, self.state.clone()),
            parent_span_id,
            parent_span_is_remote,
            span_kind,
            name,
            start_time,
            end_time: end_time.max(start_time),
            attributes,
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// An outcome that a status does not tell: nothing came, or not all of it, or gRPC says that it failed.
fn is_broken(outcome: Outcome) -> bool {
    outcome.is_failure() && outcome != Outcome::Http5xx
}

fn id(span: serin_split::trace::SpanId) -> SpanId {
    SpanId::from_bytes(span.get().to_be_bytes())
}

/// Methods that the conventions know; of others the name is not of few values.
fn push_method(attributes: &mut Vec<KeyValue>, method: &Method) -> &'static str {
    const KNOWN: [&str; 10] =
        ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];
    match KNOWN.iter().find(|known| **known == method.as_str()) {
        Some(known) => {
            attributes.push(KeyValue::new("http.request.method", *known));
            known
        }
        None => {
            attributes.push(KeyValue::new("http.request.method", "_OTHER"));
            let original = method.as_str().chars().take(64).collect::<String>();
            attributes.push(KeyValue::new("http.request.method_original", original));
            "HTTP"
        }
    }
}

fn push_text(attributes: &mut Vec<KeyValue>, key: &'static str, text: &str) {
    if !text.is_empty() {
        attributes.push(KeyValue::new(key, text.to_owned()));
    }
}

/// `host` or `host:port`; an IPv6 address stands in brackets.
fn push_host(attributes: &mut Vec<KeyValue>, authority: &str) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (host, port.parse::<u16>().ok())
        }
        _ => (authority, None),
    };
    push_text(attributes, "server.address", host.trim_start_matches('[').trim_end_matches(']'));
    if let Some(port) = port {
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
}

/// `url.full` leaves the query out, as it may hold secrets.
fn push_endpoint(attributes: &mut Vec<KeyValue>, endpoint: Option<&Address>, path: &str) {
    match endpoint {
        Some(Address::Tcp(address)) => {
            attributes.push(KeyValue::new("server.address", address.ip().to_string()));
            attributes.push(KeyValue::new("server.port", i64::from(address.port())));
            attributes.push(KeyValue::new("url.full", format!("http://{address}{path}")));
        }
        Some(Address::Unix(socket)) => {
            attributes.push(KeyValue::new("server.address", socket.display().to_string()));
            attributes.push(KeyValue::new("network.transport", "unix"));
        }
        None => {}
    }
}

fn push_status(attributes: &mut Vec<KeyValue>, status: Option<StatusCode>) {
    if let Some(status) = status {
        attributes.push(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    }
}

fn push_error(attributes: &mut Vec<KeyValue>, wrong: Option<Cow<'static, str>>) -> Status {
    match wrong {
        Some(wrong) => {
            attributes.push(KeyValue::new("error.type", wrong));
            Status::error("")
        }
        None => Status::Unset,
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
