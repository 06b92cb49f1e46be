//! A canary that is slower where it matters is taken out.

use std::time::{Duration, Instant};

use serde_json::json;
use serin_config::Weight;
use serin_loadtest::{Latency, Stop};

use super::rig::{AT_ONCE, Rig};
use crate::harness::{SOON, alone, in_parallel, median};

/// Runs of each kind.
pub(super) const RUNS: usize = 5;
pub(super) const SIGMA: f64 = 0.5;
pub(super) const MEDIAN: Duration = Duration::from_millis(20);
/// Stable's past before the start, from which the thresholds come.
pub(super) const PAST: u64 = 10_000;

pub(super) fn rig(run: usize) -> Rig {
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
