//! Spans as the conventions want them, each from a tale made by hand.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;
use serin_config::{RouteName, ServiceName, VersionName, telemetry::B3};
use serin_split::trace::{Context, SpanId as OurSpanId};

use super::*;
use crate::observe::tale::{Asked, Names};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

fn attempt(outcome: Outcome, status: Option<u16>) -> Attempt {
    let now = Instant::now();
    Attempt {
        names: Arc::new(Names {
            service: ServiceName::try_new("shop").unwrap(),
            version: VersionName::try_new("v2").unwrap(),
        }),
        endpoint: Some("127.0.0.1:9001".parse().unwrap()),
        span: OurSpanId::random(0xabc),
        began: now,
        ended: now + Duration::from_millis(5),
        status: status.map(|status| StatusCode::from_u16(status).unwrap()),
        protocol: Some(Version::HTTP_11),
        outcome,
    }
}

fn tale(status: Option<u16>, attempts: Vec<Attempt>) -> Tale {
    let headers = HeaderMap::from_iter([("traceparent".parse().unwrap(), PARENT.parse().unwrap())]);
    let began = Instant::now();
    Tale {
        began,
        ended: began + Duration::from_millis(7),
        context: Context::receive(&headers, B3::Off, || 0x77),
        recorded: true,
        client: Some("192.0.2.7".parse().unwrap()),
        scheme: "http",
        protocol: Version::HTTP_2,
        method: Method::GET,
        asked: Asked::new("/cart", "", "shop.example:8080", "curl/8", "congo=1"),
        status: status.map(|status| StatusCode::from_u16(status).unwrap()),
        answered: Some(began),
        own_answer: None,
        generation: 41,
        route: Some(RouteName::try_new("shop-api").unwrap()),
        service: Some(ServiceName::try_new("shop").unwrap()),
        attempts_made: u32::try_from(attempts.len()).unwrap(),
        attempts,
        own: None,
        bytes_in: 0,
        bytes_out: 0,
    }
}

fn made(tale: &Tale) -> Vec<SpanData> {
    spans(tale, &InstrumentationScope::builder("serin").build())
}

fn value(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key)?;
    Some(found.value.as_str().into_owned())
}

#[test]
fn the_server_span_hangs_from_the_caller_and_the_client_span_from_it() {
    let spans = made(&tale(Some(200), vec![attempt(Outcome::Ok, Some(200))]));
    let [client, server] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&server.span_kind, &client.span_kind), (&SpanKind::Server, &SpanKind::Client));
    for span in [client, server] {
        assert_eq!(span.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.span_context.trace_flags().to_u8(), 3);
        assert_eq!(span.span_context.trace_state().header(), "congo=1");
        assert_eq!(span.status, Status::Unset);
    }
    assert_eq!(server.parent_span_id.to_string(), "b7ad6b7169203331");
    assert!(server.parent_span_is_remote && !client.parent_span_is_remote);
    assert_eq!(client.parent_span_id, server.span_context.span_id());
    assert_eq!(client.span_context.span_id().to_string(), "0000000000000abc");
    // The two clocks that a span is made from are read one after the other.
    let lasted = server.end_time.duration_since(server.start_time).unwrap();
    assert!((6..=7).contains(&lasted.as_millis()), "{lasted:?}");
    assert_eq!((&*server.name, &*client.name), ("GET shop-api", "GET"));
    for (key, expected) in [
        ("http.request.method", "GET"),
        ("http.route", "shop-api"),
        ("url.scheme", "http"),
        ("url.path", "/cart"),
        ("server.address", "shop.example"),
        ("server.port", "8080"),
        ("client.address", "192.0.2.7"),
        ("user_agent.original", "curl/8"),
        ("network.protocol.version", "2"),
        ("http.response.status_code", "200"),
        ("serin.service", "shop"),
        ("serin.version", "v2"),
        ("serin.outcome", "ok"),
        ("serin.generation", "41"),
    ] {
        assert_eq!(value(server, key).as_deref(), Some(expected), "{key}");
    }
    for (key, expected) in [
        ("server.address", "127.0.0.1"),
        ("server.port", "9001"),
        ("url.full", "http://127.0.0.1:9001/cart"),
        ("network.protocol.version", "1.1"),
        ("serin.version", "v2"),
    ] {
        assert_eq!(value(client, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(value(server, "error.type").or(value(client, "http.request.resend_count")), None);
}

#[test]
fn every_further_attempt_says_how_often_it_was_resent() {
    let attempts = vec![attempt(Outcome::ConnectFail, None), attempt(Outcome::Ok, Some(200))];
    let spans = made(&tale(Some(200), attempts));
    assert_eq!(value(&spans[0], "error.type").as_deref(), Some("connect_fail"));
    assert_eq!(value(&spans[0], "http.request.resend_count"), None);
    assert_eq!(value(&spans[1], "http.request.resend_count").as_deref(), Some("1"));
    assert_eq!(value(&spans[2], "serin.attempts").as_deref(), Some("2"));
    assert_eq!(spans[2].status, Status::Unset, "the client saw no error");
}

#[test]
fn an_error_is_one_for_the_side_that_the_conventions_name() {
    let error = Status::error("");
    for (status, outcome, server, client, kind) in [
        (Some(404), Outcome::Http4xx, Status::Unset, error.clone(), "404"),
        (Some(503), Outcome::Http5xx, error.clone(), error.clone(), "503"),
        (Some(200), Outcome::ResetMidBody, error.clone(), error.clone(), "reset_mid_body"),
        (Some(200), Outcome::GrpcError, error.clone(), error.clone(), "grpc_error"),
        (Some(200), Outcome::ClientCancel, Status::Unset, Status::Unset, ""),
    ] {
        let spans = made(&tale(status, vec![attempt(outcome, status)]));
        assert_eq!((&spans[1].status, &spans[0].status), (&server, &client), "{outcome:?}");
        assert_eq!(value(&spans[0], "error.type").unwrap_or_default(), kind, "{outcome:?}");
    }
}

#[test]
fn what_never_reached_a_version_has_a_server_span_alone() {
    let mut refused = tale(Some(503), vec![]);
    (refused.own_answer, refused.route, refused.method) =
        (Some("rate_limited"), None, Method::from_bytes(b"BREW").unwrap());
    refused.context = Context::receive(&HeaderMap::new(), B3::Off, || 0x77);
    let spans = made(&refused);
    let [server] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&*server.name, server.parent_span_id), ("HTTP", SpanId::INVALID));
    assert!(!server.parent_span_is_remote);
    assert_eq!(value(server, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(value(server, "http.request.method_original").as_deref(), Some("BREW"));
    assert_eq!(value(server, "error.type").as_deref(), Some("rate_limited"));
}

#[test]
fn hosts_are_told_from_their_ports() {
    for (authority, host, port) in [
        ("shop.example", "shop.example", None),
        ("shop.example:81", "shop.example", Some("81")),
        ("[2001:db8::1]:443", "2001:db8::1", Some("443")),
        ("[2001:db8::1]", "2001:db8::1", None),
    ] {
        let mut tale = tale(Some(200), vec![]);
        tale.asked = Asked::new("/", "", authority, "", "");
        let spans = made(&tale);
        assert_eq!(value(&spans[0], "server.address").as_deref(), Some(host), "{authority}");
        assert_eq!(value(&spans[0], "server.port").as_deref(), port, "{authority}");
    }
}
