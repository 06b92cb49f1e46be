//! The main job: a canary that fails is taken out by evidence, soon and at a small price; one that does not
//! is left alone. 1 000 requests a second, a 10 % canary, stubs whose failures are dialled.
//!
//! The statistics have golden vectors in `serin-judge`; here it is the whole chain that is timed: tally,
//! window, judge, planner, store, push, the next request's pick.

use std::time::{Duration, Instant};

use serin_config::Weight;
use serin_loadtest::{Load, Pace, Rate, Running, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, alone, config::held_at_ten_percent, eventually, in_parallel, median, serin::Serin, until,
};

const RUNS: usize = 20;
/// Instances side by side. Each is a load of 1 000 requests a second, a proxy and two stubs; together they
/// must leave room on two cores, since what is timed is Serin and not the scheduler.
const AT_ONCE: usize = 5;
/// Side by side where nothing is timed.
const AT_ONCE_UNTIMED: usize = 7;
/// How many requests are served before the canary begins to fail: four seconds.
const HEALTHY: u64 = 4000;
/// Windows are seconds; the runs begin to fail evenly spread over one, so that no phase is favoured.
const PHASE: u64 = 1000 / RUNS as u64;

#[test]
fn a_canary_that_fails_one_request_in_twenty_is_taken_out_within_seconds() {
    let _machine = alone();
    let runs = in_parallel(RUNS, AT_ONCE, |run| failing_canary(run, 50_000));
    report("5 % of the canary's requests fail", &runs);
    for run in &runs {
        assert!(run.taken_out_after <= Duration::from_secs(12), "{run:?}");
    }
    assert!(median(&times(&runs)) <= Duration::from_secs(8), "median of {:?}", times(&runs));
    assert!(median(&failures(&runs)) <= 40, "median of {:?}", failures(&runs));
}

#[test]
fn a_canary_that_fails_every_request_is_taken_out_within_two_seconds() {
    let _machine = alone();
    let runs = in_parallel(RUNS, AT_ONCE, |run| failing_canary(run, 1_000_000));
    report("every request of the canary fails", &runs);
    for run in &runs {
        assert!(run.taken_out_after <= Duration::from_secs(2), "{run:?}");
    }
}

#[test]
fn a_canary_that_fails_as_often_as_the_stable_version_is_left_alone() {
    let _machine = alone();
    let runs = in_parallel(RUNS, AT_ONCE_UNTIMED, |run| {
        let rig = Rig::start(run);
        rig.stable.set_error_ppm(5_000);
        rig.canary.set_error_ppm(5_000);
        let running = rig.load(Stop::After(Duration::from_secs(60)));
        let tally = running.blocking_report().unwrap().tally;
        let now = rig.serin.control().now().unwrap();
        println!(
            "run {run:2}: {} requests, {} failed; canary at {} in the end",
            tally.total(),
            tally.failed(),
            now.canary
        );
        assert_eq!(now.canary, ten_percent(), "run {run}: {}", rig.serin.control().rollout());
        (rig.stable.failures(), rig.canary.failures())
    });
    // It was not for want of failures.
    assert!(runs.iter().all(|(stable, canary)| *stable > 150 && *canary > 5), "{runs:?}");
}

/// Serin with a rollout that stays at 10 %, and both versions.
struct Rig {
    serin: Serin,
    stable: Stub,
    canary: Stub,
}

#[derive(Debug)]
struct Run {
    /// From the first failure to weight zero, as the control API shows it.
    taken_out_after: Duration,
    /// What clients saw, to the end of the load.
    failed: u64,
}

impl Rig {
    fn start(run: usize) -> Self {
        let stub = |version: &str, seed| {
            Stub::start(StubOptions { version: version.into(), seed, ..StubOptions::default() }).unwrap()
        };
        let (stable, canary) = (stub("v1", run as u64), stub("v2", 1_000 + run as u64));
        let serin = Serin::start(held_at_ten_percent(stable.address(), canary.address()));
        let control = serin.control();
        control.start_rollout();
        until(SOON, "the rollout is at 10 %", || control.now().unwrap().canary == ten_percent());
        Self { serin, stable, canary }
    }

    fn load(&self, stop: Stop) -> Running {
        let schedule = Schedule::Constant(Rate::try_new(1000.0).unwrap());
        Load::new(self.serin.target(), Pace::Open(schedule), stop).start().unwrap()
    }
}

fn failing_canary(run: usize, error_ppm: u32) -> Run {
    let rig = Rig::start(run);
    let control = rig.serin.control();
    let running = rig.load(Stop::Never);
    let healthy = HEALTHY + PHASE * run as u64;
    until(SOON, "the canary has a healthy past", || rig.stable.requests() + rig.canary.requests() >= healthy);
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

fn ten_percent() -> Weight {
    Weight::from_ppm(100_000).unwrap()
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
