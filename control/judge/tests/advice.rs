//! What the judge asks for, from a first suspicion to a promotion, and how the policy changes it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use serin_config::{
    EventName, RouteName, Weight,
    policy::{BlastRadius, BothWorse, CountedBy, Direction, EventGuard, Mode, Mounting, RolloutPolicy, Step},
};
use serin_judge::{
    Advice, Arm, Evidence, Guard, Judgement, Lacking, Pair, Pairing, State, Trials, Window, explain,
};
use world::{policy, ppm, step, timed, window};

const LONG: Duration = Duration::from_secs(600);

fn after(policy: &RolloutPolicy, seconds: u64, window: &Window) -> Evidence {
    let mut evidence = Evidence::new(policy);
    (0..seconds).for_each(|_| evidence.observe(window));
    evidence
}

fn judged(evidence: &Evidence) -> Judgement {
    evidence.judge(&step(), LONG)
}

fn good() -> Window {
    window((100, 0), (900, 0))
}

fn beat(canary: (u64, u64), stable: (u64, u64)) -> Pair {
    let trials = |(requests, bad)| Trials { requests, bad };
    Pair { canary: trials(canary), stable: trials(stable) }
}

fn lines(evidence: &Evidence) -> Vec<String> {
    explain(&evidence.verdict(&step(), LONG), "v2", "v1")
}

/// The advice of each second while the canary fails 3 of 100, until it fails for good.
fn way_out(policy: &RolloutPolicy) -> Vec<Advice> {
    let mut evidence = after(policy, 100, &good());
    let mut advices = vec![];
    while advices.last() != Some(&Advice::Rollback) && advices.len() < 60 {
        evidence.observe(&window((100, 3), (900, 0)));
        advices.push(judged(&evidence).advice);
    }
    advices.dedup();
    advices
}

#[test]
fn the_way_out_is_graduated() {
    let hold = Advice::Hold { notify: true };
    let mut policy = policy();
    assert_eq!(way_out(&policy), [Advice::Continue, hold, Advice::Lower, Advice::Rollback]);
    policy.actions.mounting = Mounting::Hold;
    assert_eq!(way_out(&policy), [Advice::Continue, hold, Advice::Rollback]);
}

#[test]
fn a_judgement_is_the_verdict_in_short() {
    for (seconds, window) in [(0, good()), (5, good()), (100, good()), (9, window((100, 30), (900, 1)))] {
        let evidence = after(&policy(), seconds, &window);
        let (short, whole) = (judged(&evidence), evidence.verdict(&step(), LONG));
        assert_eq!((short.state, short.advice, short.culprit), (whole.state, whole.advice, whole.culprit));
        assert_eq!(
            (short.ln_e.is_finite().then_some(short.ln_e), short.ln_threshold),
            (whole.against.ln_e, whole.against.ln_threshold)
        );
    }
}

#[test]
fn a_dead_canary_is_out_after_two_beats_and_before_its_first_second_is_over() {
    let mut evidence = Evidence::new(&policy());
    let beats = (1..).find(|_| {
        evidence.beat(beat((12, 12), (238, 0)), false);
        judged(&evidence).advice == Advice::Rollback
    });
    assert_eq!((beats, judged(&evidence).culprit), (Some(2), Some(Guard::FastLane)));
    assert_eq!(
        lines(&evidence)[0],
        "Rolled back: v2 failed 24 of 24 requests (100 %) while v1 failed 0 of 476 (0 %) just now."
    );
    assert!(lines(&evidence)[1].starts_with("The evidence that v2 fails outright is "));
}

#[test]
fn a_probed_canary_that_is_dead_is_out_after_six_requests() {
    let mut evidence = Evidence::new(&policy());
    let requests = (1..).find(|_| {
        evidence.beat(beat((1, 1), (50, 0)), true);
        judged(&evidence).advice == Advice::Rollback
    });
    assert!(requests <= Some(6), "{requests:?}");
}

#[test]
fn a_poisoned_client_of_a_quiet_sticky_canary_takes_nothing_out() {
    // Four requests a second, of which one client's two fail for ever; it is told of once.
    let seconds = |clients| {
        let canary = Arm { clients: Some(clients), ..Arm::counted(4, 2) };
        world::paired(canary, Arm::counted(80, 0))
    };
    let mut policy = policy();
    policy.guards.max_error_rate = Some(ppm(20_000));
    let mut evidence = Evidence::new(&policy);
    for second in 0..600 {
        (0..4).for_each(|i| evidence.beat(beat((1, i % 2), (20, 0)), false));
        evidence.observe(&seconds(u64::from(second == 0)));
        assert_ne!(judged(&evidence).state, State::Fail, "after {second} s");
    }
}

#[test]
fn beats_leave_the_promise_as_it_is() {
    let mut evidence = Evidence::new(&policy());
    for _ in 0..4 {
        evidence.beat(beat((25, 0), (225, 0)), false);
    }
    evidence.observe(&window((100, 5), (900, 0)));
    let guards = evidence.verdict(&step(), LONG).guards;
    assert!((guards.iter().map(|report| report.weight).sum::<f64>() - 1.0).abs() < 1e-12);
    assert_eq!(
        guards.iter().map(|report| report.guard).collect::<Vec<_>>(),
        [Guard::Errors, Guard::FastLane]
    );
}

#[test]
fn what_both_versions_suffer_holds_unless_the_policy_says_otherwise() {
    let mut policy = policy();
    policy.guards.errors = None;
    policy.guards.max_error_rate = Some(ppm(20_000));
    let outage = window((100, 50), (900, 450));
    let held = judged(&after(&policy, 60, &outage));
    assert_eq!((held.state, held.advice), (State::Insufficient, Advice::Hold { notify: true }));
    policy.actions.both_worse = BothWorse::Rollback;
    let out = judged(&after(&policy, 60, &outage));
    assert_eq!((out.state, out.culprit), (State::Fail, Some(Guard::MaxErrorRate)));
}

#[test]
fn a_bound_on_failed_requests_holds_whatever_the_evidence_says() {
    let mut policy = policy();
    policy.blast_radius = BlastRadius { failed_requests: Some(20), added_latency: None };
    let evidence = after(&policy, 19, &window((100, 1), (900, 9)));
    assert_ne!(judged(&evidence).state, State::Fail);
    let evidence = after(&policy, 20, &window((100, 1), (900, 9)));
    assert_eq!(
        (judged(&evidence).advice, judged(&evidence).culprit),
        (Advice::Rollback, Some(Guard::FailedRequests))
    );
    assert_eq!(lines(&evidence)[0], "Rolled back: v2 failed 20 requests; this rollout may cost at most 20.");
}

#[test]
fn a_bound_on_added_latency_holds_whatever_the_evidence_says() {
    let mut policy = policy();
    policy.blast_radius =
        BlastRadius { failed_requests: None, added_latency: Some(Duration::from_secs(100)) };
    let slow = world::paired(timed(90, 10), timed(900, 0));
    let evidence = after(&policy, 4, &slow);
    assert_ne!(judged(&evidence).state, State::Fail);
    let evidence = after(&policy, 6, &slow);
    assert_eq!(judged(&evidence).culprit, Some(Guard::AddedLatency));
    let line = &lines(&evidence)[0];
    assert!(
        line.starts_with("Rolled back: v2 made its users wait 11") && line.ends_with("at most 100 s."),
        "{line}"
    );
}

#[test]
fn a_share_that_is_off_holds_and_is_explained() {
    let shared = |set| Window { share: Some(ppm(set)), ..good() };
    let evidence = after(&policy(), 100, &shared(100_000));
    assert_eq!(judged(&evidence).advice, Advice::Promote);
    let evidence = after(&policy(), 100, &shared(50_000));
    let verdict = evidence.verdict(&step(), LONG);
    assert_eq!((verdict.state, verdict.advice), (State::Insufficient, Advice::Hold { notify: true }));
    let [Lacking::ShareOff { share }] = verdict.lacking[..] else { panic!("{:?}", verdict.lacking) };
    assert_eq!((share.set, share.seen, share.requests), (0.05, 0.1, 60_000));
    assert!(lines(&evidence)[1].starts_with(
        "Held, please look: v2 had 10 % of 60 000 requests in the last minute, where 5 % was set."
    ));
}

#[test]
fn everything_goes_to_the_canary_only_after_the_soak() {
    let mut policy = policy();
    policy.steps =
        vec![step(), Step { weight: ppm(500_000), ..step() }, Step { weight: Weight::WHOLE, ..step() }];
    let half = &policy.steps[1].clone();
    // The first window is a part of a second.
    let mut evidence = after(&policy, 201, &good());
    assert_eq!(judged(&evidence).advice, Advice::Promote, "earlier steps need no soak");
    let verdict = evidence.verdict(half, LONG);
    assert_eq!(
        (verdict.advice, &verdict.lacking[..]),
        (Advice::Continue, &[Lacking::Soak { have: 200, need: 300 }][..])
    );
    assert_eq!(
        explain(&verdict, "v2", "v1")[1],
        "A rollout is watched for at least 5 min before everything goes to v2: 100 s to go."
    );
    (0..100).for_each(|_| evidence.observe(&good()));
    assert_eq!(evidence.judge(half, LONG).advice, Advice::Promote);
}

#[test]
fn silence_for_a_minute_holds_and_somebody_is_told() {
    let mut evidence = after(&policy(), 100, &good());
    let silence = window((0, 0), (900, 0));
    (0..59).for_each(|_| evidence.observe(&silence));
    assert_eq!(judged(&evidence).advice, Advice::Promote);
    evidence.observe(&silence);
    assert_eq!(judged(&evidence).advice, Advice::Hold { notify: true });
}

#[test]
fn a_version_without_traffic_is_never_decided() {
    let mut evidence = Evidence::new(&policy());
    for _ in 0..7_200 {
        evidence.observe(&window((0, 0), (900, 3)));
        assert_eq!(judged(&evidence).state, State::Insufficient);
    }
    assert!(lines(&evidence)[1].contains("is traffic reaching it?"), "{:?}", lines(&evidence));
}

fn with_orders(canary: u64, stable: u64) -> Window {
    let order = EventName::try_new("order").unwrap();
    let arm = |judged, orders| Arm { events: vec![(order.clone(), orders)], ..Arm::counted(judged, 0) };
    let route = RouteName::try_new("all").unwrap();
    Window::of(&route, Pairing { canary: arm(100, canary), stable: arm(900, stable) })
}

#[test]
fn a_business_event_that_stays_away_takes_the_canary_out() {
    let mut policy = policy();
    let event = EventName::try_new("order").unwrap();
    policy.guards.events =
        vec![EventGuard { event, bad: Direction::Fewer, ratio: 1.2, counted_by: CountedBy::Proxy }];
    assert_eq!(judged(&after(&policy, 100, &with_orders(20, 180))).advice, Advice::Promote);
    let evidence = after(&policy, 100, &with_orders(8, 180));
    assert_eq!(
        (judged(&evidence).advice, judged(&evidence).culprit),
        (Advice::Rollback, Some(Guard::Event(0)))
    );
    assert_eq!(
        lines(&evidence)[0],
        "Rolled back: \"order\" came with 480 of 6 000 requests (8 %) of v2 and 10 800 of 54 000 (20 %) of v1 in the same 60 seconds."
    );
}

fn errors_and_limit(mode: Mode) -> RolloutPolicy {
    let mut policy = policy();
    policy.guards.max_error_rate = Some(ppm(20_000));
    policy.mode = mode;
    policy
}

fn seconds_until_out(mode: Mode, failed: u64) -> Option<u64> {
    let mut evidence = after(&errors_and_limit(mode), 60, &good());
    (1..=60).find(|_| {
        evidence.observe(&window((100, failed), (900, 0)));
        judged(&evidence).state == State::Fail
    })
}

#[test]
fn one_guard_is_enough_for_any_and_not_for_all() {
    let (sum, any, all) = (
        seconds_until_out(Mode::Evidence, 2),
        seconds_until_out(Mode::Any, 2),
        seconds_until_out(Mode::All, 2),
    );
    assert!(sum.is_some() && sum <= any && any <= Some(20), "{sum:?} {any:?}");
    assert_eq!(all, None, "two of a hundred are within the limit");
    assert!(seconds_until_out(Mode::All, 10).is_some());
}

#[test]
fn points_are_told_and_decide_where_the_policy_counts_them() {
    let mode = Mode::Score { fail_below: 40, pass_from: 90 };
    let mut evidence = after(&errors_and_limit(mode), 100, &good());
    assert_eq!(judged(&evidence).advice, Advice::Promote);
    let mut between = 0;
    while judged(&evidence).state != State::Fail {
        evidence.observe(&window((100, 10), (900, 0)));
        let verdict = evidence.verdict(&step(), LONG);
        let points = verdict.score.unwrap().points;
        assert_eq!(verdict.state == State::Fail, points < 40.0, "{points}");
        between += u32::from(verdict.lacking.iter().any(|lack| matches!(lack, Lacking::Score { .. })));
    }
    assert!(between > 0);
    assert!(
        lines(&evidence)[1].starts_with("v2 has ")
            && lines(&evidence)[1].ends_with("below 40 it is taken out.")
    );
}

#[test]
fn a_slice_of_stable_that_looks_worse_makes_the_judge_slower() {
    let bad = window((100, 5), (900, 0));
    let noisy = |failed| Window {
        control: Pairing { canary: Arm::counted(100, failed), stable: Arm::counted(800, 0) },
        ..bad.clone()
    };
    let until_out = |window: &Window| {
        let mut evidence = Evidence::new(&policy());
        let seconds = (1..=300).find(|_| {
            evidence.observe(window);
            judged(&evidence).state == State::Fail
        });
        (seconds, evidence)
    };
    let (quiet, evidence) = until_out(&noisy(0));
    assert_eq!((evidence.self_test().seconds, evidence.self_test().suspicions), (quiet.unwrap(), 0));
    assert_eq!(evidence.verdict(&step(), LONG).clump, 1);
    let (slower, evidence) = until_out(&noisy(2));
    assert!(slower.is_none_or(|slower| slower > quiet.unwrap()), "{slower:?} {quiet:?}");
    assert!(evidence.self_test().suspicions > 0 && evidence.verdict(&step(), LONG).clump > 1);
    assert!(
        lines(&evidence).iter().any(|line| line.contains("were taken for one proof")),
        "{:?}",
        lines(&evidence)
    );
}
