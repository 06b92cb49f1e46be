//! What is promised of strata: whichever there are, the evidence is one, and its capital is never more than one.

use proptest::prelude::*;
use serin_config::{RouteName, Weight, policy::RolloutPolicy, wire::LatencyCounts};

use super::*;
use crate::window::Arm;

fn name(route: usize) -> RouteName {
    RouteName::try_new(&format!("route-{route}")).unwrap()
}

/// `n` requests around bucket `at`, nine buckets wide, after `failed` failures.
fn arm(n: u32, failed: u32, at: u16) -> Arm {
    let shares = [1, 2, 4, 8, 10, 8, 4, 2, 1];
    let counts = (at - 4..).zip(shares).map(|(bucket, share)| (bucket, (n - failed) * share / 40));
    Arm::counted(n.into(), failed.into())
        .with_headers(LatencyCounts(counts.filter(|(_, n)| *n > 0).collect()))
}

fn window<const N: usize>(routes: [(usize, Arm, Arm); N]) -> Window {
    let pairings =
        routes.into_iter().map(|(route, canary, stable)| (name(route), Pairing { canary, stable }));
    Window { routes: pairings.collect(), ..Window::default() }
}

fn comparison(strata: usize) -> Comparison {
    Comparison::new(&RolloutPolicy { strata, ..RolloutPolicy::default() }, Scheme::PRODUCTION)
}

fn after(comparison: &mut Comparison, seconds: u64, window: &Window) {
    let from = comparison.next;
    (from..from + seconds).for_each(|second| comparison.observe(second, window, 1.0));
}

fn names(comparison: &Comparison) -> Vec<Option<String>> {
    comparison.strata().map(|stratum| stratum.name().map(|name| name.as_str().into())).collect()
}

const ALARM: f64 = 9.21;

#[test]
fn a_route_that_is_bad_alone_convicts_the_canary_and_is_the_one_with_the_evidence() {
    let mut comparison = comparison(20);
    let second = |failed| {
        window(std::array::from_fn::<_, 10, _>(|route| {
            (route, arm(80, if route == 7 { failed } else { 0 }, 400), arm(800, 0, 400))
        }))
    };
    after(&mut comparison, 60, &second(0));
    assert!(comparison.ln_e() < 0.0);
    after(&mut comparison, 15, &second(4));
    assert!(comparison.ln_e() > ALARM, "{}", comparison.ln_e());
    let most = comparison.strata().max_by(|a, b| a.ln_e_errors().total_cmp(&b.ln_e_errors())).unwrap();
    assert_eq!(most.name(), Some(&name(7)));
    let others = comparison.strata().filter(|stratum| stratum.name() != Some(&name(7)));
    assert!(others.map(|stratum| stratum.ln_e_errors()).all(|ln_e| ln_e < 0.0));
    assert_eq!(most.totals().canary.bad, 60);
    assert_eq!(most.recent().canary.bad, 60);
}

#[test]
fn a_route_that_is_slow_alone_is_found_by_its_own_latencies() {
    let mut comparison = comparison(20);
    let second = |slower: u16| {
        window([(0, arm(80, 0, 300), arm(800, 0, 300)), (1, arm(20, 0, 500 + slower), arm(200, 0, 500))])
    };
    (0..60).for_each(|_| comparison.pre(&second(0)));
    after(&mut comparison, 60, &second(0));
    assert!(comparison.ln_e() < 0.0);
    after(&mut comparison, 30, &second(20));
    assert!(comparison.ln_e() > ALARM, "{}", comparison.ln_e());
    let most = comparison.strata().max_by(|a, b| a.ln_e_latency().total_cmp(&b.ln_e_latency())).unwrap();
    assert_eq!(most.name(), Some(&name(1)));
}

#[test]
fn another_mix_of_routes_is_no_regression_even_if_only_one_version_has_it() {
    // The canary gets more and more of a route that is slow and fails often, and does no worse on either.
    let second = |slow: u32| {
        window([
            (0, arm(400 - slow, 0, 300), arm(4_000, 0, 300)),
            (1, arm(slow, slow / 20, 600), arm(400, 20, 600)),
        ])
    };
    let (mut apart, mut pooled) = (comparison(20), comparison(20));
    for slow in (40..=360).step_by(40) {
        let second = second(slow);
        after(&mut apart, 30, &second);
        let mut all = Pairing::default();
        second.routes.values().for_each(|pairing| all.merge(pairing));
        after(&mut pooled, 30, &Window::of(&name(0), all));
    }
    assert!(pooled.ln_e() > ALARM, "what is thrown together looks guilty: {}", pooled.ln_e());
    assert!(apart.ln_e() < 0.0, "{}", apart.ln_e());
    assert!(apart.strata().all(|stratum| stratum.ln_e_errors() < 0.0 && stratum.ln_e_latency() < 0.0));
}

#[test]
fn the_busiest_routes_before_the_rollout_are_strata_and_names_decide_between_equals() {
    let mut comparison = comparison(2);
    let quiet = |n: u32| arm(n, 0, 400);
    for _ in 0..60 {
        comparison.pre(&window([
            (1, Arm::default(), quiet(100)),
            (2, Arm::default(), quiet(300)),
            (3, Arm::default(), quiet(100)),
        ]));
    }
    let second = window([
        (1, quiet(10), quiet(100)),
        (2, quiet(10), quiet(100)),
        (3, quiet(90), quiet(900)),
        (4, quiet(90), quiet(900)),
    ]);
    after(&mut comparison, 5, &second);
    assert_eq!(names(&comparison), [Some("route-1".into()), Some("route-2".into()), None]);
    let rest = comparison.strata().last().unwrap();
    assert_eq!((rest.totals().canary.requests, rest.totals().stable.requests), (5 * 180, 5 * 1_800));
    assert!(comparison.strata().all(|stratum| stratum.ln_e_latency() > f64::NEG_INFINITY), "all have a past");
}

#[test]
fn without_a_past_the_busiest_routes_of_the_first_window_are_strata_and_later_ones_have_what_room_there_is() {
    let mut comparison = comparison(3);
    let route = |route, n: u32| (route, arm(n, 0, 400), arm(10 * n, 0, 400));
    after(&mut comparison, 1, &window([route(5, 10), route(6, 20)]));
    assert_eq!(names(&comparison), [Some("route-5".into()), Some("route-6".into())]);
    after(&mut comparison, 1, &window([route(1, 10), route(2, 30), route(5, 10), route(6, 20)]));
    let expected = [Some("route-2".into()), Some("route-5".into()), Some("route-6".into()), None];
    assert_eq!(names(&comparison), expected);
    after(&mut comparison, 1, &window([route(0, 1_000), route(6, 20)]));
    assert_eq!(names(&comparison), expected);
}

#[test]
fn where_there_are_many_routes_they_take_turns_and_nothing_is_lost() {
    let many = |failed: u32| Window {
        routes: (0..100)
            .map(|route| {
                let canary = arm(80, if route == 42 { failed } else { 0 }, 400);
                (name(route), Pairing { canary, stable: arm(800, 1, 400) })
            })
            .collect(),
        ..Window::default()
    };
    let mut comparison = comparison(100);
    after(&mut comparison, 31, &many(0));
    // Half of the routes had sixteen turns and half fifteen, the last of which was a second ago.
    assert_eq!(comparison.so_far.canary, 50.0 * 80.0 * (31.0 + 30.0));
    after(&mut comparison, 2, &many(80));
    assert!(comparison.ln_e() > ALARM, "a route that fails outright: {}", comparison.ln_e());

    let mut comparison = super::tests::comparison(100);
    after(&mut comparison, 30, &many(0));
    after(&mut comparison, 20, &many(10));
    assert!(comparison.ln_e() > ALARM, "one that fails an eighth: {}", comparison.ln_e());
    let most = comparison.strata().max_by(|a, b| a.ln_e_errors().total_cmp(&b.ln_e_errors())).unwrap();
    assert_eq!(most.name(), Some(&name(42)));
}

#[test]
fn one_route_is_as_good_as_no_strata_at_all() {
    let (mut named, mut alone) = (comparison(20), comparison(1));
    for second in 0..200 {
        let (canary, stable) =
            (arm(100, u32::from(second % 3 == 0), 400 + (second % 5) as u16), arm(900, 3, 400));
        named.observe(second, &window([(0, canary.clone(), stable.clone())]), 1.0);
        alone.observe_alone(second, &Pairing { canary, stable }, 1.0);
        assert_eq!(named.ln_e(), alone.ln_e(), "{second}");
        assert_eq!(named.proof(0), alone.proof(0));
    }
    assert_eq!(named.strata().next().unwrap().ln_e_errors(), named.ln_e_errors());
}

#[test]
fn a_route_that_appears_late_gets_capital_that_the_others_had() {
    let mut comparison = comparison(20);
    let old = |failed| (0, arm(100, failed, 400), arm(900, 0, 400));
    after(&mut comparison, 100, &window([old(0)]));
    let before = comparison.ln_e();
    // Only names and no requests: nothing is learnt, so the evidence may not rise.
    after(
        &mut comparison,
        1,
        &window([(1, Arm::default(), Arm::default()), (2, Arm::default(), Arm::default())]),
    );
    assert!(comparison.ln_e() <= before + 1e-12);
    let capital: f64 = comparison.strata.iter().map(|stratum| stratum.ln_share.exp()).sum();
    let own = before.exp();
    assert!((capital - (1.0 / 3.0 + own * 2.0 / 3.0)).abs() < 1e-9, "{capital} {own}");
    // And it is found when it fails.
    after(&mut comparison, 15, &window([old(0), (2, arm(100, 10, 400), arm(900, 0, 400))]));
    assert!(comparison.ln_e() > ALARM, "{}", comparison.ln_e());
}

#[test]
fn what_begins_anew_forgets_its_evidence_and_keeps_its_cuts() {
    let mut comparison = comparison(20);
    let second = window([(0, arm(100, 20, 430), arm(900, 0, 400)), (1, arm(50, 0, 300), arm(400, 0, 300))]);
    (0..60).for_each(|_| comparison.pre(&second));
    after(&mut comparison, 20, &second);
    assert!(comparison.ln_e() > ALARM);
    comparison.restart();
    assert_eq!(comparison.ln_e(), f64::NEG_INFINITY);
    assert!(comparison.proof(0).ln_errors.unwrap().abs() < 1e-12);
    after(&mut comparison, 1, &second);
    assert!(comparison.ln_e_latency() > f64::NEG_INFINITY && comparison.ln_e() < ALARM);
}

#[test]
fn a_larger_clump_makes_every_proof_slower_in_proportion() {
    let after = |clump: f64| {
        let mut comparison = comparison(20);
        let second = window([(0, arm(100, 2, 400), arm(900, 0, 400))]);
        (0..30).for_each(|number| comparison.observe(number, &second, clump));
        comparison.ln_e_errors()
    };
    assert!(after(1.0) > after(2.0) && after(2.0) > after(4.0));
}

#[test]
fn each_step_is_proven_under_its_own_margin() {
    let mut policy = RolloutPolicy::default();
    policy.steps.truncate(2);
    policy.steps[0].pass = Some(Margin { ratio: 2.0, margin: Weight::from_ppm(10_000).unwrap() });
    policy.steps[1].pass = None;
    let mut comparison = Comparison::new(&policy, Scheme::PRODUCTION);
    after(&mut comparison, 10, &window([(0, arm(100, 0, 400), arm(900, 1, 400))]));
    let proven = |step: usize| comparison.proof(comparison.margin_of(&policy.steps[step])).ln_errors.unwrap();
    assert!(proven(0) > 3.0, "one per cent is soon excluded: {}", proven(0));
    assert!(proven(1) < 3.0, "a twentieth of it is not: {}", proven(1));
}

fn windows() -> impl Strategy<Value = Vec<Window>> {
    let arm = (0_u32..300, 0_u32..300, 10_u16..820).prop_map(|(n, failed, at)| arm(n, failed.min(n), at));
    let pairing = (arm.clone(), arm).prop_map(|(canary, stable)| Pairing { canary, stable });
    let window = proptest::collection::btree_map((0_usize..9).prop_map(name), pairing, 0..9)
        .prop_map(|routes| Window { routes, ..Window::default() });
    proptest::collection::vec(window, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_stored_in_the_midst_of_blocks_goes_on_the_same(windows in windows(), at in 0_usize..60, strata in 1_usize..12) {
        let (mut straight, mut stored) = (comparison(strata), comparison(strata));
        for (number, window) in windows.iter().enumerate() {
            if number == at {
                stored = serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap();
            }
            straight.observe(number as u64, window, 1.0);
            stored.observe(number as u64, window, 1.0);
            prop_assert!(!straight.ln_e().is_nan() && straight.ln_e() < f64::INFINITY);
        }
        prop_assert_eq!(&straight, &stored);
        prop_assert_eq!(straight.ln_e().to_bits(), stored.ln_e().to_bits());
    }

    #[test]
    fn strata_are_as_many_as_there_is_room_for_and_the_rest(windows in windows(), strata in 1_usize..12) {
        let mut comparison = comparison(strata);
        for (number, window) in windows.iter().enumerate() {
            comparison.observe(number as u64, window, 1.0);
            let named = comparison.strata().filter(|stratum| stratum.name().is_some()).count();
            prop_assert!(named <= strata && comparison.strata().count() <= strata + 1);
        }
        let counted: u64 = comparison.strata().map(|stratum| stratum.totals().canary.requests).sum();
        let sent: u64 = windows.iter().flat_map(|window| window.routes.values()).map(|p| p.canary.judged).sum();
        prop_assert_eq!(counted, sent);
    }
}
