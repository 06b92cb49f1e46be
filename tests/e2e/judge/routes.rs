//! Routes are compared each with itself: the one that is bad is named, and a mix of routes that changes is no
//! regression.

use std::time::Duration;

use ::http::HeaderName;
use serde_json::json;
use serin_loadtest::{Latency, Stop, Stub, Target, UserPlace, Users};

use super::rig::{AT_ONCE, AT_ONCE_UNTIMED, PATHS, RATE, RUNS, Rig};
use crate::harness::{SOON, alone, beside, eventually, http, in_parallel};

const USER: HeaderName = HeaderName::from_static("x-user");

fn target(rig: &Rig, path: &str) -> Target {
    rig.serin.target().path(path).unwrap()
}

#[test]
fn the_one_route_that_is_bad_is_named() {
    let _machine = alone();
    let told = in_parallel(5, AT_ONCE, |run| {
        let rig = Rig::new(run, &json!({}));
        let search = rig.load_at(RATE * 0.9, target(&rig, PATHS[0]), Stop::Never);
        let cart = rig.load_at(RATE * 0.1, target(&rig, PATHS[1]), Stop::Never);
        rig.served(SOON, 2_000);
        let rig = rig.begin();
        rig.canary.path(PATHS[1]).set_error_ppm(300_000);
        let rollout = eventually(Duration::from_secs(120), "it is rolled back", || {
            let rollout = rig.serin.control().rollout();
            (rollout["state"] == "rolled_back").then_some(rollout)
        });
        let explained = http::get(rig.serin.api, "/v1/services/shop/rollout/explain").unwrap().body;
        for running in [search, cart] {
            running.cancel();
            running.blocking_report().unwrap();
        }
        assert_eq!(rollout["verdict"]["route"], "cart", "{rollout}");
        assert!(explained.contains("cart"), "{explained}");
        (rig.canary.failures(), explained)
    });
    println!("one route of ten per cent is bad: {told:#?}");
}

/// The routes differ as routes do: one is slow and fails now and then.
fn as_routes_differ(version: &Stub) {
    let latency = |ms| Some(Latency { median: Duration::from_millis(ms), sigma: 0.4 });
    version.path(PATHS[0]).set_latency(latency(25));
    version.path(PATHS[0]).set_error_ppm(20_000);
    version.path(PATHS[1]).set_latency(latency(5));
}

#[test]
fn a_change_of_the_mix_of_routes_alone_rolls_nothing_back() {
    let _machine = beside();
    in_parallel(RUNS, AT_ONCE_UNTIMED, |run| {
        // Users stay where they are, and those of the canary begin to ask for other things than the rest does.
        let rig = Rig::with_service(run, &json!({}), &json!({ "sticky": { "header": USER.as_str() } }));
        [&rig.stable, &rig.canary].into_iter().for_each(as_routes_differ);
        let rig = rig.begin();
        let weight = rig.weight();
        let (mine, others) = users(&rig);
        let part = |users: &[u32], path: &str, rate: f64, seconds| {
            let users = Users::numbered(users, UserPlace::Header(USER));
            rig.load_at(rate, target(&rig, path).users(users), Stop::After(Duration::from_secs(seconds)))
        };
        let phase = |seconds, mine_slow: f64, others_slow: f64| {
            let (mine_rate, others_rate) = (RATE * 0.05, RATE * 0.95);
            let parts = [
                part(&mine, PATHS[0], mine_rate * mine_slow, seconds),
                part(&mine, PATHS[1], mine_rate * (1.0 - mine_slow), seconds),
                part(&others, PATHS[0], others_rate * others_slow, seconds),
                part(&others, PATHS[1], others_rate * (1.0 - others_slow), seconds),
            ];
            for running in parts {
                running.blocking_report().unwrap();
            }
        };
        phase(20, 0.3, 0.3);
        phase(40, 0.9, 0.1);
        assert_eq!(rig.weight(), weight, "run {run}: {}", rig.explained());
        // It was not for want of difference.
        assert!(rig.canary.failures() > 10, "{}", rig.canary.failures());
    });
}

/// The first twenty users whom the split gives to the canary, and those before them whom it leaves with the stable version.
fn users(rig: &Rig) -> (Vec<u32>, Vec<u32>) {
    let (mut mine, mut others) = (Vec::new(), Vec::new());
    for user in 0.. {
        let reply =
            http::get_with(rig.serin.web, PATHS[1], &[(USER.as_str(), &format!("user-{user}"))]).unwrap();
        match reply.header("x-demo-version") {
            "v2" => mine.push(user),
            _ => others.push(user),
        }
        if mine.len() == 20 {
            break;
        }
    }
    (mine, others)
}
