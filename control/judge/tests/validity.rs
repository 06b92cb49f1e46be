//! Does the judge keep its promises on simulated traffic, and how fast is it? Seeds are fixed, so each run replays.
//!
//! Single formulas are checked against golden vectors below `src/`; what a verdict says is in `verdicts.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, and prints what it measured"
)]

mod world;

use std::time::Duration;

use serin_judge::{Arm, Evidence, Guard, Lacking, Pair, State, Trials, Window};
use world::{Rng, median, policy, step};

fn ln_e(evidence: &Evidence) -> f64 {
    evidence.verdict(&step(), Duration::ZERO).against.ln_e.unwrap_or(f64::NEG_INFINITY)
}

#[test]
fn at_the_edge_of_the_tolerance_suspicion_is_rare() {
    for (stable, seed) in [(1e-3, 1), (1e-2, 2), (1e-1, 3)] {
        let runs = 300;
        let suspect = (0..runs)
            .filter(|run| {
                let (mut rng, mut evidence) = (Rng::new(seed * 10_000 + run), Evidence::new(&policy()));
                (0..300).any(|_| {
                    evidence.observe(&rng.second(1000.0, 0.1, 1.2 * stable + 5e-5, stable));
                    ln_e(&evidence) >= 20_f64.ln()
                })
            })
            .count();
        println!("edge of the tolerance at {stable}: {suspect} of {runs} runs ever reach 20 to 1");
        assert!(suspect as f64 <= 0.05 * runs as f64, "{suspect} of {runs} at {stable}");
    }
}

#[test]
fn at_the_edge_of_the_tolerance_the_fast_lane_is_rarely_suspect() {
    // Half of the blocks are majorities here, which count without a cap.
    let runs = 300;
    let suspect = (0..runs)
        .filter(|run| {
            let (mut rng, mut evidence) = (Rng::new(20_000 + run), Evidence::new(&policy()));
            (0..400).any(|beat| {
                let window = rng.second(250.0, 0.1, 1.2 * 0.42, 0.42).total();
                let trials = |arm: &Arm| Trials { requests: arm.judged, bad: arm.failed };
                evidence.beat(Pair { canary: trials(&window.canary), stable: trials(&window.stable) }, false);
                if beat % 4 == 3 {
                    evidence.observe(&Window::default());
                }
                let guards = evidence.verdict(&step(), Duration::ZERO).guards;
                let lane = guards.iter().find(|report| report.guard == Guard::FastLane);
                lane.and_then(|lane| lane.ln_e).is_some_and(|ln_e| ln_e >= 20_f64.ln())
            })
        })
        .count();
    println!("fast lane at the edge: {suspect} of {runs} runs ever reach 20 to 1");
    assert!(suspect as f64 <= 0.05 * runs as f64, "{suspect} of {runs}");
}

#[test]
fn a_share_at_the_edge_of_its_tolerance_is_not_reported() {
    let runs = 300;
    for share in [0.08, 0.12] {
        for run in 0..runs {
            let (mut rng, mut evidence) = (Rng::new(30_000 + run), Evidence::new(&policy()));
            for _ in 0..300 {
                let window = rng.second(200.0, share, 0.0, 0.0);
                evidence.observe(&Window { share: Some(step().weight), ..window });
                let lacking = evidence.verdict(&step(), Duration::ZERO).lacking;
                assert!(
                    !lacking.iter().any(|lack| matches!(lack, Lacking::ShareOff { .. })),
                    "run {run} at {share}"
                );
            }
        }
    }
}

#[test]
fn versions_that_fail_alike_are_never_told_apart() {
    let runs = 500;
    let mut highest = f64::NEG_INFINITY;
    for run in 0..runs {
        let (mut rng, mut evidence) = (Rng::new(50_000 + run), Evidence::new(&policy()));
        for _ in 0..60 {
            evidence.observe(&rng.second(1000.0, 0.1, 0.005, 0.005));
            let verdict = evidence.verdict(&step(), Duration::ZERO);
            assert_ne!(verdict.state, State::Fail, "run {run}");
            highest = highest.max(verdict.against.ln_e.unwrap_or(f64::NEG_INFINITY));
        }
    }
    println!("both fail 0.5 %, {runs} runs of 60 s: no fail; highest evidence {:.2} to 1", highest.exp());
}

#[test]
fn a_canary_just_outside_the_margin_is_rarely_passed() {
    let runs = 300;
    let passed = (0..runs)
        .filter(|run| {
            let (mut rng, mut evidence) = (Rng::new(60_000 + run), Evidence::new(&policy()));
            (0..300).any(|_| {
                evidence.observe(&rng.second(1000.0, 0.1, 1.5e-3 + 5e-4, 1e-3));
                evidence.verdict(&step(), Duration::ZERO).non_inferiority.unwrap().reached()
            })
        })
        .count();
    println!("just outside the margin: {passed} of {runs} runs ever prove non-inferiority");
    assert!(passed as f64 <= 0.05 * runs as f64, "{passed} of {runs}");
}

/// Good traffic for `good` seconds, then the canary fails with `p`: seconds and failed requests until `fail`.
fn detect(seed: u64, good: u64, p: f64) -> (u64, u64) {
    let (mut rng, mut evidence) = (Rng::new(seed), Evidence::new(&policy()));
    for _ in 0..good {
        evidence.observe(&rng.second(1000.0, 0.1, 0.0, 0.0));
    }
    let mut failed = 0;
    for seconds in 1..=600 {
        let window = rng.second(1000.0, 0.1, p, 0.0);
        failed += window.total().canary.failed;
        evidence.observe(&window);
        if evidence.verdict(&step(), Duration::ZERO).state == State::Fail {
            return (seconds, failed);
        }
    }
    panic!("not found in ten minutes");
}

fn detections(name: &str, runs: u64, seed: u64, good: u64, p: f64) -> (u64, u64, u64) {
    let (seconds, failed): (Vec<_>, Vec<_>) = (0..runs).map(|run| detect(seed + run, good, p)).unzip();
    let (slowest, most) = (*seconds.iter().max().unwrap(), *failed.iter().max().unwrap());
    let (seconds, failed) = (median(seconds), median(failed));
    println!("{name}: median {seconds} s and {failed} failed requests; at most {slowest} s and {most}");
    (seconds, failed, slowest)
}

#[test]
fn a_canary_that_begins_to_fail_is_found_within_seconds() {
    let (seconds, failed, slowest) = detections("0 to 5 % after 10 s", 500, 70_000, 10, 0.05);
    assert!(seconds <= 8 && failed <= 40 && slowest <= 12);
    let (seconds, failed, slowest) = detections("0 to 5 % after two hours", 60, 80_000, 7_200, 0.05);
    assert!(seconds <= 12 && failed <= 70 && slowest <= 20);
}

#[test]
fn a_dead_canary_is_found_within_two_seconds() {
    let (seconds, failed, slowest) = detections("0 to 100 % after 10 s", 500, 90_000, 10, 1.0);
    assert!(seconds == 1 && failed <= 120 && slowest <= 2);
}
