//! A request that hangs is counted before it ends, once: it would else be missing from the windows that should
//! convict its version.
//!
//! When a request hangs is covered by `serin-proxy`; what a hang of all of a canary's requests leads to at once by
//! [`crate::tripwire`].

use serde_json::{Value, json};
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, two_versions},
    http,
    serin::Serin,
    until,
    wire::Wire,
};

/// Enough that some go to the canary: but for one run in a billion.
const CLIENTS: u64 = 30;

/// What the control plane has counted of the canary.
fn counted(serin: &Serin) -> u64 {
    let service = http::get(serin.api, &format!("/v1/services/{SERVICE}")).unwrap().json();
    let versions: &Vec<Value> = service["versions"].as_array().unwrap();
    let canary = versions.iter().find(|version| version["version"] == "v2").unwrap();
    canary["counts"]["requests"].as_u64().unwrap()
}

#[test]
fn requests_that_hang_are_in_the_windows_before_they_end_and_then_not_again() {
    let _machine = beside();
    let [v1, v2] = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
    let mut config = two_versions(v1.address(), v2.address(), "50%", "50%");
    config["services"][SERVICE]["tripwire"] = json!(false);
    config["services"][SERVICE]["timeouts"] = json!({ "header": "2m" });
    config["limits"]["workers"] = json!(2);
    let serin = Serin::start(config);
    v2.set_hang(true);
    let mut clients: Vec<Wire> = (0..CLIENTS).map(|_| Wire::connect(serin.web)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    }
    until(SOON, "all are on their way", || v1.requests() + v2.requests() == CLIENTS);
    let hanging = v2.requests();
    assert!(hanging > 0 && counted(&serin) == 0, "{hanging} have only begun");
    until(SOON, "they are counted while they hang", || counted(&serin) == hanging);
    assert_eq!(serin.metrics().requests("v2"), 0.0, "metrics count what has ended");
    v2.set_hang(false);
    until(SOON, "they have ended", || serin.metrics().outcome("v2", "ok") == hanging as f64);
    // A further request shows that the windows have come as far.
    until(SOON, "the canary answers one more", || serin.get("/").header("x-serin-version") == "v2");
    until(SOON, "that one is counted, and nothing twice", || counted(&serin) == hanging + 1);
    assert!(clients.iter_mut().all(|client| client.head().unwrap().unwrap().word() == "200"));
}
