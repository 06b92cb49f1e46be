//! The shield: users see no error of the canary, and the canary is charged with it all the same.
//!
//! Retries on the same version are covered by `retries`.

use serde_json::{Value, json};
use serin_config::Address;
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, two_versions},
    free_addresses,
    serin::Serin,
    until,
    wire::Wire,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";

fn shielded(stable: &Address, canary: &Address) -> Value {
    let mut config = two_versions(stable, canary, "50%", "50%");
    config["services"][SERVICE]["shield"] = json!(true);
    config["services"][SERVICE]["tripwire"] = json!(false);
    config
}

#[test]
fn a_failing_canary_is_charged_and_no_user_sees_it() {
    let _machine = beside();
    let (v1, v2) =
        (Stub::start(StubOptions::default()).unwrap(), Stub::start(StubOptions::default()).unwrap());
    v2.set_error_ppm(1_000_000);
    let serin = Serin::start(shielded(v1.address(), v2.address()));
    let mut client = Wire::connect(serin.web);
    for _ in 0..100 {
        let answer = client.ask(GET);
        assert_eq!((answer.status(), answer.head.one("x-serin-version")), (200, Some("v1")));
    }
    let failed = v2.failures() as f64;
    assert!(failed > 10.0, "{failed}");
    until(SOON, "all are counted", || {
        let metrics = serin.metrics();
        metrics.outcome("v2", "http_5xx") == failed && metrics.requests("v1") >= 100.0 - failed
    });
    assert_eq!(serin.metrics().sum("serin_shielded_total", &[("version", "v1")]), failed);
    let rescued = serin.metrics().sum("serin_requests_unjudged_total", &[("reason", "rescue")]);
    assert_eq!(rescued, failed, "a rescue has no part in the comparison");
}

#[test]
fn what_is_not_idempotent_and_was_seen_is_not_rescued() {
    let _machine = beside();
    let (v1, v2) =
        (Stub::start(StubOptions::default()).unwrap(), Stub::start(StubOptions::default()).unwrap());
    v2.set_error_ppm(1_000_000);
    let serin = Serin::start(shielded(v1.address(), v2.address()));
    let mut client = Wire::connect(serin.web);
    let failed = (0..60).filter(|_| client.ask(POST).status() == 503).count() as u64;
    assert!(failed > 10, "{failed}");
    assert_eq!((v2.requests(), v1.requests()), (failed, 60 - failed));
}

#[test]
fn what_the_canary_never_saw_is_rescued_whatever_its_method() {
    let _machine = beside();
    let v1 = Stub::start(StubOptions::default()).unwrap();
    let [nobody] = free_addresses();
    let serin = Serin::start(shielded(v1.address(), &Address::Tcp(nobody)));
    let mut client = Wire::connect(serin.web);
    for _ in 0..40 {
        assert_eq!(client.ask(GET).status(), 200);
        assert_eq!(client.ask(POST).status(), 200);
    }
    assert_eq!(v1.requests(), 80);
}
