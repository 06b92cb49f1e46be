//! The trip-wire: a canary that can't be reached, that hangs, or that has failed as many requests as it may is
//! taken out by the proxy itself, and the control plane follows.
//!
//! What trips and what does not is covered by `serin-split` and by the proxy's own tests; what a trip means for
//! the plan by `serin-control`.

use std::time::Duration;

use serde_json::{Value, json};
use serin_config::{Address, Weight};
use serin_loadtest::{Latency, Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, alone, beside,
    config::{SERVICE, two_versions},
    endpoint::{Endpoint, ok},
    fleet::{Edge, Plane},
    free_addresses, http, median,
    serin::Serin,
    until,
};

fn with_wire(v1: &Address, v2: &Address, stable: &str, canary: &str, wire: Value) -> Serin {
    let mut config = two_versions(v1, v2, stable, canary);
    config["services"][SERVICE]["tripwire"] = wire;
    config["limits"]["workers"] = json!(3);
    Serin::start(config)
}

fn trips(serin: &Serin) -> Vec<Value> {
    http::get(serin.admin, "/trips").unwrap().json()["trips"].as_array().unwrap().clone()
}

/// Each request comes over a connection of its own, and so by some worker or other.
fn failures(serin: &Serin, requests: usize) -> usize {
    (0..requests).filter(|_| serin.get("/").status != 200).count()
}

#[test]
fn a_canary_that_can_not_be_reached_is_out_for_all_workers_and_the_control_plane_follows() {
    let _machine = beside();
    let v1 = Stub::start(StubOptions::default()).unwrap();
    let [nobody] = free_addresses();
    let serin = with_wire(v1.address(), &Address::Tcp(nobody), "50%", "50%", json!({}));
    let seen = failures(&serin, 60);
    // Each failed request was two attempts, and five in a row trip.
    assert!((1..=5).contains(&seen), "{seen}");
    assert_eq!(serin.metrics().sum("serin_trips_total", &[("reason", "connect_failures")]), 1.0);
    assert_eq!(failures(&serin, 60), 0);
    until(SOON, "the control plane takes it out", || serin.control().now().unwrap().canary == Weight::ZERO);
    let entry = serin.control().journal().into_iter().find(|entry| entry["action"] == "roll_back").unwrap();
    assert_eq!(entry["actor"], "proxy");
    assert!(entry["reason"].as_str().unwrap().contains("found no connection"), "{entry}");
}

#[test]
fn a_canary_that_is_given_weight_anew_is_tried_anew() {
    let _machine = beside();
    let v1 = Stub::start(StubOptions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("v2.sock");
    let serin = with_wire(v1.address(), &Address::Unix(path.clone()), "50%", "50%", json!({}));
    failures(&serin, 60);
    until(SOON, "it is out", || serin.control().now().unwrap().canary == Weight::ZERO);
    let v2 = Endpoint::answering_at(&path, |_| ok("canary"));
    let now = serin.control().now().unwrap();
    let half = "50%".parse().unwrap();
    assert_eq!(serin.control().set_canary(half, now.generation).unwrap().status, 200);
    until(SOON, "it is asked again", || serin.get("/").status == 200 && v2.requests() > 0);
    assert!(trips(&serin).is_empty());
    assert_eq!(failures(&serin, 20), 0);
}

#[test]
fn a_canary_may_fail_so_many_requests_and_no_more() {
    let _machine = beside();
    let (v1, v2) =
        (Stub::start(StubOptions::default()).unwrap(), Stub::start(StubOptions::default()).unwrap());
    v2.set_error_ppm(1_000_000);
    let serin = with_wire(v1.address(), v2.address(), "50%", "50%", json!({ "failed_requests": 7 }));
    assert_eq!(failures(&serin, 100), 7);
    assert_eq!(v2.failures(), 7);
    until(SOON, "the control plane takes it out", || serin.control().now().unwrap().canary == Weight::ZERO);
}

#[test]
fn a_canary_that_hangs_is_bounded_and_taken_out_and_the_stable_version_goes_on() {
    let _machine = alone();
    let (v1, v2) =
        (Stub::start(StubOptions::default()).unwrap(), Stub::start(StubOptions::default()).unwrap());
    let mut config = two_versions(v1.address(), v2.address(), "90%", "10%");
    config["services"][SERVICE]["breaker"] = json!({ "max_requests": 15 });
    config["limits"]["workers"] = json!(2);
    let serin = Serin::start(config);
    v2.set_hang(true);
    let schedule = Schedule::Constant(Rate::try_new(200.0).unwrap());
    let load = Load::new(serin.target(), Pace::Open(schedule), Stop::After(Duration::from_secs(8)));
    let running = load.start().unwrap();
    until(SOON, "the trip-wire takes it out", || {
        serin.metrics().sum("serin_trips_total", &[("reason", "hang")]) == 1.0
    });
    let asked = v2.requests();
    assert!((10..=15).contains(&asked), "the bulkhead bounds what the canary holds: {asked}");
    until(SOON, "the bulkhead has shed", || serin.metrics().outcome("v2", "overload_local") > 0.0);
    until(SOON, "the control plane takes it out", || serin.control().now().unwrap().canary == Weight::ZERO);
    v2.set_hang(false);
    let report = running.blocking_report().unwrap();
    println!("with a canary that hangs: {:?}", report.tally);
    assert_eq!(v2.requests(), asked, "nothing went to it after that");
    let stable = serin.metrics();
    let failed: f64 = ["connect_fail", "header_timeout", "http_5xx", "overload_local"]
        .iter()
        .map(|outcome| stable.outcome("v1", outcome))
        .sum();
    assert_eq!(failed, 0.0, "the stable version has nothing to do with it");
}

/// With the trip-wire off, so that the hang lasts: what keeps the stable version's users from noticing is the
/// bulkhead alone. Calm and hang take turns, since machines have moods; and a whole round of turns may be repeated, since
/// a mood may last that long, whereas users who notice would do so in every round. The bulkhead has room for all that
/// half a second of a machine that stands still would heap up on the stable version.
#[test]
fn the_stable_version_is_as_fast_while_the_canary_hangs() {
    let _machine = alone();
    const ROUNDS: usize = 3;
    const TURNS: usize = 7;
    const BULKHEAD: u32 = 150;
    let slow_enough_to_measure = Latency { median: Duration::from_millis(20), sigma: 0.0 };
    let stub = || {
        let stub = Stub::start(StubOptions::default()).unwrap();
        stub.set_latency(Some(slow_enough_to_measure));
        stub
    };
    let (v1, v2) = (stub(), stub());
    let mut config = two_versions(v1.address(), v2.address(), "50%", "50%");
    config["services"][SERVICE]["breaker"] = json!({ "max_requests": BULKHEAD });
    config["services"][SERVICE]["tripwire"] = json!(false);
    config["services"][SERVICE]["timeouts"] = json!({ "header": "1s" });
    config["limits"]["workers"] = json!(2);
    let serin = Serin::start(config);
    let p99_of_stable = |hang| {
        v2.set_hang(hang);
        let schedule = Schedule::Constant(Rate::try_new(500.0).unwrap());
        let load = Load::new(serin.target(), Pace::Open(schedule), Stop::After(Duration::from_secs(2)));
        let running = load.start().unwrap();
        if hang {
            let shed = serin.metrics().outcome("v2", "overload_local");
            until(SOON, "the bulkhead sheds", || serin.metrics().outcome("v2", "overload_local") > shed);
        }
        let report = running.blocking_report().unwrap();
        let stable = report.tally.version("v1").unwrap();
        assert_eq!(stable.failed(), 0, "{stable:?}");
        stable.quantile(0.99).unwrap().as_secs_f64()
    };
    p99_of_stable(false);
    let round = |_| {
        let turn = |_| {
            let calm = p99_of_stable(false);
            p99_of_stable(true) / calm
        };
        let ratios: Vec<f64> = (0..TURNS).map(turn).collect();
        let moved = median(&ratios);
        println!(
            "the stable version's p99 while the canary hangs, over its p99 in calm: {moved:.3} of {ratios:.3?}"
        );
        moved
    };
    let unmoved = (0..ROUNDS).map(round).any(|moved| moved < 1.10);
    assert!(unmoved, "in {ROUNDS} rounds, each the median of {TURNS} turns");
}

/// The status of an answer, and whose it is.
fn answered_by(edge: &Edge) -> (u16, String) {
    let reply = edge.get("/");
    (reply.status, reply.header("x-serin-version").to_owned())
}

#[test]
fn in_a_bake_everything_goes_back_to_the_stable_version_though_no_control_plane_is_there() {
    let _machine = beside();
    let [v1, v2] = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
    let mut config = two_versions(v1.address(), v2.address(), "100%", "0%");
    config["services"][SERVICE]["rollout"] = json!({
        "strategy": "blue_green", "bake": "1h", "guards": { "max_error_rate": "5%" }, "blast_radius": { "failed_requests": 7 },
    });
    let mut plane = Plane::start(config, json!({}));
    let edge = Edge::start("edge-1", &json!({ "endpoints": [plane.fleet.to_string()] }));
    plane.control().start_rollout();
    plane.followed_by(&["edge-1"]);
    assert_eq!(answered_by(&edge), (200, "v2".into()), "the switch is one plan");
    plane.member.kill();
    v2.set_error_ppm(1_000_000);
    let failed = (0..60).filter(|_| edge.get("/").status != 200).count();
    assert_eq!((failed, v2.failures()), (7, 7));
    assert_eq!(answered_by(&edge), (200, "v1".into()));
    assert_eq!(edge.member.metrics().sum("serin_trips_total", &[("reason", "failed_requests")]), 1.0);
    plane.start_again();
    until(SOON, "the control plane hears of it", || plane.control().now().unwrap().canary == Weight::ZERO);
    let entry = plane.control().journal().into_iter().find(|entry| entry["action"] == "roll_back").unwrap();
    // By the proxy's word of it, or by the windows that told of the same failures: whichever came first.
    assert_eq!(entry["state"]["state"], "rolled_back", "{entry}");
}

#[test]
fn a_canary_that_has_everything_for_good_is_not_taken_out() {
    let _machine = beside();
    let [v1, v2] = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
    v2.set_error_ppm(1_000_000);
    let serin = with_wire(v1.address(), v2.address(), "0%", "100%", json!({ "failed_requests": 7 }));
    assert_eq!((failures(&serin, 30), v1.requests()), (30, 0));
}
