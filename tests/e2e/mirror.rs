//! Copies of requests: another version gets them, the user and the comparison of versions do not notice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde_json::{Value, json};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, two_versions},
    endpoint::{Endpoint, ok},
    serin::Serin,
    until,
    wire::Wire,
};

/// All traffic goes to v1; copies of it to v2, as `mirror` says.
fn rig(v1: &Endpoint, v2: &Endpoint, mirror: Value) -> Serin {
    let mut config = two_versions(v1.address(), v2.address(), "100%", "0%");
    config["services"][SERVICE]["mirror"] = mirror;
    Serin::start(config)
}

fn answering(body: &'static str) -> Endpoint {
    Endpoint::answering(move |_| ok(body))
}

fn difference(serin: &Serin, kind: &str) -> f64 {
    serin.metrics().sum("serin_mirror_differences_total", &[("version", "v2"), ("kind", kind)])
}

fn compared(serin: &Serin) -> f64 {
    serin.metrics().sum("serin_mirror_compared_total", &[("version", "v2")])
}

#[test]
fn a_copy_has_the_same_head_and_body_and_says_that_it_is_one() {
    let _machine = beside();
    let (v1, v2) = (answering("one"), answering("two"));
    let serin = rig(&v1, &v2, json!({ "version": "v2" }));
    let mut client = Wire::connect(serin.web);
    let fixed = "POST /a?b=c HTTP/1.1\r\nhost: shop.example\r\nx-mine: 1\r\ncontent-length: 5\r\n\r\nhello";
    let chunked = "PUT /d HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n\
                   2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    for (asked, (request, line)) in
        [(fixed, "POST /a?b=c HTTP/1.1"), (chunked, "PUT /d HTTP/1.1")].iter().enumerate()
    {
        assert_eq!(client.ask(request).text(), "one");
        until(SOON, "the copy arrives", || v2.requests() == asked + 1);
        let (head, body) = v2.last();
        assert_eq!((head.line.as_str(), body.as_slice()), (*line, &b"hello"[..]));
        assert_eq!((head.one("host"), head.one("x-serin-mirror")), (Some("shop.example"), Some("v2")));
        assert_eq!(head.one("content-length"), Some("5"));
        assert!(v1.last().0.one("x-serin-mirror").is_none());
    }
    until(SOON, "both were compared", || compared(&serin) == 2.0);
    assert_eq!([difference(&serin, "status"), difference(&serin, "length")], [0.0, 0.0]);
}

#[test]
fn copies_are_counted_apart_and_differences_told() {
    let _machine = beside();
    let v1 = answering("the real answer");
    let v2 = Endpoint::answering(|_| b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno".into());
    let serin = rig(&v1, &v2, json!({ "version": "v2" }));
    for _ in 0..5 {
        assert_eq!(serin.get("/").body, "the real answer");
    }
    until(SOON, "all were compared", || compared(&serin) == 5.0);
    assert_eq!([difference(&serin, "status"), difference(&serin, "length")], [5.0, 5.0]);
    let copies = |outcome| [("version", "v2"), ("outcome", outcome)];
    until(SOON, "all is counted", || {
        let metrics = serin.metrics();
        metrics.sum("serin_mirror_requests_total", &copies("http_5xx")) == 5.0
            && metrics.requests("v1") == 5.0
    });
    let metrics = serin.metrics();
    assert_eq!(metrics.sum("serin_mirror_duration_seconds_count", &[("result", "failure")]), 5.0);
    assert_eq!(metrics.requests("v2"), 0.0, "no copy is anybody's traffic");
}

#[test]
fn a_mirror_that_hangs_delays_nobody_and_holds_no_more_than_it_may() {
    let _machine = beside();
    let v1 = answering("one");
    let let_go = Arc::new(AtomicBool::new(false));
    let hangs = let_go.clone();
    let v2 = Endpoint::scripted(move |wire, seen| {
        while crate::harness::endpoint::read_request(wire, seen)?.is_some() {
            until(SOON, "the test lets go", || hangs.load(Ordering::Relaxed));
            wire.send(ok("one"))?;
        }
        Ok(())
    });
    let serin = rig(&v1, &v2, json!({ "version": "v2", "max_in_flight": 3 }));
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(serin.get("/").body, "one");
    }
    assert!(began.elapsed() < SOON / 2, "requests waited for their copies");
    until(SOON, "three copies arrive", || v2.requests() == 3);
    let dropped = |reason| serin.metrics().sum("serin_mirror_dropped_total", &[("reason", reason)]);
    assert_eq!(dropped("in_flight"), 7.0);
    let_go.store(true, Ordering::Relaxed);
    until(SOON, "the three were compared", || compared(&serin) == 3.0);
}

#[test]
fn a_body_that_is_too_long_is_not_copied_and_arrives_whole() {
    let _machine = beside();
    let (v1, v2) = (answering("one"), answering("one"));
    let serin = rig(&v1, &v2, json!({ "version": "v2", "max_body": "1KiB" }));
    let long = "x".repeat(4096);
    let mut client = Wire::connect(serin.web);
    client.ask(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4096\r\n\r\n{long}"));
    assert_eq!(v1.last().1.len(), 4096);
    client.ask(format!(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1000\r\n{long}\r\n0\r\n\r\n"
    ));
    assert_eq!(v1.last().1.len(), 4096);
    until(SOON, "both were left out", || {
        serin.metrics().sum("serin_mirror_dropped_total", &[("reason", "body")]) == 2.0
    });
    assert_eq!(v2.requests(), 0);
}

#[test]
fn a_share_is_copied_and_the_version_itself_gets_no_copies_of_its_own() {
    let _machine = beside();
    let (v1, v2) = (answering("one"), answering("one"));
    let mut config = two_versions(v1.address(), v2.address(), "0%", "100%");
    config["services"][SERVICE]["mirror"] = json!({ "version": "v2" });
    let own = Serin::start(config);
    for _ in 0..10 {
        own.get("/");
    }
    until(SOON, "all is counted", || own.metrics().requests("v2") == 10.0);
    assert_eq!(v2.requests(), 10);

    let nobody = rig(&v1, &v2, json!({ "version": "v2", "share": "0%" }));
    for _ in 0..10 {
        nobody.get("/");
    }
    until(SOON, "all is counted", || nobody.metrics().requests("v1") == 10.0);
    assert_eq!(v2.requests(), 10);
}
