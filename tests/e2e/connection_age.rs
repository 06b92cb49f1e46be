//! The maximum age of client connections: they end in peace, each at an age of its own.
//!
//! Idle connections and those of a process that ends are covered by `timeouts` and `drain`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{
    SOON, beside,
    config::one_version,
    endpoint::{Endpoint, ok},
    h2::{H2, empty},
    serin::Serin,
    tools::h2load,
    wire::Wire,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const AGE: Duration = Duration::from_secs(2);

fn rig() -> (Endpoint, Serin) {
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let mut config = one_version(endpoint.address());
    config["listeners"] = json!([{ "max_connection_age": "2s" }]);
    let serin = Serin::start(config);
    (endpoint, serin)
}

#[test]
fn an_old_connection_is_told_to_close_with_its_next_answer() {
    let _machine = beside();
    let (_endpoint, serin) = rig();
    let mut wire = Wire::connect(serin.web);
    let began = Instant::now();
    loop {
        let answer = wire.ask(GET);
        assert_eq!(answer.status(), 200);
        if answer.head.one("connection") == Some("close") {
            break;
        }
        assert!(began.elapsed() < SOON, "it was never told to close");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() >= AGE * 9 / 10, "after {:?}", began.elapsed());
    wire.wait_for_close();
}

#[test]
fn an_old_connection_that_nobody_uses_is_closed() {
    let _machine = beside();
    let (_endpoint, serin) = rig();
    let mut wire = Wire::connect(serin.web);
    let began = Instant::now();
    assert_eq!(wire.ask(GET).status(), 200);
    wire.wait_for_close();
    assert!(began.elapsed() >= AGE * 9 / 10, "after {:?}", began.elapsed());
}

#[test]
fn requests_on_an_old_http2_connection_end_well_and_new_ones_go_elsewhere() {
    let _machine = beside();
    let (_endpoint, serin) = rig();
    let mut client = H2::connect(serin.web, 64 * 1024);
    let began = Instant::now();
    let request = || http::Request::get(format!("http://{}/", serin.web)).body(empty()).unwrap();
    loop {
        match client.ask(request()) {
            Ok(answer) => assert_eq!(answer.status, 200),
            // Only what the connection does not take any more is refused, and the client knows that before.
            Err(error) => break assert!(error.is_canceled() || error.is_closed(), "{error:?}"),
        }
        assert!(began.elapsed() < SOON, "it was never told to go");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() >= AGE * 9 / 10, "after {:?}", began.elapsed());
    // h2load does not reconnect, so it has to be done before they are old.
    h2load(serin.web, 1_000, 10, &["-m", "10"]);
}
