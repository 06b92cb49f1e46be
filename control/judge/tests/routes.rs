//! Routes: the culprit is named, a changed mix is no regression, and latency is judged within each of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use serin_config::{
    RouteName,
    policy::{LatencyComparison, Margin, RolloutPolicy, Step},
    wire::{LatencyCounts, bucket_of},
};
use serin_judge::{Advice, Arm, Evidence, Guard, Lacking, Pairing, State, Verdict, Window, explain};
use world::{policy, ppm, step};

const LONG: Duration = Duration::from_secs(600);

fn both() -> RolloutPolicy {
    let mut policy = policy();
    policy.guards.latency = Some(LatencyComparison::default());
    policy
}

fn route(name: &str, canary: Arm, stable: Arm) -> Window {
    Window::of(&RouteName::try_new(name).unwrap(), Pairing { canary, stable })
}

fn routes(all: impl IntoIterator<Item = Window>) -> Window {
    all.into_iter()
        .reduce(|mut one, other| {
            one.merge(&other);
            one
        })
        .unwrap()
}

/// So many requests, of which so many fail; the others take `ms` and more, fewer and fewer the more.
fn arm(judged: u32, failed: u32, ms: u64) -> Arm {
    let (first, good) = (bucket_of(ms * 1_000), f64::from(judged - failed));
    let below = |i: u16| (good * (1.0 - (-f64::from(i) / 12.0).exp())).round() as u32;
    let headers = (0..100).map(|i| (first + i, below(i + 1) - below(i))).filter(|(_, n)| *n > 0);
    Arm::counted(u64::from(judged), u64::from(failed)).with_headers(LatencyCounts(headers.collect()))
}

fn verdict(evidence: &Evidence) -> Verdict {
    evidence.verdict(&step(), LONG)
}

fn until_fail(evidence: &mut Evidence, window: &Window) -> Option<u64> {
    (1..=120).find(|_| {
        evidence.observe(window);
        verdict(evidence).state == State::Fail
    })
}

#[test]
fn the_one_route_that_fails_is_named_and_its_counts_are_told() {
    let shop = |failed| {
        routes([
            route("cart", arm(10, failed, 20), arm(90, 0, 20)),
            route("home", arm(60, 0, 20), arm(540, 1, 20)),
            route("search", arm(30, 0, 200), arm(270, 0, 200)),
        ])
    };
    let mut evidence = Evidence::new(&both());
    (0..60).for_each(|_| evidence.observe(&shop(0)));
    assert!(verdict(&evidence).strata.len() == 3 && verdict(&evidence).route.is_none());
    assert!(until_fail(&mut evidence, &shop(2)).is_some_and(|seconds| seconds <= 15));
    let verdict = verdict(&evidence);
    assert_eq!(verdict.culprit, Some(Guard::Errors));
    assert_eq!(verdict.route.as_ref().map(RouteName::as_str), Some("cart"));
    assert_eq!(verdict.strata[0].route, verdict.route);
    let lines = explain(&verdict, "v2", "v1");
    assert!(lines[0].starts_with("Rolled back: on route cart, v2 failed "), "{lines:?}");
    assert!(lines[0].contains(" in the same 60 seconds; on all routes together it was "), "{lines:?}");
    assert!(lines[1].starts_with("The evidence that v2 is worse on route cart is "), "{lines:?}");
}

#[test]
fn where_all_routes_fail_alike_none_is_named() {
    let shop = routes(["a", "b", "c"].map(|name| route(name, arm(30, 2, 20), arm(270, 0, 20))));
    let mut evidence = Evidence::new(&both());
    assert!(until_fail(&mut evidence, &shop).is_some());
    assert_eq!(verdict(&evidence).route, None);
}

#[test]
fn the_one_route_that_is_slower_is_named() {
    let shop = |ms| {
        routes([
            route("cart", arm(20, 0, ms), arm(180, 0, 20)),
            route("home", arm(80, 0, 20), arm(720, 0, 20)),
        ])
    };
    let mut evidence = Evidence::new(&both());
    (0..60).for_each(|_| evidence.observe(&shop(20)));
    assert_ne!(verdict(&evidence).state, State::Fail);
    assert!(until_fail(&mut evidence, &shop(40)).is_some_and(|seconds| seconds <= 30));
    let verdict = verdict(&evidence);
    assert_eq!(verdict.culprit, Some(Guard::Latency));
    assert_eq!(verdict.route.as_ref().map(RouteName::as_str), Some("cart"));
    let lines = explain(&verdict, "v2", "v1");
    assert!(
        lines[0].starts_with(
            "Rolled back: v2 is slower than v1 on route cart; on all routes together it took p50 "
        ),
        "{lines:?}"
    );
}

#[test]
fn a_version_that_is_slower_everywhere_is_not_blamed_on_its_busiest_route() {
    let shop = |ms| {
        let at = |name, n| route(name, arm(n, 0, ms), arm(9 * n, 0, 20));
        routes([at("cart", 70), at("home", 20), at("search", 10)])
    };
    let mut evidence = Evidence::new(&both());
    (0..60).for_each(|_| evidence.observe(&shop(20)));
    assert!(until_fail(&mut evidence, &shop(25)).is_some());
    assert_eq!(verdict(&evidence).route, None);
}

#[test]
fn a_changed_mix_of_routes_is_no_regression() {
    // The canary's users turn to a route that is slow and fails often; on each route both versions are alike.
    let (slow, fast) = (|n, bad| arm(n, bad, 400), |n| arm(n, 0, 10));
    let before = routes([route("fast", fast(90), fast(810)), route("slow", slow(10, 1), slow(90, 9))]);
    let after = routes([route("fast", fast(10), fast(810)), route("slow", slow(90, 9), slow(90, 9))]);
    let mut evidence = Evidence::new(&both());
    (0..60).for_each(|_| evidence.observe(&before));
    for _ in 0..600 {
        evidence.observe(&after);
        assert_ne!(verdict(&evidence).state, State::Fail);
    }
    assert!(verdict(&evidence).against.ln_e.unwrap() < 3.0);
}

#[test]
fn a_step_that_accepts_more_errors_asks_for_no_proof_of_latency() {
    let early = Step { pass: Some(Margin { ratio: 2.0, margin: ppm(10_000) }), ..step() };
    let mut policy = both();
    policy.steps = vec![early.clone(), step()];
    let mut evidence = Evidence::new(&policy);
    (0..12).for_each(|_| evidence.observe(&route("all", arm(1_000, 0, 20), arm(9_000, 0, 20))));
    let passed = evidence.verdict(&early, Duration::from_secs(60));
    assert_eq!((passed.state, passed.no_slower), (State::Pass, None), "{:?}", passed.lacking);
    assert!(!verdict(&evidence).no_slower.unwrap().reached());
}

#[test]
fn a_canary_that_is_no_slower_passes_when_that_is_proven() {
    let window = route("all", arm(1_000, 0, 20), arm(9_000, 0, 20));
    let mut evidence = Evidence::new(&both());
    (0..12).for_each(|_| evidence.observe(&window));
    let early = verdict(&evidence);
    let lack = early.lacking.iter().find(|lack| matches!(lack, Lacking::NoSlower { requests: Some(_), .. }));
    assert!(lack.is_some() && !early.no_slower.unwrap().reached(), "{:?}", early.lacking);
    let passed = (0..120).any(|_| {
        evidence.observe(&window);
        verdict(&evidence).advice == Advice::Promote
    });
    assert!(passed && verdict(&evidence).no_slower.unwrap().reached(), "{:?}", verdict(&evidence));
    let lines = explain(&verdict(&evidence), "v2", "v1");
    assert!(
        lines.iter().any(|line| line.starts_with("The proof that v2 is no slower than is accepted is ")),
        "{lines:?}"
    );
}

#[test]
fn a_canary_within_the_tolerance_stays_and_one_beyond_what_is_accepted_is_not_passed() {
    // A bucket is 2.2 % wide. One more is within what is tolerated; five are beyond what a promotion accepts.
    let shifted = |by: u16| {
        let mut slow = arm(100, 0, 20);
        slow.headers.0.iter_mut().for_each(|(bucket, _)| *bucket += by);
        route("all", slow, arm(900, 0, 20))
    };
    let mut evidence = Evidence::new(&both());
    (0..600).for_each(|_| evidence.observe(&shifted(1)));
    assert_ne!(verdict(&evidence).state, State::Fail);
    let mut evidence = Evidence::new(&both());
    (0..600).for_each(|_| evidence.observe(&shifted(5)));
    assert_ne!(verdict(&evidence).advice, Advice::Promote);
}
