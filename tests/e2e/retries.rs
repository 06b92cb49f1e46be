//! Second tries: what is safe to send again is, and nothing else, judged by what the endpoint received.
//!
//! What may be tried again after what, budget and waits are covered by `serin-split`; connections that are
//! stale by `reuse`; the rescue on another version by `shield`.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_config::Address;

use crate::harness::{
    SOON, beside,
    config::{SERVICE, one_version},
    endpoint::{Endpoint, ok, read_request},
    free_addresses,
    serin::Serin,
    until,
    wire::Wire,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn with_retries(endpoint: &Address, retries: Value) -> Serin {
    let mut config = one_version(endpoint);
    config["services"][SERVICE]["retries"] = retries;
    Serin::start(config)
}

/// Reads each request whole; the first of a kind is left without an answer, the second gets one.
fn answering_the_second() -> Endpoint {
    let seen_before = AtomicUsize::new(0);
    Endpoint::scripted(move |wire, seen| {
        while read_request(wire, seen)?.is_some() {
            if seen_before.fetch_add(1, Ordering::Relaxed) == 0 {
                return Ok(());
            }
            wire.send(ok("again"))?;
        }
        Ok(())
    })
}

fn put(method: &str, length: usize) -> String {
    format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length))
}

const EVERYTHING: &[&str] = &[
    "connect_fail",
    "connect_timeout",
    "tls_fail",
    "unsent",
    "refused_stream",
    "reset_before_headers",
    "header_timeout",
    "http_5xx",
    "http_429",
];

#[test]
fn what_no_endpoint_has_seen_goes_to_another_whatever_its_method() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("here"));
    let [nobody] = free_addresses();
    let mut config = one_version(endpoint.address());
    config["services"][SERVICE]["versions"]["v1"]["endpoints"] =
        json!([nobody.to_string(), endpoint.address()]);
    // However endpoints are chosen, one of these tries finds the one that is there.
    config["services"][SERVICE]["retries"] = json!({ "attempts": 10, "backoff": "1ms" });
    let serin = Serin::start(config);
    for _ in 0..10 {
        assert_eq!(Wire::connect(serin.web).ask(GET).status(), 200);
        let answer = Wire::connect(serin.web).ask(put("POST", 10));
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    assert_eq!(endpoint.requests(), 20, "each was received once");
    assert_eq!(endpoint.last().1, b"xxxxxxxxxx");
}

#[test]
fn a_request_that_was_seen_is_sent_again_only_if_it_is_idempotent() {
    let _machine = beside();
    for (request, received, status) in [
        (GET.to_owned(), 2, 200),
        (put("PUT", 50_000), 2, 200),
        (put("POST", 10), 1, 502),
        (put("PATCH", 10), 1, 502),
    ] {
        let endpoint = answering_the_second();
        let serin = with_retries(endpoint.address(), json!({ "attempts": 3, "on": EVERYTHING }));
        let answer = Wire::connect(serin.web).ask(&request);
        let what = request.lines().next().unwrap_or_default();
        assert_eq!((answer.status(), endpoint.requests()), (status, received), "{what}: {answer:?}");
        let sent = request.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(endpoint.last().1.len(), sent.len(), "{what}");
    }
}

#[test]
fn a_body_beyond_what_is_kept_is_sent_once() {
    let _machine = beside();
    let endpoint = answering_the_second();
    let retries = json!({ "attempts": 3, "on": EVERYTHING, "max_body": 1000 });
    let serin = with_retries(endpoint.address(), retries);
    let answer = Wire::connect(serin.web).ask(put("PUT", 1_001));
    assert_eq!((answer.status(), endpoint.requests()), (502, 1));
}

#[test]
fn by_default_a_request_that_was_seen_is_not_sent_again() {
    let _machine = beside();
    let endpoint = answering_the_second();
    let serin = with_retries(endpoint.address(), json!({}));
    let answer = Wire::connect(serin.web).ask(GET);
    assert_eq!((answer.status(), endpoint.requests()), (502, 1));
}

#[test]
fn a_status_is_tried_again_where_the_file_says_so_and_each_attempt_is_charged() {
    let _machine = beside();
    let asked = AtomicUsize::new(0);
    let endpoint = Endpoint::answering(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno".to_vec(),
        _ => ok("yes"),
    });
    let serin = with_retries(endpoint.address(), json!({ "on": ["http_503"] }));
    let answer = Wire::connect(serin.web).ask(GET);
    assert_eq!((answer.status(), answer.text().as_str()), (200, "yes"));
    until(SOON, "both attempts are counted", || {
        let metrics = serin.metrics();
        metrics.outcome("v1", "http_5xx") == 1.0 && metrics.outcome("v1", "ok") == 1.0
    });
    assert_eq!(serin.metrics().sum("serin_retries_total", &[("version", "v1")]), 1.0);
}

#[test]
fn an_endpoint_that_asks_for_patience_is_left_alone_and_its_answer_passed_on() {
    let _machine = beside();
    let endpoint =
        Endpoint::answering(|_| b"HTTP/1.1 503 No\r\nretry-after: 5\r\ncontent-length: 2\r\n\r\nno".to_vec());
    let serin = with_retries(endpoint.address(), json!({ "attempts": 5, "on": ["http_503"] }));
    let answer = Wire::connect(serin.web).ask(GET);
    assert_eq!((answer.status(), answer.text().as_str(), endpoint.requests()), (503, "no", 1));
}

#[test]
fn one_try_may_have_a_time_of_its_own() {
    let _machine = beside();
    let asked = AtomicUsize::new(0);
    let endpoint = Endpoint::scripted(move |wire, seen| {
        while read_request(wire, seen)?.is_some() {
            if asked.fetch_add(1, Ordering::Relaxed) > 0 {
                wire.send(ok("soon"))?;
            }
        }
        Ok(())
    });
    let retries = json!({ "on": ["header_timeout"], "per_try_timeout": "300ms" });
    let serin = with_retries(endpoint.address(), retries);
    let before = Instant::now();
    assert_eq!(Wire::connect(serin.web).ask(GET).status(), 200);
    assert!((Duration::from_millis(300)..SOON).contains(&before.elapsed()), "{:?}", before.elapsed());
    until(SOON, "the late try is counted", || serin.metrics().outcome("v1", "header_timeout") == 1.0);
}

#[test]
fn retries_can_be_switched_off() {
    let _machine = beside();
    let [nobody] = free_addresses();
    let serin = with_retries(&Address::Tcp(nobody), json!(false));
    assert_eq!(Wire::connect(serin.web).ask(GET).status(), 502);
    until(SOON, "the attempt is counted", || serin.metrics().outcome("v1", "connect_fail") == 1.0);
    assert_eq!(serin.metrics().requests("v1"), 1.0);
}
