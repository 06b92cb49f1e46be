//! A version that is broken from its first request on is found by the first few: for ten seconds it gets twenty
//! requests a second at most, whatever its share.

use std::time::Duration;

use serde_json::json;
use serin_config::Weight;
use serin_loadtest::Stop;

use super::rig::{AT_ONCE, RUNS, Rig};
use crate::harness::{SOON, alone, eventually, in_parallel, median};

#[test]
fn a_canary_that_fails_from_its_start_costs_at_most_twenty_requests() {
    let _machine = alone();
    let failed = in_parallel(RUNS, AT_ONCE, |run| {
        let rig = Rig::new(run, &json!({ "probe": {} }));
        rig.canary.set_error_ppm(1_000_000);
        let running = rig.load(Stop::Never);
        rig.served(SOON, 1_000);
        rig.serin.control().start_rollout();
        eventually(Duration::from_secs(20), "the rollout is rolled back", || {
            let rollout = rig.serin.control().rollout();
            (rollout["state"] == "rolled_back").then_some(rollout)
        });
        let served = rig.stable.requests();
        rig.served(SOON, served + 1_000);
        assert_eq!(rig.weight(), Weight::ZERO);
        running.cancel();
        let report = running.blocking_report().unwrap();
        assert_eq!(report.tally.failed(), rig.canary.failures(), "{:?}", report.tally);
        rig.canary.failures()
    });
    println!("every request fails from the start: failed requests {failed:?}, median {}", median(&failed));
    assert!(failed.iter().all(|failed| *failed <= 20), "{failed:?}");
}
