//! A canary that is as good as the stable version, or nearly, is left alone. Nothing is timed here.
//!
//! What is promised of it is that it is not rolled back. Its share may be halved for a while: that takes evidence of 100 to
//! 1, which one good canary in a hundred may see, and with it one in five of these tests. So a few may be; not many.

use std::time::Duration;

use ::http::HeaderName;
use serde_json::json;
use serin_config::Weight;
use serin_loadtest::{Latency, Stop, Stub, UserPlace, Users};

use super::{
    latency,
    rig::{AT_ONCE_UNTIMED, PATHS, RATE, Rig},
    routes::target,
};
use crate::harness::{SOON, crowd, http, in_parallel};

const USER: HeaderName = HeaderName::from_static("x-user");

#[test]
fn a_canary_that_fails_as_often_as_the_stable_version_is_left_alone() {
    let _machine = crowd();
    let runs = in_parallel(AT_ONCE_UNTIMED, AT_ONCE_UNTIMED, |run| {
        let rig = Rig::new(run, &json!({})).begin();
        let weight = rig.weight();
        rig.stable.set_error_ppm(5_000);
        rig.canary.set_error_ppm(5_000);
        let tally = rig.load(Stop::After(Duration::from_secs(60))).blocking_report().unwrap().tally;
        println!(
            "run {run:2}: {} requests, {} failed; canary at {} in the end",
            tally.total(),
            tally.failed(),
            rig.weight(),
        );
        let halved = halved(&rig, run, weight);
        // It was not for want of failures.
        let failures = (rig.stable.failures(), rig.canary.failures());
        assert!(failures.0 > 150 && failures.1 > 2, "run {run}: {failures:?}");
        halved
    });
    few(&runs);
}

#[test]
fn a_canary_that_is_slower_by_a_fiftieth_is_left_alone() {
    let _machine = crowd();
    let runs = in_parallel(latency::RUNS, latency::RUNS, |run| {
        let rig = latency::rig(run);
        rig.canary
            .set_latency(Some(Latency { median: latency::MEDIAN.mul_f64(1.02), sigma: latency::SIGMA }));
        let running = rig.load(Stop::After(Duration::from_secs(70)));
        rig.served(SOON, latency::PAST);
        let rig = rig.begin();
        let weight = rig.weight();
        let report = running.blocking_report().unwrap();
        assert!(report.tally.total() > 50_000, "{:?}", report.progress);
        halved(&rig, run, weight)
    });
    few(&runs);
}

/// Whether the canary has less than its share now; that it has none is what must not be.
fn halved(rig: &Rig, run: usize, weight: Weight) -> bool {
    assert!(rig.weight() > Weight::ZERO, "run {run}: {}", rig.explained());
    rig.weight() < weight
}

/// One in ten is ten times as many as there may be in the long run.
fn few(halved: &[bool]) {
    let number = halved.iter().filter(|halved| **halved).count();
    assert!(number * 10 <= halved.len().max(10), "{number} of {} have less than their share", halved.len());
}

/// A minute each, seven at once; `SERIN_JUDGE_RUNS` asks for more.
fn runs() -> usize {
    let asked = std::env::var("SERIN_JUDGE_RUNS").ok();
    asked.map_or(AT_ONCE_UNTIMED, |number| number.parse().expect("SERIN_JUDGE_RUNS is a number"))
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
    let _machine = crowd();
    let runs = in_parallel(runs(), AT_ONCE_UNTIMED, |run| {
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
        // It was not for want of difference.
        assert!(rig.canary.failures() > 10, "{}", rig.canary.failures());
        halved(&rig, run, weight)
    });
    few(&runs);
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
