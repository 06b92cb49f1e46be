//! Requests that name their version: testers get it, and the comparison of versions does not see them.

use serde_json::{Value, json};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, two_versions},
    endpoint::{Endpoint, ok},
    http,
    serin::Serin,
    until,
    wire::Wire,
};

const PINNED: usize = 30;
const FREE: usize = 10;

/// What the control plane has counted of a version.
fn counted(serin: &Serin, version: &str) -> u64 {
    let service = http::get(serin.api, &format!("/v1/services/{SERVICE}")).unwrap().json();
    let versions: &Vec<Value> = service["versions"].as_array().unwrap();
    let of = |v: &&Value| v["version"] == version;
    versions.iter().find(of).unwrap()["counts"]["requests"].as_u64().unwrap()
}

#[test]
fn a_tester_gets_the_version_and_stays_out_of_the_comparison() {
    let _machine = beside();
    let [v1, v2] = [(); 2].map(|()| Endpoint::answering(|_| ok("")));
    let mut config = two_versions(v1.address(), v2.address(), "100%", "0%");
    config["services"][SERVICE]["overrides"] =
        json!([{ "header": "x-version" }, { "cookie": "beta", "value": "1", "version": "v2" }]);
    let serin = Serin::start(config);
    let mut client = Wire::connect(serin.web);
    let mut ask = |more: &str| {
        let answer = client.ask(format!("GET / HTTP/1.1\r\nhost: a\r\n{more}\r\n"));
        answer.head.one("x-serin-version").expect("debug_headers is on").to_owned()
    };
    for i in 0..PINNED {
        let more = if i % 2 == 0 { "x-version: v2\r\n" } else { "cookie: a=b; beta=1\r\n" };
        assert_eq!(ask(more), "v2", "although it has no weight");
    }
    for i in 0..FREE {
        let more = if i % 2 == 0 { "" } else { "x-version: v9\r\ncookie: beta=2\r\n" };
        assert_eq!(ask(more), "v1", "a version that is not there pins nothing");
    }
    assert_eq!((v1.requests(), v2.requests()), (FREE, PINNED));
    until(SOON, "all is counted", || {
        let metrics = serin.metrics();
        let pinned = metrics.sum("serin_requests_unjudged_total", &[("version", "v2"), ("reason", "pinned")]);
        (metrics.requests("v1"), metrics.requests("v2"), pinned)
            == (FREE as f64, PINNED as f64, PINNED as f64)
    });
    until(SOON, "the control plane has heard of the rest", || counted(&serin, "v1") == FREE as u64);
    assert_eq!(counted(&serin, "v2"), 0);
}
