//! What must hold for windows that no honest proxy sends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{collections::BTreeMap, time::Duration};

use proptest::{collection::vec, prelude::*};
use serin_config::{
    EventName, RouteName, Weight,
    policy::{BlastRadius, CountedBy, Direction, EventGuard, LatencyComparison, Mode, RolloutPolicy},
    wire::LatencyCounts,
};
use serin_judge::{Arm, Evidence, Pair, Pairing, State, Trials, Window, explain};
use world::{policy, ppm, step};

const LONG: Duration = Duration::from_secs(60);

fn everything(mode: Mode) -> RolloutPolicy {
    let mut policy = policy();
    policy.guards.latency = Some(LatencyComparison::default());
    policy.guards.max_error_rate = Some(ppm(20_000));
    policy.guards.max_p99 = Some(Duration::from_millis(500));
    let event = EventName::try_new("order").unwrap();
    policy.guards.events = [
        (Direction::More, CountedBy::Proxy),
        (Direction::Fewer, CountedBy::Proxy),
        (Direction::More, CountedBy::Push),
    ]
    .map(|(bad, counted_by)| EventGuard { event: event.clone(), bad, ratio: 1.1, counted_by })
    .into();
    policy.blast_radius =
        BlastRadius { failed_requests: Some(u64::MAX), added_latency: Some(Duration::from_secs(u64::MAX)) };
    policy.mode = mode;
    policy.strata = 2;
    policy.warm_up = Duration::from_secs(10);
    policy
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::Evidence),
        Just(Mode::Any),
        Just(Mode::All),
        (0_u8..=100, 0_u8..=100).prop_map(|(fail_below, pass_from)| Mode::Score { fail_below, pass_from }),
    ]
}

/// Small, usual, and near the ends of what a number can hold.
fn counts() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..3, 0_u64..1_000, (1_u64 << 62)..=(1 << 63), Just(u64::MAX)]
}

/// Nothing holds between the fields: failures beyond requests, buckets out of order, twice, or beyond the last.
fn arms() -> impl Strategy<Value = Arm> {
    let buckets =
        vec((prop_oneof![0_u16..900, Just(u16::MAX)], prop_oneof![Just(0), 0_u32..50, Just(u32::MAX)]), 0..8);
    let events = prop_oneof![Just(None), counts().prop_map(Some)];
    (counts(), counts(), counts(), proptest::option::of(counts()), buckets, events).prop_map(
        |(judged, failed, charged, clients, headers, orders)| Arm {
            judged,
            failed,
            charged,
            clients,
            headers: LatencyCounts(headers),
            events: orders.map(|orders| (EventName::try_new("order").unwrap(), orders)).into_iter().collect(),
        },
    )
}

fn pairings() -> impl Strategy<Value = Pairing> {
    (arms(), arms()).prop_map(|(canary, stable)| Pairing { canary, stable })
}

fn windows() -> impl Strategy<Value = Window> {
    let routes = proptest::collection::btree_map(0_u8..5, pairings(), 0..4);
    let shares = proptest::option::of((0_u32..=1_000_000).prop_map(ppm));
    let told = proptest::option::of(any::<[u64; 4]>());
    type Drawn = (BTreeMap<u8, Pairing>, Pairing, Option<Weight>, Option<[u64; 4]>);
    (routes, pairings(), shares, told).prop_map(|(routes, control, share, told): Drawn| Window {
        routes: routes
            .into_iter()
            .map(|(name, pairing)| (RouteName::try_new(&format!("r{name}")).unwrap(), pairing))
            .collect(),
        control,
        copies: false,
        told: told
            .map(|[a, b, c, d]| {
                let trials = |requests, bad| Trials { requests, bad };
                let pair = Pair { canary: trials(a, b), stable: trials(c, d) };
                (EventName::try_new("order").unwrap(), pair)
            })
            .into_iter()
            .collect(),
        share,
    })
}

#[derive(Debug, Clone)]
enum Input {
    Pre(Window),
    Second(Window),
    Beat(Pair, bool),
    Step,
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let trials = || (counts(), counts()).prop_map(|(requests, bad)| Trials { requests, bad });
    let beats = (trials(), trials(), any::<bool>())
        .prop_map(|(canary, stable, probing)| Input::Beat(Pair { canary, stable }, probing));
    let input = prop_oneof![
        1 => windows().prop_map(Input::Pre),
        6 => windows().prop_map(Input::Second),
        3 => beats,
        1 => Just(Input::Step),
    ];
    vec(input, 0..60)
}

fn take(evidence: &mut Evidence, input: &Input) {
    match input {
        Input::Pre(window) => evidence.pre(window),
        Input::Second(window) => evidence.observe(window),
        Input::Beat(counts, probing) => evidence.beat(*counts, *probing),
        Input::Step => evidence.begin_step(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_counts_make_it_panic_or_lose_a_number(inputs in inputs(), mode in modes()) {
        let mut evidence = Evidence::new(&everything(mode));
        for input in &inputs {
            take(&mut evidence, input);
            let judgement = evidence.judge(&step(), LONG);
            prop_assert!(!judgement.ln_e.is_nan() && judgement.ln_e < f64::INFINITY);
            let verdict = evidence.verdict(&step(), LONG);
            prop_assert_eq!((verdict.state, verdict.advice, verdict.culprit), (judgement.state, judgement.advice, judgement.culprit));
            prop_assert_eq!(verdict.state == State::Insufficient, !verdict.lacking.is_empty());
            prop_assert!(!explain(&verdict, "v2", "v1").is_empty());
            prop_assert!(!serde_json::to_string(&verdict).unwrap().contains("null,null,null"));
        }
        let stored = serde_json::to_string(&evidence).unwrap();
        prop_assert!(!stored.contains("NaN") && !stored.contains("\"inf\""));
    }

    #[test]
    fn what_is_resumed_goes_on_bit_by_bit(inputs in inputs(), at in 0_usize..60) {
        let policy = everything(Mode::Evidence);
        let (mut straight, mut resumed) = (Evidence::new(&policy), Evidence::new(&policy));
        for (i, input) in inputs.iter().enumerate() {
            if i == at {
                resumed = serde_json::from_str(&serde_json::to_string(&resumed).unwrap()).unwrap();
            }
            take(&mut straight, input);
            take(&mut resumed, input);
        }
        prop_assert_eq!(serde_json::to_string(&straight).unwrap(), serde_json::to_string(&resumed).unwrap());
        prop_assert_eq!(straight, resumed);
    }

    #[test]
    fn failures_beyond_the_requests_are_taken_for_all_of_them(judged in 1_u64..1_000, beyond in 1_u64..u64::MAX / 2) {
        let policy = policy();
        let after = |failed| {
            let mut evidence = Evidence::new(&policy);
            (0..5).for_each(|_| evidence.observe(&world::window((judged, failed), (900, 1))));
            evidence.judge(&step(), LONG)
        };
        prop_assert_eq!(after(judged), after(judged + beyond));
    }
}
