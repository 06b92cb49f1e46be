//! A canary that is slower where it matters is taken out; one that is a little slower is not.

use std::time::{Duration, Instant};

use serde_json::json;
use serin_config::Weight;
use serin_loadtest::{Latency, Stop};

use super::rig::{AT_ONCE, Rig};
use crate::harness::{SOON, alone, beside, in_parallel, median};

/// Runs of each kind.
const RUNS: usize = 5;
const SIGMA: f64 = 0.5;
const MEDIAN: Duration = Duration::from_millis(20);
/// Stable's past before the start, from which the thresholds come.
const PAST: u64 = 10_000;

fn rig(run: usize) -> Rig {
    let rig = Rig::new(run, &json!({}));
    for version in [&rig.stable, &rig.canary] {
        version.set_latency(Some(Latency { median: MEDIAN, sigma: SIGMA }));
    }
    rig
}

#[test]
fn a_canary_whose_slowest_tenth_takes_half_as_long_again_is_taken_out() {
    let _machine = alone();
    let times = in_parallel(RUNS, AT_ONCE, |run| {
        let rig = rig(run);
        let running = rig.load(Stop::Never);
        rig.served(SOON, PAST);
        rig.canary.set_tail(1.5);
        let rig = rig.begin();
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(180);
        while rig.weight() > Weight::ZERO {
            assert!(Instant::now() < deadline, "run {run}: {}", rig.explained());
            rig.served(SOON, rig.stable.requests() + rig.canary.requests() + 200);
        }
        running.cancel();
        let rollout = rig.serin.control().rollout();
        assert_eq!(rollout["verdict"]["culprit"], "latency", "{rollout}");
        begun.elapsed()
    });
    println!("p99 x 1.5: taken out after {times:.1?}, median {:.1?}", median(&times));
}

#[test]
fn a_canary_that_is_slower_by_a_fiftieth_is_left_alone() {
    let _machine = beside();
    in_parallel(RUNS, AT_ONCE, |run| {
        let rig = rig(run);
        rig.canary.set_latency(Some(Latency { median: MEDIAN.mul_f64(1.02), sigma: SIGMA }));
        let running = rig.load(Stop::After(Duration::from_secs(70)));
        rig.served(SOON, PAST);
        let rig = rig.begin();
        let weight = rig.weight();
        let report = running.blocking_report().unwrap();
        assert!(report.tally.total() > 50_000, "{:?}", report.progress);
        assert_eq!(rig.weight(), weight, "run {run}: {}", rig.explained());
    });
}
