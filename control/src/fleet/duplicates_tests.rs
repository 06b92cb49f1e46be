//! Two proxies with one name: one is served, and the other is known to be there.

use super::*;
use crate::fleet::registry::{FleetCounts, Refused, Registry};

fn plan(generation: u64) -> PlanName {
    PlanName { generation: Generation(generation), identity: serin_config::Identity::new("ours") }
}

fn arrival(proxy: &str, epoch: u64, address: &str, generation: u64) -> Arrival {
    Arrival {
        proxy: proxy.into(),
        epoch,
        stored: 0,
        version: "1.0.0".into(),
        address: address.into(),
        plan: plan(generation),
    }
}

/// An earlier life tries from that address.
fn refuse(registry: &mut Registry, proxy: &str, address: &str, generation: u64, now_ms: u64) {
    let refused = registry.arrive(arrival(proxy, 5, address, generation), now_ms);
    assert_eq!(refused, Err(Refused::NameTaken(proxy.into())));
}

/// A service whose canary is taken out.
fn out() -> [serin_config::ServiceName; 1] {
    [crate::fixtures::name("shop")]
}

#[test]
fn the_one_that_is_refused_is_listed_for_as_long_as_it_tries() {
    let mut registry = Registry::default();
    registry.published(plan(7), &[], 0);
    registry.arrive(arrival("a", 9, "here:1", 7), 0).unwrap();
    refuse(&mut registry, "a", "there:1", 6, 1_000);
    refuse(&mut registry, "a", "there:2", 6, 3_000);
    let shown = Duplicate {
        proxy: "a".into(),
        epoch: 5,
        version: "1.0.0".into(),
        address: "there:2".into(),
        since_ms: 1_000,
        refused_ms: 3_000,
        generation: Generation(6),
    };
    assert_eq!(registry.duplicates(), [shown]);
    assert_eq!(registry.counts(), FleetCounts { connected: 1, behind: 0, away: 0, duplicates: 1 });
    assert_eq!(registry.proxies(3_000).len(), 1, "the one that is served");
    let long = in_ms(FLEET_DUPLICATE_REMEMBERED);
    registry.forget(3_000 + long - 1);
    assert_eq!(registry.duplicates().len(), 1);
    registry.forget(3_000 + long);
    assert_eq!(registry.duplicates(), [], "it has ended, or has another name");
}

#[test]
fn the_one_that_is_let_in_is_no_duplicate_any_more() {
    let mut registry = Registry::default();
    let stream = registry.arrive(arrival("a", 9, "here:1", 7), 0).unwrap();
    refuse(&mut registry, "a", "there:1", 6, 1_000);
    registry.left("a", stream, false, 2_000);
    registry.arrive(arrival("a", 5, "there:2", 6), 3_000).unwrap();
    assert_eq!(registry.duplicates(), []);
    assert_eq!(registry.arrive(arrival("a", 9, "here:2", 7), 4_000), Err(Refused::NameTaken("a".into())));
    assert_eq!(registry.duplicates()[0].address, "here:2", "and the other one is");
}

#[test]
fn a_rollback_is_not_followed_by_one_that_can_not_hear_of_it() {
    let mut registry = Registry::default();
    registry.published(plan(6), &[], 0);
    let served = registry.arrive(arrival("a", 9, "here:1", 6), 0).unwrap();
    refuse(&mut registry, "a", "there:1", 6, 500);
    registry.published(plan(7), &out(), 1_000);
    registry.answered("a", served, plan(7), vec![]);
    let overdue = registry.overdue(2_000).unwrap();
    assert_eq!((overdue.proxies(), overdue.silent.len(), overdue.away.len()), (1, 0, 0));
    assert_eq!(overdue.refused, ["a at there:1"]);
    // One that has the very plan has followed, whoever told it.
    refuse(&mut registry, "a", "there:1", 8, 2_500);
    registry.published(plan(8), &out(), 3_000);
    registry.answered("a", served, plan(8), vec![]);
    assert_eq!(registry.overdue(4_000), None);
}

#[test]
fn people_are_told_once_and_not_of_one_that_hands_over() {
    let mut registry = Registry::default();
    registry.arrive(arrival("a", 9, "here:1", 7), 0).unwrap();
    let told = in_ms(FLEET_DUPLICATE_TOLD);
    refuse(&mut registry, "a", "there:1", 6, 1_000);
    refuse(&mut registry, "a", "there:1", 6, 1_000 + told - 1);
    assert_eq!(registry.untold_duplicates(), []);
    refuse(&mut registry, "a", "there:1", 6, 1_000 + told);
    assert_eq!(registry.untold_duplicates().len(), 1);
    refuse(&mut registry, "a", "there:1", 6, 3_000 + told);
    assert_eq!(registry.untold_duplicates(), []);
}

#[test]
fn there_is_an_end_to_those_that_are_known() {
    let mut duplicates = Duplicates::default();
    for number in 0..=FLEET_DUPLICATES_MAX as u64 {
        duplicates.refused(arrival(&format!("p{number}"), 1, "there:1", 6), number);
    }
    assert_eq!(duplicates.len(), FLEET_DUPLICATES_MAX);
    assert!(duplicates.all().iter().all(|known| known.proxy != "p0"), "the one that tried longest ago");
}
