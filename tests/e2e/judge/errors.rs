//! A canary that fails is taken out by evidence, soon and at a small price.

use std::time::{Duration, Instant};

use serde_json::json;
use serin_config::Weight;
use serin_loadtest::Stop;

use super::rig::{AT_ONCE, RATE, RUNS, Rig};
use crate::harness::{SOON, alone, eventually, http, in_parallel, median, until};

/// How many requests are served before the canary begins to fail: four seconds.
const HEALTHY: u64 = 4000;
/// Windows are seconds; the runs begin to fail evenly spread over one, so that no phase is favoured.
const PHASE: u64 = 1000 / RUNS as u64;
/// Requests a second of a 5 % canary.
const SHARE: f64 = RATE * 0.05;

#[test]
fn a_canary_that_fails_one_request_in_twenty_costs_at_most_twenty_five() {
    let _machine = alone();
    let runs = in_parallel(RUNS, AT_ONCE, |run| failing_canary(run, 50_000));
    report("5 % of the canary's requests fail", &runs);
    assert!(median(&failures(&runs)) <= 25, "median of {:?}", failures(&runs));
    for run in &runs {
        assert!(run.taken_out_after <= Duration::from_secs(30), "{run:?}");
    }
}

#[test]
fn a_canary_that_fails_every_request_costs_at_most_a_second_and_a_half_of_its_share() {
    let _machine = alone();
    let runs = in_parallel(RUNS, AT_ONCE, |run| failing_canary(run, 1_000_000));
    report("every request of the canary fails", &runs);
    assert!(median(&failures(&runs)) as f64 <= 1.5 * SHARE, "median of {:?}", failures(&runs));
    for run in &runs {
        assert!(run.taken_out_after <= Duration::from_millis(1_500), "{run:?}");
    }
}

#[test]
fn a_canary_that_has_failed_as_many_requests_as_it_may_is_out_and_the_verdict_says_that() {
    let _machine = alone();
    let rig = Rig::new(1, &json!({ "blast_radius": { "failed_requests": 3 } }));
    rig.canary.set_error_ppm(50_000);
    let running = rig.load(Stop::Never);
    let rig = rig.begin();
    let rollout = eventually(SOON, "the rollout is rolled back", || {
        let rollout = rig.serin.control().rollout();
        (rollout["live"] == false).then_some(rollout)
    });
    running.cancel();
    running.blocking_report().unwrap();
    let verdict = &rollout["verdict"];
    assert_eq!(
        (&verdict["state"], &verdict["culprit"]),
        (&json!("fail"), &json!("failed_requests")),
        "{rollout}"
    );
    let words = http::get(rig.serin.api, "/v1/services/shop/rollout/explain").unwrap().body;
    assert!(words.contains("may cost at most 3") && !words.contains("Not decided"), "{words}");
}

#[derive(Debug)]
struct Run {
    /// From the first failure to weight zero, as the control API shows it.
    taken_out_after: Duration,
    /// What clients saw, to the end of the load.
    failed: u64,
}

fn failing_canary(run: usize, error_ppm: u32) -> Run {
    let rig = Rig::new(run, &json!({}));
    let running = rig.load(Stop::Never);
    let rig = rig.begin();
    let control = rig.serin.control();
    let healthy = HEALTHY + PHASE * run as u64;
    rig.served(SOON, healthy);
    rig.canary.set_error_ppm(error_ppm);
    let first = eventually(SOON, "the canary begins to fail", || rig.canary.first_failure());
    let (out, generation) = eventually(Duration::from_secs(60), "weight 0", || {
        let now = control.now().unwrap();
        (now.canary == Weight::ZERO).then(|| (Instant::now(), now.generation))
    });
    // The proxy follows: answers carry the new generation, and none comes from the canary any more.
    until(SOON, "the proxy has the plan", || {
        let shown = rig.serin.get("/").header("x-serin-generation").parse::<u64>();
        shown.is_ok_and(|shown| shown >= generation)
    });
    let last = rig.canary.requests();
    let served = rig.stable.requests();
    until(SOON, "the load goes on", || rig.stable.requests() >= served + 500);
    assert_eq!(rig.canary.requests(), last, "the canary is out");
    running.cancel();
    let report = running.blocking_report().unwrap();
    let own = rig.canary.failures();
    assert_eq!(
        report.tally.failed(),
        own,
        "only the canary's own failures reach clients: {:?}",
        report.tally
    );
    assert_eq!(report.progress.missed, report.progress.due - report.progress.sent);
    Run { taken_out_after: out.duration_since(first), failed: report.tally.failed() }
}

fn times(runs: &[Run]) -> Vec<Duration> {
    runs.iter().map(|run| run.taken_out_after).collect()
}

fn failures(runs: &[Run]) -> Vec<u64> {
    runs.iter().map(|run| run.failed).collect()
}

fn report(what: &str, runs: &[Run]) {
    println!("{what}:");
    for (number, run) in runs.iter().enumerate() {
        println!(
            "run {number:2}: weight 0 after {:.2?}, {} failed requests",
            run.taken_out_after, run.failed
        );
    }
    println!("median: {:.2?}, {} failed requests", median(&times(runs)), median(&failures(runs)));
}
