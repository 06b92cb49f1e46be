//! Who is there, who has which plan, and who has not followed a rollback.

use super::*;
use crate::fixtures::report;

fn arrival(proxy: &str, epoch: u64, generation: u64) -> Arrival {
    Arrival {
        proxy: proxy.into(),
        epoch,
        stored: 0,
        version: "1.0.0".into(),
        address: "10.0.0.1:5".into(),
        plan: plan(generation),
    }
}

fn plan(generation: u64) -> PlanName {
    PlanName { generation: Generation(generation), identity: Identity::new("ours") }
}

fn of_another_history(generation: u64) -> PlanName {
    PlanName { identity: Identity::new("theirs"), ..plan(generation) }
}

fn names(all: &[ProxyStatus]) -> Vec<&str> {
    all.iter().map(|status| status.proxy.as_str()).collect()
}

/// A service whose canary is taken out.
fn out() -> [ServiceName; 1] {
    [crate::fixtures::name("shop")]
}

#[test]
fn a_proxy_has_a_plan_when_it_says_so() {
    let mut registry = Registry::default();
    registry.published(plan(7), &[], 1_000);
    let stream = registry.arrive(arrival("a", 1, 6), 1_500).unwrap();
    let status = |registry: &Registry| registry.proxies(1_700).remove(0);
    assert_eq!((status(&registry).acknowledged, status(&registry).lag_ms), (false, Some(200)));
    registry.answered("a", stream, plan(7), vec!["shop: no".into()]);
    assert_eq!(status(&registry).refused, ["shop: no"]);
    assert!(!status(&registry).acknowledged);
    registry.answered("a", stream, plan(7), vec![]);
    let after = status(&registry);
    assert_eq!((after.acknowledged, after.lag_ms, after.refused.len()), (true, None, 0));
    assert_eq!(registry.counts(), FleetCounts { connected: 1, behind: 0, away: 0, duplicates: 0 });
}

#[test]
fn a_plan_of_the_same_number_and_another_history_is_not_acknowledged_and_its_number_is_told() {
    let mut registry = Registry::default();
    registry.published(plan(7), &[], 0);
    assert_eq!(registry.ahead(), None);
    let same = registry.arrive(Arrival { plan: of_another_history(7), ..arrival("same", 1, 0) }, 0).unwrap();
    registry.arrive(Arrival { plan: of_another_history(6), ..arrival("below", 1, 0) }, 0).unwrap();
    let old = PlanName { identity: Identity::default(), ..plan(7) };
    registry.arrive(Arrival { plan: old, ..arrival("older-release", 1, 0) }, 0).unwrap();
    let acknowledged = |registry: &Registry| {
        registry
            .proxies(0)
            .into_iter()
            .filter(|status| status.acknowledged)
            .map(|status| status.proxy)
            .collect::<Vec<_>>()
    };
    assert_eq!(acknowledged(&registry), ["older-release"]);
    assert_eq!(registry.counts(), FleetCounts { connected: 3, behind: 2, away: 0, duplicates: 0 });
    assert_eq!(registry.ahead(), Some(("same", Generation(7))));
    registry.answered("same", same, plan(7), vec!["another is in force there".into()]);
    let away = registry.arrive(Arrival { plan: of_another_history(50), ..arrival("away", 1, 0) }, 0).unwrap();
    registry.arrive(arrival("higher", 1, 9), 0).unwrap();
    assert_eq!(registry.ahead(), Some(("away", Generation(50))));
    registry.left("away", away, false, 0);
    assert_eq!(registry.ahead(), Some(("higher", Generation(9))), "whoever is away may never come back");
    registry.published(plan(1_001), &out(), 0);
    assert_eq!(registry.ahead(), None);
    registry.answered("same", same, plan(1_001), vec![]);
    assert_eq!(acknowledged(&registry), ["same"]);
}

#[test]
fn whoever_has_a_plan_of_another_history_has_not_followed_a_rollback() {
    let mut registry = Registry::default();
    registry.published(plan(7), &out(), 0);
    registry.arrive(Arrival { plan: of_another_history(9), ..arrival("a", 1, 0) }, 0).unwrap();
    assert_eq!(registry.overdue(2_000).unwrap().silent, ["a"]);
}

#[test]
fn nothing_is_refused_where_the_plan_is_in_force() {
    let mut registry = Registry::default();
    registry.published(plan(7), &[], 0);
    let stream = registry.arrive(arrival("a", 1, 7), 0).unwrap();
    registry.answered("a", stream, plan(7), vec!["it was told twice".into()]);
    let status = registry.proxies(0).remove(0);
    assert_eq!((status.acknowledged, status.refused.as_slice()), (true, &[][..]));
}

#[test]
fn the_newest_life_and_the_newest_stream_of_a_name_count() {
    let mut registry = Registry::default();
    let first = registry.arrive(arrival("a", 5, 1), 0).unwrap();
    let again = registry.arrive(arrival("a", 5, 1), 10).unwrap();
    assert!(!registry.is_current("a", first) && registry.is_current("a", again));
    registry.left("a", first, false, 20);
    assert!(registry.proxies(20)[0].connected, "the end of the old stream is no matter");
    assert_eq!(registry.arrive(arrival("a", 4, 1), 30), Err(Refused::NameTaken("a".into())));
    registry.arrive(arrival("a", 6, 1), 40).unwrap();
    registry.answered("a", again, plan(9), vec![]);
    assert_eq!(registry.proxies(40)[0].generation, Generation(1), "nor is what it says");
}

#[test]
fn whoever_comes_back_with_its_clock_set_back_begins_a_life_after_the_one_that_is_known() {
    let mut registry = Registry::default();
    let before = registry.arrive(arrival("a", 500, 1), 0).unwrap();
    assert_eq!(registry.arrive(arrival("a", 400, 1), 5), Err(Refused::NameTaken("a".into())), "a twin");
    registry.left("a", before, false, 10);
    assert_eq!(registry.life("a"), None);
    let after = registry.arrive(arrival("a", 400, 1), 20).unwrap();
    assert_eq!(registry.life("a"), Some(501));
    registry.left("a", after, false, 30);
    registry.arrive(arrival("a", 501, 1), 40).unwrap();
    assert_eq!(registry.life("a"), Some(501), "it was told, and is the same life");
    // Another control plane knows it from what is stored only.
    let mut other = Registry::default();
    other.arrive(Arrival { stored: 501, ..arrival("a", 400, 1) }, 50).unwrap();
    other.arrive(Arrival { stored: 501, ..arrival("b", 700, 1) }, 50).unwrap();
    assert_eq!((other.life("a"), other.life("b")), (Some(502), Some(700)));
}

#[test]
fn those_who_have_not_followed_a_rollback_within_a_second_are_named_once() {
    let mut registry = Registry::default();
    let quick = registry.arrive(arrival("quick", 1, 6), 0).unwrap();
    registry.arrive(arrival("slow", 1, 6), 0).unwrap();
    let gone = registry.arrive(arrival("gone", 1, 6), 0).unwrap();
    let ended = registry.arrive(arrival("ended", 1, 6), 0).unwrap();
    registry.heard(&report(1, Generation(6), (0, 0), (9, 0)), 0);
    registry.left("gone", gone, false, 500);
    registry.left("ended", ended, true, 500);
    registry.published(plan(7), &out(), 1_000);
    registry.answered("quick", quick, plan(7), vec![]);
    assert_eq!(registry.overdue(1_999), None);
    let overdue = registry.overdue(2_000).unwrap();
    assert_eq!(overdue.generation, Generation(7));
    assert_eq!((overdue.silent, overdue.away), (vec!["slow".to_owned()], vec!["gone".to_owned()]));
    assert_eq!(registry.overdue(3_000), None);
    registry.published(plan(8), &[], 4_000);
    assert_eq!(registry.overdue(6_000), None, "that was no rollback");
}

#[test]
fn a_rollback_that_all_have_followed_is_not_told_of() {
    let mut registry = Registry::default();
    let stream = registry.arrive(arrival("a", 1, 6), 0).unwrap();
    registry.published(plan(7), &out(), 1_000);
    registry.published(plan(8), &[], 1_100);
    registry.answered("a", stream, plan(8), vec![]);
    assert_eq!(registry.overdue(2_500), None);
}

#[test]
fn a_proxy_in_this_process_is_shown_with_the_plan_of_its_windows() {
    let mut registry = Registry::default();
    registry.published(plan(3), &[], 0);
    registry.heard(&report(4, Generation(3), (1, 0), (9, 0)), 4_100);
    let status = registry.proxies(5_000).remove(0);
    assert_eq!((status.address, status.connected, status.acknowledged), (None, true, true));
    assert_eq!(status.last_window, Some(WindowSeen { sequence: 4, ended_ms: 4_000, heard_ms: 4_100 }));
    assert_eq!(registry.counts(), FleetCounts::default());
}

#[test]
fn whoever_is_away_for_long_is_forgotten_and_the_number_of_proxies_is_bounded() {
    let mut registry = Registry::default();
    let stream = registry.arrive(arrival("away", 1, 6), 0).unwrap();
    registry.left("away", stream, false, 1_000);
    registry.arrive(arrival("here", 1, 6), 0).unwrap();
    let long = u64::try_from(FLEET_REMEMBERED.as_millis()).unwrap();
    registry.forget(long + 999);
    assert_eq!(names(&registry.proxies(0)), ["away", "here"]);
    registry.forget(long + 1_000);
    assert_eq!(names(&registry.proxies(0)), ["here"]);
    for number in 1..FLEET_STREAMS_MAX {
        registry.arrive(arrival(&number.to_string(), 1, 6), 0).unwrap();
    }
    assert_eq!(registry.arrive(arrival("more", 1, 6), 0), Err(Refused::Full));
}

#[test]
fn a_rollback_that_comes_right_after_another_one_is_looked_at_for_both() {
    let mut registry = Registry::default();
    registry.published(plan(6), &[], 0);
    registry.arrive(arrival("a", 1, 6), 0).unwrap();
    registry.published(plan(7), &out(), 1_000);
    registry.published(plan(8), &[crate::fixtures::name("blog")], 1_500);
    let overdue = registry.overdue(2_500).unwrap();
    let services: Vec<&str> = overdue.services.iter().map(ServiceName::as_str).collect();
    assert_eq!((overdue.generation, &services[..]), (Generation(8), &["blog", "shop"][..]));
    // What was told once is not told again of the next one.
    registry.published(plan(9), &out(), 3_000);
    assert_eq!(registry.overdue(4_000).unwrap().services.len(), 1);
}
