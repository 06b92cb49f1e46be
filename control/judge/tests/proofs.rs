//! What a promotion rests on: that a canary which is as good as the stable version is let through, however its latencies are
//! spread, and that one which is worse is not, however its failures are counted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use serin_config::{
    RouteName,
    policy::{LatencyComparison, RolloutPolicy},
    wire::{LatencyCounts, bucket_of},
};
use serin_judge::{Arm, Evidence, Pairing, State, Window};
use world::{policy, step};

const LONG: Duration = Duration::from_secs(3_600);

fn route() -> RouteName {
    RouteName::try_new("all").unwrap()
}

fn both() -> RolloutPolicy {
    let mut policy = policy();
    policy.guards.latency = Some(LatencyComparison::default());
    policy
}

/// So many of a hundred requests at each latency, in milliseconds.
fn spread(requests: u64, parts: &[(f64, u64)]) -> Arm {
    let mut counts = LatencyCounts::default();
    for (ms, percent) in parts {
        let n = u32::try_from(requests * percent / 100).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds")]
        counts.merge(&LatencyCounts(vec![(bucket_of((ms * 1_000.0) as u64), n)]));
    }
    Arm::counted(requests, 0).with_headers(counts)
}

/// The second in which the step is passed, within ten minutes.
fn passes(canary: &[(f64, u64)], stable: &[(f64, u64)]) -> Option<u64> {
    let mut evidence = Evidence::new(&both());
    let all = route();
    let past = Pairing { canary: Arm::default(), stable: spread(900, stable) };
    (0..60).for_each(|_| evidence.pre(&Window::of(&all, past.clone())));
    let pairing = Pairing { canary: spread(100, canary), stable: spread(900, stable) };
    let window = Window::of(&all, pairing);
    (1..=600).find(|_| {
        evidence.observe(&window);
        evidence.verdict(&step(), LONG).state == State::Pass
    })
}

#[test]
fn a_canary_whose_latency_is_as_steady_as_the_stable_versions_is_let_through() {
    for steady in [50.0, 200.0, 400.0, 1_000.0] {
        let took = passes(&[(steady, 100)], &[(steady, 100)]);
        assert!(took.is_some_and(|seconds| seconds <= 120), "{steady} ms: {took:?}");
    }
}

#[test]
fn a_canary_is_let_through_where_latencies_have_a_gap() {
    for gap in [
        &[(0.4, 60), (30.0, 40)][..],
        &[(50.0, 99), (500.0, 1)],
        &[(50.0, 95), (500.0, 5)],
        &[(50.0, 50), (51.0, 49), (2_000.0, 1)],
    ] {
        let took = passes(gap, gap);
        assert!(took.is_some_and(|seconds| seconds <= 300), "{gap:?}: {took:?}");
    }
}

#[test]
fn a_canary_that_is_slower_than_steady_is_not() {
    for slower in
        [&[(60.0, 100)][..], &[(50.0, 90), (100.0, 10)], &[(50.0, 97), (500.0, 3)], &[(50.0, 30), (70.0, 70)]]
    {
        assert_eq!(passes(slower, &[(50.0, 100)]), None, "{slower:?}");
    }
    let stable = [(0.4, 60), (30.0, 40)];
    assert_eq!(passes(&[(0.4, 5), (30.0, 95)], &stable), None, "nearly all are on the slow side of the gap");
}

#[test]
fn a_canary_that_fails_the_same_users_again_and_again_is_never_promoted() {
    let all = route();
    for users in [1, 5, 20, 100] {
        let mut evidence = Evidence::new(&both());
        for second in 0..1_200 {
            // Each client is counted once, in the first second; from then on the same ones fail.
            let clients = if second == 0 { users } else { 0 };
            let canary = Arm { clients: Some(clients), ..Arm::counted(100, 30) };
            let stable = Arm { clients: Some(0), ..Arm::counted(900, 0) };
            evidence.observe(&Window::of(&all, Pairing { canary, stable }));
            let state = evidence.verdict(&step(), LONG).state;
            assert_ne!(state, State::Pass, "{users} users, second {second}");
        }
    }
}
