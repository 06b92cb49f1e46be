//! What the judge says, and in which words. How often it is right is in `validity.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use serin_config::{Weight, policy::RolloutPolicy};
use serin_judge::{Evidence, Guard, Lacking, State, Verdict, Window, explain};
use world::{policy, ppm, step, timed, window};

const LONG: Duration = Duration::from_secs(60);

fn limits(max_error_rate: Option<Weight>, max_p99: Option<Duration>) -> RolloutPolicy {
    let mut policy = policy();
    policy.guards.errors = None;
    (policy.guards.max_error_rate, policy.guards.max_p99) = (max_error_rate, max_p99);
    policy
}

fn after(policy: &RolloutPolicy, seconds: u64, window: &Window) -> Evidence {
    let mut evidence = Evidence::new(policy);
    (0..seconds).for_each(|_| evidence.observe(window));
    evidence
}

fn judged(policy: &RolloutPolicy, seconds: u64, window: &Window) -> Verdict {
    after(policy, seconds, window).verdict(&step(), LONG)
}

fn good() -> Window {
    window((100, 0), (900, 0))
}

#[test]
fn before_the_first_window_nothing_is_decided() {
    let verdict = Evidence::new(&policy()).verdict(&step(), Duration::ZERO);
    assert_eq!(verdict.state, State::Insufficient);
    assert_eq!(verdict.against.ln_e, None);
    assert!(verdict.lacking.contains(&Lacking::NoCanaryTraffic { seconds: 0 }));
    assert!(verdict.lacking.contains(&Lacking::MinRequests { have: 0, need: 500, seconds: None }));
    assert!(verdict.lacking.contains(&Lacking::MinDuration { elapsed_ms: 0, need_ms: 10_000 }));
}

#[test]
fn a_flawless_canary_passes_when_its_proof_is_complete_and_not_before() {
    let early = judged(&policy(), 20, &good());
    assert_eq!(early.state, State::Insufficient);
    let [Lacking::NonInferiority { requests: Some(requests), seconds: Some(seconds), .. }] =
        early.lacking[..]
    else {
        panic!("{:?}", early.lacking)
    };
    assert!((5_000..9_000).contains(&requests) && seconds == requests.div_ceil(100), "{requests} {seconds}");
    let late = judged(&policy(), 20 + seconds, &good());
    assert_eq!((late.state, late.lacking), (State::Pass, vec![]));
}

#[test]
fn a_step_needs_its_own_requests_and_its_time_although_the_proof_is_there() {
    let mut evidence = after(&policy(), 100, &good());
    assert_eq!(evidence.verdict(&step(), LONG).state, State::Pass);
    evidence.begin_step();
    evidence.observe(&good());
    let verdict = evidence.verdict(&step(), Duration::from_secs(1));
    assert_eq!(verdict.state, State::Insufficient);
    assert_eq!(
        verdict.lacking,
        [
            Lacking::MinRequests { have: 100, need: 500, seconds: Some(4) },
            Lacking::MinDuration { elapsed_ms: 1_000, need_ms: 10_000 },
        ]
    );
    assert_eq!(verdict.canary.requests, 10_100);
}

#[test]
fn silence_on_either_side_stops_a_step() {
    let mut evidence = after(&policy(), 100, &good());
    (0..60).for_each(|_| evidence.observe(&window((0, 0), (900, 0))));
    assert_eq!(evidence.verdict(&step(), LONG).lacking, [Lacking::NoCanaryTraffic { seconds: 60 }]);

    let mut evidence = after(&policy(), 100, &good());
    (0..60).for_each(|_| evidence.observe(&window((100, 0), (0, 0))));
    assert_eq!(evidence.verdict(&step(), LONG).lacking, [Lacking::NoStableTraffic { seconds: 60 }]);
    let last = serin_config::policy::Step { weight: Weight::WHOLE, ..step() };
    assert_eq!(evidence.verdict(&last, LONG).state, State::Pass, "at 100 % there is no stable traffic");
}

#[test]
fn a_canary_that_fails_more_is_first_suspect_and_then_out() {
    let mut evidence = after(&policy(), 100, &good());
    let states: Vec<_> = (0..8)
        .map(|_| {
            evidence.observe(&window((100, 5), (900, 0)));
            let verdict = evidence.verdict(&step(), LONG);
            let suspect = verdict.lacking.iter().any(|lack| matches!(lack, Lacking::Suspect { .. }));
            (verdict.state, verdict.culprit, suspect)
        })
        .collect();
    assert!(states.contains(&(State::Insufficient, None, true)), "{states:?}");
    assert_eq!(states.last(), Some(&(State::Fail, Some(Guard::Errors), false)));
}

#[test]
fn an_outage_that_both_versions_share_convicts_nobody() {
    let verdict = judged(&policy(), 60, &window((100, 50), (900, 450)));
    assert_ne!(verdict.state, State::Fail);
    assert!(verdict.against.ln_e.unwrap() < 0.0);
}

#[test]
fn a_limit_that_the_canary_alone_breaks_takes_it_out() {
    let verdict = judged(&limits(Some(ppm(20_000)), None), 8, &window((100, 8), (900, 0)));
    assert_eq!((verdict.state, verdict.culprit), (State::Fail, Some(Guard::MaxErrorRate)));

    let slow = world::paired(timed(90, 10), timed(900, 0));
    let verdict = judged(&limits(None, Some(Duration::from_millis(500))), 8, &slow);
    assert_eq!((verdict.state, verdict.culprit), (State::Fail, Some(Guard::MaxP99)));
}

#[test]
fn a_limit_that_both_versions_break_holds_the_rollout() {
    for (policy, window, guard) in [
        (limits(Some(ppm(20_000)), None), window((100, 50), (900, 450)), Guard::MaxErrorRate),
        (
            limits(None, Some(Duration::from_millis(500))),
            world::paired(timed(90, 10), timed(810, 90)),
            Guard::MaxP99,
        ),
    ] {
        let verdict = judged(&policy, 60, &window);
        assert_eq!(verdict.state, State::Insufficient);
        assert!(verdict.against.reached());
        assert_eq!(verdict.lacking, [Lacking::BothVersionsBreach { guard }]);
    }
}

#[test]
fn without_stable_traffic_a_broken_limit_is_the_canarys() {
    let verdict = judged(&limits(Some(ppm(20_000)), None), 8, &window((100, 10), (0, 0)));
    assert_eq!(verdict.state, State::Fail);
}

#[test]
fn one_slow_second_never_takes_a_canary_out() {
    let policy = limits(None, Some(Duration::from_millis(500)));
    let mut evidence = after(&policy, 30, &world::paired(timed(100, 0), timed(900, 0)));
    evidence.observe(&world::paired(timed(0, 100), timed(900, 0)));
    let verdict = evidence.verdict(&step(), LONG);
    assert_eq!(verdict.lacking, [Lacking::OverLimit { guard: Guard::MaxP99 }]);
}

#[test]
fn guards_share_one_promise() {
    let mut all = policy();
    (all.guards.max_error_rate, all.guards.max_p99) = (Some(ppm(20_000)), Some(Duration::from_secs(1)));
    for policy in [all, policy(), limits(Some(ppm(20_000)), None)] {
        let verdict = judged(&policy, 3, &window((100, 5), (900, 0)));
        assert!((verdict.guards.iter().map(|report| report.weight).sum::<f64>() - 1.0).abs() < 1e-12);
        let highest =
            verdict.guards.iter().filter_map(|report| report.ln_e).fold(f64::NEG_INFINITY, f64::max);
        assert!(verdict.against.ln_e.unwrap() <= highest + 1e-12);
    }
}

#[test]
fn without_guards_a_step_passes_on_requests_and_time() {
    let none = limits(None, None);
    assert_eq!(judged(&none, 5, &window((100, 100), (900, 0))).state, State::Pass);
    assert_eq!(judged(&none, 4, &window((100, 100), (900, 0))).state, State::Insufficient);
}

#[test]
fn a_rollback_is_explained_in_words_and_numbers() {
    let mut evidence = after(&policy(), 100, &good());
    (0..8).for_each(|_| evidence.observe(&window((100, 5), (900, 1))));
    let verdict = evidence.verdict(&step(), LONG);
    let lines = explain(&verdict, "v2", "v1");
    assert_eq!(
        lines[0],
        "Rolled back: v2 failed 40 of 6 000 requests (0.67 %) while v1 failed 8 of 54 000 (0.015 %) in the same 60 seconds."
    );
    assert!(lines[1].starts_with("The evidence that v2 is worse is "), "{}", lines[1]);
    assert!(lines[1].ends_with(" to 1; the threshold is 10 000 to 1."), "{}", lines[1]);
    assert_eq!(
        lines[2],
        "Since the rollout began 108 s ago: v2 failed 40 of 10 800 requests (0.37 %) while v1 failed 8 of 97 200 (0.0082 %)."
    );
    assert!(
        lines[3].starts_with("Over the whole rollout v2 failed 45 times as often as v1 (95 % interval: "),
        "{}",
        lines[3]
    );
}

#[test]
fn what_is_lacking_is_explained_with_what_would_help() {
    let lines = explain(&judged(&policy(), 20, &good()), "v2", "v1");
    assert_eq!(
        lines[0],
        "Not decided at 10%: v2 failed 0 of 2 000 requests (0 %) while v1 failed 0 of 18 000 (0 %) in this step."
    );
    assert!(lines[1].contains("20 to 1 is asked for: about "), "{}", lines[1]);
    assert!(lines[1].ends_with("at the present rate."), "{}", lines[1]);

    let slow = world::paired(timed(90, 10), timed(810, 90));
    let held = judged(&limits(None, Some(Duration::from_millis(500))), 60, &slow);
    assert!(
        explain(&held, "v2", "v1")[1].starts_with(
            "Held, please look: v2 was slower than 500 ms in 600 of 6 000 requests (10 %) while v1 was in 5 400 of 54 000 (10 %) in the last 60 seconds; the limit is 1 %."
        ),
        "{:?}",
        explain(&held, "v2", "v1")
    );
}

#[test]
fn every_verdict_survives_its_journal_entry() {
    for (seconds, window) in [(0, good()), (1, good()), (100, good()), (9, window((100, 30), (900, 1)))] {
        let verdict = judged(&policy(), seconds, &window);
        let text = serde_json::to_string(&verdict).unwrap();
        let back: Verdict = serde_json::from_str(&text).unwrap();
        assert_eq!(explain(&back, "v2", "v1"), explain(&verdict, "v2", "v1"));
        assert_eq!((back.state, back.lacking.len()), (verdict.state, verdict.lacking.len()));
    }
}

#[test]
fn where_nobody_watches_nothing_is_said_of_what_happens_just_now_nor_of_how_long_it_takes() {
    let young = Evidence::new(&policy()).verdict(&step(), Duration::from_secs(2));
    let mut evidence = Evidence::new(&policy());
    (0..5).for_each(|_| evidence.observe(&window((2, 0), (18, 0))));
    let few = evidence.verdict(&step(), Duration::from_secs(5));
    let of_now = [
        "present rate",
        "to go",
        "is traffic reaching it",
        "there is nothing to compare",
        "it will not come",
    ];
    for verdict in [young, few] {
        let watched = serin_judge::explain_so_far(&verdict, "v2", "v1").join("\n");
        assert!(of_now.iter().any(|words| watched.contains(words)), "{watched}");
        let kept = serin_judge::explain_as_kept(&verdict, "v2", "v1").join("\n");
        assert!(!of_now.iter().any(|words| kept.contains(words)), "{kept}");
        assert!(kept.starts_with("Not decided at"), "{kept}");
    }
}
