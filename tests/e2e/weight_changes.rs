//! Weights that change all the time: no request is lost or sees two plans, and each plan's split is the one
//! that was asked for.
//!
//! What a change costs and what the API refuses are covered by `serin-control`; stale generations by a test
//! below.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::Value;
use serin_config::Weight;
use serin_loadtest::{Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{SOON, alone, beside, config::two_versions, control, serin::Serin, until};

const CHANGES: u32 = 1000;
const CHANGE_EVERY: Duration = Duration::from_millis(20);
const PER_SECOND: f64 = 1500.0;

/// Requests of one generation, and how many of them went to the canary.
type Seen = Arc<Mutex<HashMap<u64, (u64, u64)>>>;

fn echo() -> Stub {
    Stub::start(StubOptions { echo: true, ..StubOptions::default() }).unwrap()
}

#[test]
fn fifty_changes_a_second_lose_no_request_and_mix_no_plans() {
    let _machine = alone();
    let (stable, canary) = (echo(), echo());
    let serin = Serin::start(two_versions(stable.address(), canary.address(), "90%", "10%"));
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let target = serin.target().check(move |head, body| note_one_plan(&noted, head, body));
    let schedule = Schedule::Poisson { rate: Rate::try_new(PER_SECOND).unwrap(), seed: 5 };
    let running = Load::new(target, Pace::Open(schedule), Stop::Never).start().unwrap();
    until(SOON, "the load runs", || stable.requests() > 100);

    let began = Instant::now();
    let weights = change_weights(&serin);
    let took = began.elapsed();

    let served = stable.requests() + canary.requests();
    until(SOON, "the last plan serves, too", || stable.requests() + canary.requests() > served + 100);
    running.cancel();
    let report = running.blocking_report().unwrap();
    let seen = seen.lock().unwrap();
    println!(
        "{CHANGES} changes in {took:.2?}; {} requests, {} failed, {} generations seen by them",
        report.tally.total(),
        report.tally.failed(),
        seen.len()
    );
    assert_eq!(report.tally.failed(), 0, "{:?}", report.tally);
    assert!(took < Duration::from_secs(21), "{CHANGES} changes took {took:?}");
    assert!(seen.len() as u32 > CHANGES * 9 / 10, "traffic followed only {} of {CHANGES} plans", seen.len());
    assert_shares(&seen, &weights);
}

#[test]
fn a_change_on_an_old_generation_is_refused_with_the_present_plan() {
    let _machine = beside();
    let (stable, canary) = (echo(), echo());
    let serin = Serin::start(two_versions(stable.address(), canary.address(), "90%", "10%"));
    let control = serin.control();
    let old = control.now().unwrap();
    let half = Weight::from_ppm(500_000).unwrap();
    assert_eq!(control.set_canary(half, old.generation).unwrap().status, 200);
    let refused = control.set_canary(Weight::ZERO, old.generation).unwrap();
    assert_eq!(refused.status, 409, "{}", refused.body);
    let now = control.now().unwrap();
    assert_eq!(now.canary, half);
    assert!(refused.body.contains(&now.generation.to_string()), "{}", refused.body);
}

/// Whether request and response carried one generation and one version; counts them if so.
fn note_one_plan(seen: &Seen, head: &http::response::Parts, body: &[u8]) -> bool {
    let answered = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let Ok(told) = serde_json::from_slice::<Value>(body) else { return false };
    let asked = |name: &str| told["headers"][name].as_array().filter(|all| all.len() == 1)?[0].as_str();
    let same = |name: &str| answered(name).is_some() && answered(name) == asked(name);
    if !same("x-serin-generation") || !same("x-serin-version") {
        return false;
    }
    let Some(generation) = answered("x-serin-generation").and_then(|text| text.parse().ok()) else {
        return false;
    };
    let mut seen = seen.lock().unwrap();
    let (all, canary) = seen.entry(generation).or_default();
    *all += 1;
    *canary += u64::from(answered("x-serin-version") == Some("v2"));
    true
}

/// Makes all changes at their times; hands back each generation's canary weight.
fn change_weights(serin: &Serin) -> HashMap<u64, Weight> {
    let control = serin.control();
    let mut random = SmallRng::seed_from_u64(11);
    let mut now = control.now().unwrap();
    let mut weights = HashMap::from([(now.generation, now.canary)]);
    let began = Instant::now();
    for number in 1..=CHANGES {
        let weight = Weight::from_ppm(random.random_range(0..=1_000_000)).unwrap();
        let reply = control.set_canary(weight, now.generation).unwrap();
        assert_eq!(reply.status, 200, "change {number}: {}", reply.body);
        now = control::read(&reply.json());
        assert_eq!(now.canary, weight);
        assert!(weights.insert(now.generation, weight).is_none(), "a generation came twice");
        let due = began + CHANGE_EVERY * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    weights
}

/// The canary's requests over all plans, against the weights of the plans that served them.
fn assert_shares(seen: &HashMap<u64, (u64, u64)>, weights: &HashMap<u64, Weight>) {
    let (mut expected, mut variance, mut observed) = (0.0, 0.0, 0.0);
    for (generation, (all, canary)) in seen {
        let weight = weights[generation].fraction();
        expected += *all as f64 * weight;
        variance += *all as f64 * weight * (1.0 - weight);
        observed += *canary as f64;
        let (all, canary) = (*all as f64, *canary as f64);
        // One plan serves a few dozen requests; 6 deviations and one request leave a thousand of them room.
        let slack = 6.0 * (all * weight * (1.0 - weight)).sqrt() + 1.0;
        assert!(
            (canary - all * weight).abs() <= slack,
            "generation {generation}: {canary} of {all} at {weight}"
        );
    }
    let off = (observed - expected) / variance.sqrt();
    println!(
        "{observed} requests went to the canary, {expected:.0} were expected: {off:+.2} standard deviations"
    );
    assert!(off.abs() <= 4.0, "{off:+.2} standard deviations");
}
