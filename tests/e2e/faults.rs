//! Injected faults: from the admin listener only, for a time only, and charged to the version.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, one_version, two_versions},
    http::{self, Reply},
    serin::Serin,
    until,
    wire::Wire,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn add(serin: &Serin, fault: &Value) -> Reply {
    http::call(serin.admin, "POST", "/faults", Some(fault)).unwrap()
}

#[test]
fn an_abort_is_answered_by_serin_and_charged_to_the_version_until_it_is_removed() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = Serin::start(one_version(stub.address()));
    let reply = add(&serin, &json!({ "version": "v1", "abort": 503, "expires": "5m" }));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let id = reply.json()["id"].as_u64().unwrap();
    let answer = serin.get("/");
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("injected"), "{}", answer.body);
    assert_eq!(stub.requests(), 0);
    let listed = http::get(serin.admin, "/faults").unwrap().json();
    assert_eq!(listed["faults"][0]["abort"], 503, "{listed}");
    until(SOON, "it is charged", || serin.metrics().outcome("v1", "http_5xx") == 1.0);
    assert_eq!(serin.metrics().sum("serin_faults_injected_total", &[("kind", "abort")]), 1.0);
    let removed = http::call(serin.admin, "POST", &format!("/faults/{id}/remove"), Some(&json!({})));
    assert_eq!(removed.unwrap().status, 200);
    assert_eq!(serin.get("/").status, 200);
    let again = http::call(serin.admin, "DELETE", &format!("/faults/{id}"), Some(&json!({})));
    assert_eq!(again.unwrap().status, 404);
}

#[test]
fn a_fault_hits_only_what_it_names_and_ends_by_itself() {
    let _machine = beside();
    let (v1, v2) =
        (Stub::start(StubOptions::default()).unwrap(), Stub::start(StubOptions::default()).unwrap());
    let serin = Serin::start(two_versions(v1.address(), v2.address(), "50%", "50%"));
    let fault = json!({
        "version": "v2", "header": { "name": "x-test", "value": "yes" }, "abort": 418, "expires": "1s",
    });
    assert_eq!(add(&serin, &fault).status, 200);
    let tagged = "GET / HTTP/1.1\r\nhost: a\r\nx-test: yes\r\n\r\n";
    let mut client = Wire::connect(serin.web);
    let mut hit = 0;
    for _ in 0..20 {
        assert_eq!(client.ask(GET).status(), 200);
        let answer = client.ask(tagged);
        let of_v2 = answer.head.one("x-serin-version") == Some("v2");
        assert!(answer.status() == 200 || of_v2, "{answer:?}");
        hit += usize::from(answer.status() == 418);
    }
    assert!(hit > 0);
    until(SOON, "it ends by itself", || {
        http::get(serin.admin, "/faults").unwrap().json()["faults"].as_array().unwrap().is_empty()
    });
    assert!((0..20).all(|_| client.ask(tagged).status() == 200));
}

#[test]
fn a_delay_and_a_throttle_take_their_time() {
    let _machine = beside();
    let stub = Stub::start(StubOptions { body_bytes: 300, ..StubOptions::default() }).unwrap();
    let serin = Serin::start(one_version(stub.address()));
    let fault = json!({ "delay": "300ms", "throttle": 500, "expires": "1m" });
    assert_eq!(add(&serin, &fault).status, 200);
    let before = Instant::now();
    let reply = serin.get("/");
    assert_eq!((reply.status, reply.body.len()), (200, 300));
    // The last piece of 50 bytes comes after 250 of them.
    assert!((Duration::from_millis(800)..SOON).contains(&before.elapsed()), "{:?}", before.elapsed());
}

#[test]
fn endpoints_that_are_down_are_not_asked_and_each_attempt_is_charged_as_if_they_were() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut config = one_version(stub.address());
    config["services"][SERVICE]["retries"] = json!({ "attempts": 2, "backoff": "1ms" });
    let serin = Serin::start(config);
    let reply = add(&serin, &json!({ "down": true, "expires": "5m" }));
    assert_eq!(reply.json()["down"], true, "{}", reply.body);
    let answer = serin.get("/");
    assert!(matches!(answer.status, 502 | 503), "{answer:?}");
    assert_eq!(stub.requests(), 0);
    // Each attempt is charged as one that really found nobody.
    until(SOON, "it is tried again", || serin.metrics().outcome("v1", "connect_fail") >= 2.0);
    assert!(serin.metrics().sum("serin_faults_injected_total", &[("kind", "down")]) >= 2.0);
    let removed = http::call(serin.admin, "DELETE", "/faults/1", Some(&json!({})));
    assert_eq!(removed.unwrap().status, 200);
    assert_eq!(serin.get("/").status, 200);
}

#[test]
fn what_makes_no_sense_is_refused_and_said_why() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = Serin::start(one_version(stub.address()));
    for (fault, status, said) in [
        (json!({ "abort": 503 }), 400, "\"expires\" is missing"),
        (json!({ "abort": 503, "expires": "2h" }), 400, "at most 1h"),
        (json!({ "expires": "1m" }), 400, "nothing would happen"),
        (json!({ "abort": 200, "expires": "1m" }), 400, "from 400 to 599"),
        (json!({ "delay": "5m", "expires": "1m" }), 400, "delay"),
        (json!({ "abort": 503, "percent": "150%", "expires": "1m" }), 400, "percent"),
        (json!({ "abort": 503, "version": "v9", "expires": "1m" }), 404, "v9"),
        (json!({ "abort": 503, "route": "nowhere", "expires": "1m" }), 404, "nowhere"),
        (json!({ "abort": 503, "expires": "1m", "colour": "red" }), 400, "colour"),
    ] {
        let reply = add(&serin, &fault);
        assert_eq!(reply.status, status, "{fault}: {}", reply.body);
        assert!(reply.json()["error"].as_str().unwrap().contains(said), "{fault}: {}", reply.body);
    }
    let large = json!({ "abort": 503, "expires": "1m", "service": "x".repeat(100_000) });
    assert_eq!(add(&serin, &large).status, 413);
    assert_eq!(serin.get("/").status, 200);
}

#[test]
fn a_page_in_a_browser_can_change_nothing() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = Serin::start(one_version(stub.address()));
    let fault = json!({ "abort": 503, "expires": "1m" }).to_string();
    let length = fault.len();
    for (fields, status) in [
        ("host: localhost\r\ncontent-type: text/plain", 415),
        ("host: evil.example\r\ncontent-type: application/json", 421),
    ] {
        let mut wire = Wire::connect(serin.admin);
        let request = format!("POST /faults HTTP/1.1\r\n{fields}\r\ncontent-length: {length}\r\n\r\n{fault}");
        assert_eq!(wire.ask(request).status(), status, "{fields}");
    }
    assert_eq!(serin.get("/").status, 200);
}
