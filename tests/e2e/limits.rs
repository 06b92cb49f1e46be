//! Bounds on what the proxy takes on: beyond them it says no at once, and no version is blamed.
//!
//! Heads that are too large are covered by `malformed` and, over HTTP/2, by `protocols`; limits of time by
//! `timeouts`.

use serde_json::json;
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{one_version, two_versions},
    endpoint::{Endpoint, ok},
    http,
    serin::Serin,
    until,
    wire::Wire,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn connections_beyond_the_limit_are_closed_at_once_and_there_is_room_again_after() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok(""));
    let mut config = one_version(endpoint.address());
    config["limits"]["max_connections"] = json!(3);
    let serin = Serin::start(config);
    let mut clients: Vec<Wire> = (0..3).map(|_| Wire::connect(serin.web)).collect();
    for client in &mut clients {
        assert_eq!(client.ask(GET).status(), 200);
    }
    for _ in 0..5 {
        Wire::connect(serin.web).wait_for_close();
    }
    assert_eq!(serin.metrics().sum("serin_client_connections_refused_total", &[]), 5.0);
    assert_eq!(serin.metrics().sum("serin_client_connections", &[]), 3.0);
    // Those who are in go on; when one leaves, another may come.
    assert_eq!(clients[0].ask(GET).status(), 200);
    clients.pop();
    until(SOON, "there is room again", || http::get(serin.web, "/").is_ok_and(|reply| reply.status == 200));
}

#[test]
fn requests_beyond_a_version_s_limit_get_503_and_are_not_its_failures() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let other = Stub::start(StubOptions::default()).unwrap();
    let mut config = two_versions(stub.address(), other.address(), "100%", "0%");
    config["limits"]["max_requests_per_version"] = json!(2);
    let serin = Serin::start(config);
    stub.set_hang(true);
    let mut waiting: Vec<Wire> = (0..2).map(|_| Wire::connect(serin.web)).collect();
    for client in &mut waiting {
        client.send(GET).unwrap();
    }
    until(SOON, "both are in flight", || stub.requests() == 2);
    let mut third = Wire::connect(serin.web);
    for _ in 0..3 {
        let answer = third.ask(GET);
        assert_eq!(answer.status(), 503, "{answer:?}");
        assert!(answer.text().contains("overload_local"), "{}", answer.text());
        assert_eq!(answer.head.one("retry-after"), Some("1"));
    }
    assert_eq!(stub.requests(), 2, "the endpoint has heard of none of them");
    stub.set_hang(false);
    for client in &mut waiting {
        assert_eq!(client.answer_to("GET").unwrap().status(), 200);
    }
    assert_eq!(third.ask(GET).status(), 200, "there is room again");
    until(SOON, "all are counted", || {
        let metrics = serin.metrics();
        metrics.outcome("v1", "overload_local") == 3.0 && metrics.outcome("v1", "ok") == 3.0
    });
    let failures = serin
        .metrics()
        .sum("http_server_request_duration_seconds_count", &[("version", "v1"), ("result", "failure")]);
    assert_eq!(failures, 0.0, "what the version can't cause is no failure of it");
}

#[test]
fn a_request_in_flight_is_counted_while_it_is_and_not_after() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = Serin::start(one_version(stub.address()));
    let in_flight = || serin.metrics().sum("serin_requests_in_flight", &[("version", "v1")]);
    stub.set_hang(true);
    let mut clients: Vec<Wire> = (0..4).map(|_| Wire::connect(serin.web)).collect();
    for client in &mut clients {
        client.send(GET).unwrap();
    }
    until(SOON, "four are in flight", || in_flight() == 4.0);
    clients.truncate(2);
    until(SOON, "two have gone away", || in_flight() == 2.0);
    stub.set_hang(false);
    for client in &mut clients {
        assert_eq!(client.answer_to("GET").unwrap().status(), 200);
    }
    until(SOON, "none is in flight", || in_flight() == 0.0);
}

#[test]
fn a_body_that_is_too_long_gets_413_whether_its_length_is_stated_or_not() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("in"));
    let mut config = one_version(endpoint.address());
    config["limits"]["max_body"] = json!("1KiB");
    let serin = Serin::start(config);
    let post = |framing: &str, body: &str| {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
        Wire::connect(serin.web).ask(format!("{head}{body}")).status()
    };
    let (fits, too_long) = ("x".repeat(1024), "x".repeat(1025));
    let chunked = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(post("content-length: 1024", &fits), 200);
    assert_eq!(post("content-length: 1025", &too_long), 413);
    assert_eq!(post("transfer-encoding: chunked", &chunked(&fits)), 200);
    assert_eq!(post("transfer-encoding: chunked", &chunked(&too_long)), 413);
    assert_eq!(endpoint.requests(), 2);
}
