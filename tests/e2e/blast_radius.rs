//! What a canary may cost at most: when it is spent the proxy takes the canary out by itself, whatever the evidence
//! says, and the control plane follows and says why.
//!
//! How latency adds up is covered by `serin-split`; the trip-wire in general by [`crate::tripwire`].

use std::time::Duration;

use serde_json::{Value, json};
use serin_config::Weight;
use serin_loadtest::{Latency, Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, alone, beside,
    config::{SERVICE, two_versions},
    serin::Serin,
    until,
    wire::Wire,
};

fn rig(bounds: &Value) -> (Stub, Stub, Serin) {
    let [v1, v2] = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
    let mut config = two_versions(v1.address(), v2.address(), "50%", "50%");
    config["services"][SERVICE]["tripwire"] = json!(false);
    config["services"][SERVICE]["rollout"] = json!({ "blast_radius": bounds });
    config["services"][SERVICE]["overrides"] = json!([{ "cookie": "beta", "value": "1", "version": "v2" }]);
    config["limits"]["workers"] = json!(3);
    (v1, v2, Serin::start(config))
}

/// Waits until the control plane has taken the canary out; its reason.
fn followed(serin: &Serin) -> String {
    until(SOON, "the control plane takes it out", || serin.control().now().unwrap().canary == Weight::ZERO);
    let entry = serin.control().journal().into_iter().find(|entry| entry["action"] == "roll_back").unwrap();
    assert_eq!(entry["actor"], "proxy");
    entry["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_canary_may_fail_as_many_requests_as_its_rollout_allows_and_testers_spend_none_of_them() {
    let _machine = beside();
    let (_v1, v2, serin) = rig(&json!({ "failed_requests": 7 }));
    v2.set_error_ppm(1_000_000);
    let mut tester = Wire::connect(serin.web);
    for _ in 0..10 {
        let answer = tester.ask("GET / HTTP/1.1\r\nhost: a\r\ncookie: beta=1\r\n\r\n");
        assert_eq!(answer.head.one("x-serin-version"), Some("v2"));
    }
    let failed = (0..100).filter(|_| serin.get("/").status != 200).count();
    assert_eq!((failed, v2.failures()), (7, 17));
    assert_eq!(serin.metrics().sum("serin_trips_total", &[("reason", "failed_requests")]), 1.0);
    let reason = followed(&serin);
    assert!(reason.contains("it failed 7 requests, as many as it may"), "{reason}");
}

#[test]
fn a_canary_that_is_slower_is_out_when_it_has_added_as_much_latency_as_its_rollout_allows() {
    let _machine = alone();
    let (v1, v2, serin) = rig(&json!({ "added_latency": "3s" }));
    let constant = |ms| Some(Latency { median: Duration::from_millis(ms), sigma: 0.0 });
    v1.set_latency(constant(10));
    v2.set_latency(constant(60));
    let schedule = Schedule::Constant(Rate::try_new(200.0).unwrap());
    let running = Load::new(serin.target(), Pace::Open(schedule), Stop::Never).start().unwrap();
    until(SOON, "the wire trips", || {
        serin.metrics().sum("serin_trips_total", &[("reason", "added_latency")]) == 1.0
    });
    let asked = v2.requests();
    let reason = followed(&serin);
    running.cancel();
    assert_eq!(running.blocking_report().unwrap().tally.failed(), 0);
    println!("out after {asked} requests that took 50 ms more each: {reason}");
    // Sixty of them make three seconds; a round of the patrol, and those on their way, come on top.
    assert!((55..=120).contains(&asked), "{asked}");
    assert!(reason.contains("as much as it may"), "{reason}");
}
