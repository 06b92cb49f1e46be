//! Endpoints that are down, silent, or break off: the client gets an answer soon, with a body, and the
//! attempt is counted under the outcome that says what happened.
//!
//! Every outcome of the enum is classified by unit tests in `serin-split`; retries and pools by
//! `serin-proxy`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin_config::Address;
use serin_loadtest::{ErrorKind, Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, one_version},
    free_addresses,
    serin::Serin,
    until,
};

/// A service at `address`.
fn service_at(address: &Address, timeouts: Value) -> Serin {
    let mut config = one_version(address);
    config["services"][SERVICE]["timeouts"] = timeouts;
    Serin::start(config)
}

fn assert_counted(serin: &Serin, outcome: &str, at_least: f64) {
    until(SOON, outcome, || serin.metrics().outcome("v1", outcome) >= at_least);
}

#[test]
fn an_endpoint_that_is_down_is_answered_for_at_once() {
    let _machine = beside();
    let [nobody] = free_addresses();
    let serin = service_at(&Address::Tcp(nobody), json!({}));
    let before = Instant::now();
    let reply = serin.get("/");
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    assert!(matches!(reply.status, 502 | 503), "{reply:?}");
    assert!(!reply.body.is_empty());
    assert_counted(&serin, "connect_fail", 1.0);
}

#[test]
fn a_unix_socket_that_is_not_there_is_answered_for_at_once() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let nobody = format!("unix:{}/nobody.sock", directory.path().display()).parse().unwrap();
    let serin = service_at(&nobody, json!({}));
    let reply = serin.get("/");
    assert!(matches!(reply.status, 502 | 503), "{reply:?}");
    assert_counted(&serin, "connect_fail", 1.0);
}

#[test]
fn an_endpoint_that_says_nothing_is_given_up_after_the_header_timeout() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    stub.set_hang(true);
    let serin = service_at(stub.address(), json!({ "header": "500ms" }));
    let before = Instant::now();
    let reply = serin.get("/");
    assert!(
        before.elapsed() >= Duration::from_millis(500) && before.elapsed() < SOON,
        "{:?}",
        before.elapsed()
    );
    assert_eq!(reply.status, 504, "{reply:?}");
    assert!(!reply.body.is_empty());
    assert_counted(&serin, "header_timeout", 1.0);
}

#[test]
fn a_body_that_breaks_off_is_broken_off_for_the_client_too_and_counts_as_failure() {
    let _machine = beside();
    let stub = Stub::start(StubOptions { body_bytes: 100_000, ..StubOptions::default() }).unwrap();
    stub.set_cut_body(true);
    let serin = service_at(stub.address(), json!({}));
    let schedule = Schedule::Constant(Rate::try_new(100.0).unwrap());
    let load = Load::new(serin.target(), Pace::Open(schedule), Stop::Count(20));
    let report = load.start().unwrap().blocking_report().unwrap();
    // An answer that was cut short must never look whole to the client.
    assert_eq!(report.tally.errors(ErrorKind::BodyCut), 20, "{:?}", report.tally);
    assert_counted(&serin, "reset_mid_body", 20.0);
}

#[test]
fn an_endpoint_that_answers_with_errors_is_passed_on_as_it_is() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    stub.set_error_ppm(1_000_000);
    let serin = service_at(stub.address(), json!({}));
    for (status, outcome) in [(503, "http_5xx"), (418, "http_4xx")] {
        stub.set_error_status(status);
        let reply = serin.get("/");
        assert_eq!((reply.status, reply.body.as_str()), (status, "injected failure\n"));
        assert_counted(&serin, outcome, 1.0);
    }
}

#[test]
fn an_endpoint_that_comes_back_is_used_again() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let address: Address = format!("unix:{}/service.sock", directory.path().display()).parse().unwrap();
    let options =
        StubOptions { listen: serin_loadtest::Listen::At(address.clone()), ..StubOptions::default() };
    let stub = Stub::start(options.clone()).unwrap();
    let serin = service_at(&address, json!({}));
    assert_eq!(serin.get("/").status, 200);
    drop(stub);
    let reply = serin.get("/");
    assert!(matches!(reply.status, 502 | 503), "{reply:?}");
    let _stub = Stub::start(options).unwrap();
    until(SOON, "the endpoint is used again", || serin.get("/").status == 200);
}
