//! Refusing new requests when the process has too much in hand.
//!
//! The limit of one version is covered by `limits` and `breakers`.

use serde_json::json;
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{SOON, beside, config::one_version, http, serin::Serin, until, wire::Wire};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn requests_beyond_all_that_may_be_in_flight_are_refused_and_those_in_flight_end_well() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut config = one_version(stub.address());
    config["limits"]["max_requests"] = json!(2);
    let serin = Serin::start(config);
    stub.set_hang(true);
    let mut clients: Vec<Wire> = (0..2).map(|_| Wire::connect(serin.web)).collect();
    for client in &mut clients {
        client.send(GET).unwrap();
    }
    until(SOON, "both are in flight", || stub.requests() == 2);
    let mut third = Wire::connect(serin.web);
    let answer = third.ask(GET);
    assert_eq!(answer.status(), 503);
    assert_eq!((answer.head.one("retry-after"), answer.head.one("connection")), (Some("1"), Some("close")));
    third.wait_for_close();
    assert_eq!(http::get(serin.admin, "/readyz").unwrap().status, 200);
    assert_eq!(serin.metrics().sum("serin_requests_refused_total", &[("reason", "in_flight")]), 1.0);
    assert_eq!(serin.metrics().requests("v1"), 0.0, "no version is charged with it");
    stub.set_hang(false);
    for client in &mut clients {
        assert_eq!(client.answer_to("GET").unwrap().status(), 200);
    }
    assert_eq!(serin.get("/").status, 200);
}

#[test]
fn when_memory_is_short_new_requests_are_refused_and_health_is_told() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut config = one_version(stub.address());
    // The process alone takes more than that.
    config["limits"]["max_memory"] = json!("16MiB");
    let serin = Serin::start(config);
    println!("{} bytes are resident", serin.resident_bytes());
    until(SOON, "new requests are refused", || serin.get("/").status == 503);
    assert_eq!(http::get(serin.admin, "/livez").unwrap().status, 200);
    assert!(serin.metrics().sum("serin_requests_refused_total", &[("reason", "memory")]) >= 1.0);
}
