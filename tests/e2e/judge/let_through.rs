//! A good canary gets to everything on proof, step by step, and the report says what each step waited for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin_config::Weight;
use serin_loadtest::{Latency, Stop};

use super::rig::Rig;
use crate::harness::{SOON, crowd, eventually, serin::binary};

/// The default policy at a thousand requests a second, but for the soak, which only waits: five minutes by default.
#[test]
fn a_good_canary_is_promoted_through_all_steps_on_proof_and_the_report_says_what_it_waited_for() {
    let _machine = crowd();
    let steps: Vec<Value> =
        ["1%", "5%", "10%", "25%", "50%", "100%"].iter().map(|weight| json!({ "weight": weight })).collect();
    let rig = Rig::new(1, &json!({ "steps": steps, "soak": "60s" }));
    for version in [&rig.stable, &rig.canary] {
        version.set_latency(Some(Latency { median: Duration::from_millis(10), sigma: 0.4 }));
        version.set_error_ppm(100);
    }
    let running = rig.load(Stop::Never);
    rig.served(SOON, 10_000);
    let rig = rig.begin();
    let begun = Instant::now();
    let rollout = eventually(Duration::from_secs(420), "the canary has everything", || {
        let rollout = rig.serin.control().rollout();
        assert_ne!(rollout["state"], "rolled_back", "{rollout}");
        (rollout["live"] == false).then_some(rollout)
    });
    let took = begun.elapsed();
    running.cancel();
    running.blocking_report().unwrap();
    assert_eq!((&rollout["state"], &rollout["why"]), (&json!("promoted"), &json!("evidence")), "{rollout}");
    assert_eq!(rig.weight(), Weight::WHOLE);
    let weights: Vec<Value> = rig
        .serin
        .control()
        .journal()
        .iter()
        .rev()
        .filter_map(|entry| entry["to"].get("v2").cloned())
        .collect();
    let report =
        binary().args(["rollout", "report", "shop", "--api", &rig.serin.api.to_string()]).output().unwrap();
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    println!("promoted after {took:.1?} by way of {weights:?}\n{report}");
    for weight in ["1%", "5%", "10%", "25%", "50%", "100%"] {
        assert!(report.contains(weight), "{weight} is not in: {report}");
    }
    assert!(report.contains("waited"), "{report}");
}
