//! Files: at start-up, and while running.

use super::*;
use crate::{
    command::{Action as By, Command, Request},
    fixtures::{canary_share, catalogue, name, shop, split, version, weight},
    planner::decide,
    rollout::State as S,
};

const NOW: u64 = 5_000;

fn of_file(service: Service) -> Arc<Catalogue> {
    catalogue(vec![service])
}

fn with_split(text: &str) -> Service {
    Service { split: split(text), ..shop() }
}

fn first() -> State {
    start_up(&Stored::default(), &of_file(shop()), NOW).unwrap().state
}

fn after(state: &State, command: Command) -> State {
    decide(state, &Request::new(command, Actor::Api, ""), NOW).unwrap().unwrap().state
}

fn set(state: &State, text: &str) -> State {
    let if_generation = state.plan.generation();
    after(state, Command::SetWeights { service: name("shop"), split: split(text), if_generation })
}

fn rolling() -> State {
    after(&first(), Command::Rollout { service: name("shop"), action: By::Start, if_generation: None })
}

fn other_endpoints(mut service: Service) -> Service {
    for version in &mut service.versions {
        version.endpoints = vec!["127.0.0.1:7".parse().unwrap()];
    }
    service
}

#[test]
fn the_same_file_changes_nothing() {
    let state = rolling();
    assert!(reload(&state, &of_file(shop()), NOW).unwrap().is_none());
}

#[test]
fn a_file_with_the_same_split_takes_nothing_back() {
    let state = set(&first(), "v2 40% v1 60%");
    let decision = reload(&state, &of_file(other_endpoints(shop())), NOW).unwrap().unwrap();
    assert_eq!(canary_share(&decision.state.plan), weight("40%"));
    assert_eq!(decision.state.plan.generation(), state.plan.generation().next());
    assert_eq!(decision.entries.iter().map(|entry| entry.action).collect::<Vec<_>>(), [Action::Load]);
}

#[test]
fn a_file_with_a_new_split_decides_it() {
    let state = set(&first(), "v2 40% v1 60%");
    let decision = reload(&state, &of_file(with_split("v2 5% v1 95%")), NOW).unwrap().unwrap();
    assert_eq!(canary_share(&decision.state.plan), weight("5%"));
    let entry = &decision.entries[1];
    assert_eq!((entry.actor, entry.action), (Actor::File, Action::SetWeights));
    assert_eq!(entry.from.as_ref().unwrap().to_string(), "v2 40% · v1 60%");
    let again = reload(&decision.state, &of_file(other_endpoints(with_split("v1 95% v2 5%"))), NOW);
    assert_eq!(again.unwrap().unwrap().entries.len(), 1, "the order in the file is no change");
}

#[test]
fn a_reload_does_not_disturb_a_rollout_nor_change_its_rules() {
    let state = rolling();
    let decision = reload(&state, &of_file(other_endpoints(shop())), NOW).unwrap().unwrap();
    assert_eq!(decision.state.live("shop"), state.live("shop"));
    assert_eq!(canary_share(&decision.state.plan), weight("10%"));

    let mut stricter = shop();
    stricter.rollout.false_alarm = 1e-3;
    let roles = Service { canary: Some(version("v0")), ..shop() };
    for (file, what, file_names_another) in [
        (with_split("v2 1% v1 99%"), "the split", false),
        (stricter, "its roles or its rollout policy", false),
        (roles, "its roles or its rollout policy", true),
    ] {
        let refused = reload(&state, &of_file(file), NOW).unwrap_err();
        assert!(matches!(&refused, Refusal::ReloadDuringRollout { what: found, .. } if *found == what));
        assert!(refused.to_string().contains("abort or promote"), "{refused}");
        let superseding = refused.to_string().contains("on_new_canary");
        assert_eq!(superseding, what == "its roles or its rollout policy" && file_names_another, "{refused}");
    }
    let without = Service { name: name("blog"), ..shop() };
    let refused = reload(&state, &of_file(without), NOW).unwrap_err();
    assert_eq!(refused, Refusal::ReloadDropsService(name("shop")));
}

#[test]
fn a_version_with_traffic_is_not_left_out() {
    let state = set(&first(), "v0 30% v1 70%");
    let mut without = shop();
    without.versions.remove(0);
    let refused = reload(&state, &of_file(without.clone()), NOW).unwrap_err();
    assert!(
        matches!(&refused, Refusal::ReloadDropsVersion { version: left_out, .. } if *left_out == version("v0"))
    );
    without.split = split("v2 1% v1 99%");
    let taken = reload(&state, &of_file(without), NOW).unwrap().unwrap();
    assert_eq!(taken.state.plan.split("shop").unwrap().to_string(), "v2 1% · v1 99%");
}

#[test]
fn a_service_that_is_new_or_gone_is_taken_and_dropped() {
    let blog = Service { name: name("blog"), ..shop() };
    let both = reload(&first(), &catalogue(vec![shop(), blog.clone()]), NOW).unwrap().unwrap();
    assert_eq!(both.state.services.len(), 2);
    let one = reload(&both.state, &of_file(blog), NOW).unwrap().unwrap();
    assert!(one.state.plan.split("shop").is_none() && !one.state.services.contains_key("shop"));
    assert!(one.touched.contains(&name("shop")), "its record is removed from the store");
}

#[test]
fn a_restart_goes_on_with_the_rollout() {
    let state = rolling();
    let again = start_up(&Stored::from(&state), &of_file(shop()), NOW).unwrap();
    assert_eq!(again.state.live("shop"), state.live("shop"));
    assert_eq!(canary_share(&again.state.plan), weight("10%"));
    assert_eq!(again.state.plan.parent(), state.plan.generation());
    assert_eq!(
        again.state.plan.generation(),
        Generation(1_001),
        "no number that a crash may have left in use"
    );
    let third = start_up(&Stored::from(&again.state), &of_file(shop()), NOW).unwrap();
    assert_eq!(third.state.plan.generation(), Generation(2_001));
}

#[test]
fn the_numbers_that_a_crash_may_have_left_in_use_are_never_used_again() {
    for stored in 1..5_000 {
        let first = first_after(Generation(stored));
        assert!(first.0 > stored + serin_config::limits::GENERATIONS_UNSTORED_MAX, "{first} after {stored}");
    }
}

#[test]
fn a_restart_forgives_no_canary_what_a_proxy_holds_against_it() {
    let before = rolling();
    let since = before.plan.canary_since("shop");
    let again = start_up(&Stored::from(&before), &of_file(shop()), NOW).unwrap().state;
    assert!(again.plan.generation() > before.plan.generation());
    assert_eq!(
        again.plan.canary_since("shop"),
        since,
        "the rollout goes on, and so does what was seen in it"
    );
}

#[test]
fn a_restart_with_a_new_split_ends_the_rollout() {
    let file = of_file(with_split("v2 2% v1 98%"));
    let decision = start_up(&Stored::from(&rolling()), &file, NOW).unwrap();
    assert_eq!(canary_share(&decision.state.plan), weight("2%"));
    let rollout = decision.state.services["shop"].rollout.clone().unwrap();
    assert_eq!(rollout.state, S::Aborted { why: AbortedBy::File });
    let entry = decision.entries.last().unwrap();
    assert_eq!((entry.actor, entry.action, entry.state), (Actor::File, Action::Abort, Some(rollout.state)));
}

#[test]
fn a_restart_with_new_rules_ends_the_rollout_without_the_canary() {
    let mut stricter = shop();
    stricter.rollout.false_alarm = 1e-3;
    let decision = start_up(&Stored::from(&rolling()), &of_file(stricter), NOW).unwrap();
    assert_eq!(decision.state.plan.split("shop").unwrap().to_string(), "v2 0% · v1 100%");
    assert!(decision.state.live("shop").is_none());
}

#[test]
fn a_restart_without_a_version_that_had_traffic_takes_the_files_split() {
    let state = set(&first(), "v0 30% v1 70%");
    let mut without = shop();
    without.versions.remove(0);
    let decision = start_up(&Stored::from(&state), &of_file(without), NOW).unwrap();
    assert_eq!(decision.state.plan.split("shop").unwrap().to_string(), "v2 0% · v1 100%");
    assert!(decision.entries[1].reason.contains("leaves out"), "{:?}", decision.entries);
}

#[test]
fn another_canary_in_the_file_ends_a_rollout_whose_rules_say_so() {
    let replaced = Service {
        canary: Some(version("v0")),
        rollout: serin_config::policy::RolloutPolicy { false_alarm: 1e-3, ..shop().rollout },
        ..shop()
    };
    let refused = reload(&rolling(), &of_file(replaced.clone()), NOW).unwrap_err();
    assert!(matches!(refused, Refusal::ReloadDuringRollout { .. }));
    assert!(
        refused.to_string().contains("\"on_new_canary: supersede\", a new canary (v0) ends it"),
        "{refused}"
    );

    let mut yields = shop();
    yields.rollout.on_new_canary = OnNewCanary::Supersede;
    let begun = start_up(&Stored::default(), &of_file(yields.clone()), NOW).unwrap().state;
    let begun =
        after(&begun, Command::Rollout { service: name("shop"), action: By::Start, if_generation: None });
    let decision = reload(&begun, &of_file(replaced), NOW).unwrap().unwrap();
    let rollout = decision.state.services["shop"].rollout.as_ref().unwrap();
    assert_eq!(rollout.state, S::Aborted { why: AbortedBy::Superseded });
    assert_eq!(decision.state.plan.split("shop").unwrap().of(&version("v1")), Weight::WHOLE);
    assert_eq!(decision.entries[1].reason, "the file names another canary, v0");
    let next = Command::Rollout { service: name("shop"), action: By::Start, if_generation: None };
    assert_eq!(after(&decision.state, next).live("shop").unwrap().canary, version("v0"));

    let mut stricter = yields;
    stricter.rollout.false_alarm = 1e-3;
    assert!(reload(&begun, &of_file(stricter), NOW).is_err(), "the same canary under other rules");
}
