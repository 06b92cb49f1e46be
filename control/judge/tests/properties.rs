//! What must hold for any counts at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use proptest::prelude::*;
use serin_config::{policy::RolloutPolicy, wire::LatencyCounts};
use serin_judge::{Arm, Evidence, Verdict, Window};
use world::{policy, ppm, step};

fn all_guards() -> RolloutPolicy {
    let mut policy = policy();
    policy.guards.max_error_rate = Some(ppm(20_000));
    policy.guards.max_p99 = Some(Duration::from_millis(500));
    policy
}

fn arms() -> impl Strategy<Value = Arm> {
    let judged = prop_oneof![Just(0_u64), 1_u64..200, 1_u64..1_000_000];
    (judged, 0.0..=1.0_f64, proptest::collection::btree_map(0_u16..832, 1_u32..1000, 0..20)).prop_map(
        |(judged, share, headers)| {
            Arm::counted(judged, (judged as f64 * share) as u64)
                .with_headers(LatencyCounts(headers.into_iter().collect()))
        },
    )
}

fn windows() -> impl Strategy<Value = Vec<Window>> {
    let window = (arms(), arms()).prop_map(|(canary, stable)| world::paired(canary, stable));
    proptest::collection::vec(window, 0..80)
}

fn judged(evidence: &Evidence) -> Verdict {
    evidence.verdict(&step(), Duration::from_secs(60))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn evidence_is_a_number_or_nothing(windows in windows()) {
        let mut evidence = Evidence::new(&all_guards());
        for window in &windows {
            evidence.observe(window);
            // Every running number is in the stored text; of those that are not finite only "-inf" may be.
            let stored = serde_json::to_string(&evidence).unwrap();
            prop_assert!(!stored.contains("NaN") && !stored.contains("\"inf\""));
            let verdict = judged(&evidence);
            prop_assert!(verdict.ratio.lower.is_finite());
            prop_assert!(verdict.ratio.upper.is_none_or(|upper| upper >= verdict.ratio.lower));
        }
    }

    #[test]
    fn what_is_resumed_goes_on_bit_by_bit(windows in windows(), at in 0_usize..80) {
        let (mut straight, mut resumed) = (Evidence::new(&all_guards()), Evidence::new(&all_guards()));
        for (i, window) in windows.iter().enumerate() {
            if i == at {
                resumed = serde_json::from_str(&serde_json::to_string(&resumed).unwrap()).unwrap();
            }
            straight.observe(window);
            resumed.observe(window);
        }
        prop_assert_eq!(&straight, &resumed);
        prop_assert_eq!(serde_json::to_string(&straight).unwrap(), serde_json::to_string(&resumed).unwrap());
        prop_assert_eq!(judged(&straight), judged(&resumed));
    }

    #[test]
    fn it_makes_no_difference_how_many_proxies_counted(parts in proptest::collection::vec(windows(), 1..4)) {
        let (mut one, mut many) = (Evidence::new(&all_guards()), Evidence::new(&all_guards()));
        for second in 0..80 {
            let reports: Vec<_> = parts.iter().filter_map(|proxy| proxy.get(second)).collect();
            let (mut forth, mut back) = (Window::default(), Window::default());
            reports.iter().for_each(|report| forth.merge(report));
            reports.iter().rev().for_each(|report| back.merge(report));
            one.observe(&forth);
            many.observe(&back);
        }
        prop_assert_eq!(one, many);
    }

    #[test]
    fn more_failures_of_the_canary_never_help_it(windows in windows(), canary in 10_u64..10_000, stable in 10_u64..10_000) {
        let mut before = Evidence::new(&all_guards());
        windows.iter().for_each(|window| before.observe(window));
        let with = |failed: u64| {
            let mut evidence = before.clone();
            evidence.observe(&world::window((canary, failed), (stable, 0)));
            let verdict = judged(&evidence);
            (verdict.against.ln_e.unwrap(), verdict.non_inferiority.unwrap().ln_e.unwrap())
        };
        let outcomes: Vec<_> = (0..=4).map(|quarter| with(canary * quarter / 4)).collect();
        for pair in outcomes.windows(2) {
            prop_assert!(pair[1].0 >= pair[0].0 - 1e-9, "against: {:?}", outcomes);
            prop_assert!(pair[1].1 <= pair[0].1 + 1e-9, "for: {:?}", outcomes);
        }
    }
}
