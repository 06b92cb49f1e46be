//! SIGTERM: requests in flight end well, new ones are not taken, the process ends with 0 in time.
//!
//! Reloads, which drain nothing, are covered by `reload`.

use std::time::{Duration, Instant};

use serde_json::json;
use serin_loadtest::{ErrorKind, Latency, Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::one_version,
    eventually,
    serin::Serin,
    tunnel::{self, Tunnel},
    until,
};

fn open_load(serin: &Serin, per_second: f64) -> Load {
    let schedule = Schedule::Constant(Rate::try_new(per_second).unwrap());
    Load::new(serin.target(), Pace::Open(schedule), Stop::Never)
}

#[test]
fn a_request_in_flight_survives_sigterm_and_the_process_ends_with_zero() {
    let _machine = beside();
    let stub = Stub::start(StubOptions { body_bytes: 100_000, ..StubOptions::default() }).unwrap();
    let mut serin = Serin::start(one_version(stub.address()));
    stub.set_hang(true);
    let running = open_load(&serin, 100.0).start().unwrap();
    until(SOON, "50 requests are in flight", || stub.requests() >= 50);
    let before = Instant::now();
    serin.signal("TERM");
    until(SOON, "the listener is closed", || std::net::TcpStream::connect(serin.web).is_err());
    running.cancel();
    stub.set_hang(false);
    let report = running.blocking_report().unwrap();
    let status = serin.wait(SOON);
    assert_eq!(status.code(), Some(0), "{}", serin.stderr());
    assert!(before.elapsed() < Duration::from_secs(30), "ended within the drain deadline");
    let refused = report.tally.errors(ErrorKind::Connect);
    assert_eq!(report.tally.failed(), refused, "all that reached Serin was answered: {:?}", report.tally);
    assert_eq!(report.tally.status(200), stub.requests());
}

#[test]
fn under_load_sigterm_fails_no_request_that_was_taken() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    stub.set_latency(Some(Latency { median: Duration::from_millis(20), sigma: 0.5 }));
    let mut serin = Serin::start(one_version(stub.address()));
    let running = open_load(&serin, 1000.0).start().unwrap();
    until(SOON, "the load runs", || stub.requests() >= 1000);
    serin.signal("TERM");
    let status = serin.wait(SOON);
    running.cancel();
    let report = running.blocking_report().unwrap();
    assert_eq!(status.code(), Some(0), "{}", serin.stderr());
    let refused = report.tally.errors(ErrorKind::Connect);
    assert_eq!(report.tally.failed(), refused, "{:?}", report.tally);
    assert_eq!(report.tally.status(200), stub.requests());
}

#[test]
fn a_request_that_never_ends_is_cut_at_the_deadline() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut config = one_version(stub.address());
    config["limits"]["drain_deadline"] = json!("1s");
    let mut serin = Serin::start(config);
    stub.set_hang(true);
    let running = open_load(&serin, 100.0).start().unwrap();
    until(SOON, "requests are in flight", || stub.requests() >= 5);
    serin.signal("TERM");
    let before = Instant::now();
    eventually(SOON, "serin ends", || {
        let over = std::net::TcpStream::connect(serin.admin).is_err();
        over.then_some(())
    });
    serin.wait(SOON);
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    running.cancel();
    running.blocking_report().unwrap();
}

#[test]
fn a_tunnel_goes_on_while_the_proxy_drains_and_its_end_is_the_end() {
    let _machine = beside();
    let endpoint = tunnel::echoing();
    let mut serin = Serin::start(one_version(endpoint.address()));
    let mut open = Tunnel::open(&serin);
    serin.signal("TERM");
    until(SOON, "the listener is closed", || std::net::TcpStream::connect(serin.web).is_err());
    open.assert_open();
    drop(open);
    let before = Instant::now();
    assert!(serin.wait(SOON).success(), "{}", serin.stderr());
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    assert!(serin.stderr().contains("drained, bye"), "nothing was cut: {}", serin.stderr());
}

#[test]
fn a_tunnel_that_does_not_end_is_cut_at_the_deadline() {
    let _machine = beside();
    let endpoint = tunnel::echoing();
    let mut config = one_version(endpoint.address());
    config["limits"]["drain_deadline"] = json!("1s");
    let mut serin = Serin::start(config);
    let mut open = Tunnel::open(&serin);
    serin.signal("TERM");
    open.wait_for_close();
    assert!(serin.wait(SOON).success(), "{}", serin.stderr());
    assert!(serin.stderr().contains("connections were cut"), "{}", serin.stderr());
}
