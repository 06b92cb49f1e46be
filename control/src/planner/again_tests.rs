//! Taking back what a rollout did, and beginning one again.

use std::sync::Arc;

use serin_config::{Generation, Service, Split};

use super::*;
use crate::{
    command::{Action as By, Actor, Command, Request},
    fixtures::{canary_share, catalogue, name, shop, split, version, weight},
    planner::{Stored, decide, judge, reload, start_up},
    rollout::WasUndone,
};

const NOW: u64 = 1_000_000;

fn ask(state: &State, command: Command) -> Result<Decision, Refusal> {
    let request = Request::new(command, Actor::Api, "");
    decide(state, &request, NOW).map(|decision| decision.expect("it asks for something new"))
}

fn steer(state: &State, action: By) -> Result<Decision, Refusal> {
    ask(state, Command::Rollout { service: name("shop"), action, if_generation: None })
}

fn undone(state: &State, unready: &[&str]) -> Result<Decision, Refusal> {
    let unready = unready.iter().map(|text| (name("shop"), version(text))).collect();
    ask(state, Command::Undo { service: name("shop"), if_generation: None, unready })
}

/// With this split before it, a rollout was started, and then this was done to it.
fn after(before: &str, action: By) -> State {
    let state = start_up(&Stored::default(), &catalogue(vec![shop()]), NOW).unwrap().state;
    let set = Command::SetWeights {
        service: name("shop"),
        split: split(before),
        if_generation: state.plan.generation(),
    };
    let state = ask(&state, set).unwrap().state;
    let state = steer(&state, By::Start).unwrap().state;
    steer(&state, action).unwrap().state
}

const PROMOTE: By = By::Promote { full: true };

fn split_of(state: &State) -> String {
    state.plan.split("shop").unwrap().to_string()
}

#[test]
fn a_promotion_is_undone_in_one_plan_that_waits_for_no_store() {
    let state = after("v1 100%", PROMOTE);
    let back = undone(&state, &[]).unwrap();
    assert_eq!(split_of(&back.state), "v2 0% · v1 100%");
    assert!(back.protects);
    let [entry] = back.entries.as_slice() else { panic!("{:?}", back.entries) };
    assert_eq!((entry.action, entry.rollout), (Action::Undo, Some(1)));
    let rollout = back.state.services["shop"].rollout.as_ref().unwrap();
    assert_eq!(rollout.state, S::Undone { was: WasUndone::Promoted });
    assert_eq!(rollout.canary_weight(), Weight::ZERO);
    let again = undone(&back.state, &[]).unwrap_err();
    assert!(again.to_string().contains("undone by hand after its promotion"), "{again}");
}

#[test]
fn the_split_from_before_is_what_it_was_to_the_last_part() {
    let promoted = after("v1 70% v2 30%", PROMOTE);
    let back = undone(&promoted, &[]).unwrap();
    assert_eq!(split_of(&back.state), "v2 30% · v1 70%");
    assert!(back.protects, "the canary has less than it had");
    let aborted = after("v1 70% v2 30%", By::Abort);
    let back = undone(&aborted, &[]).unwrap();
    assert_eq!(split_of(&back.state), "v2 30% · v1 70%");
    assert!(!back.protects, "the canary has more than it had: that is stored first");
    assert_eq!(back.state.services["shop"].rollout.as_ref().unwrap().canary_weight(), weight("30%"));
}

#[test]
fn what_can_not_be_undone_is_said_with_the_way_out() {
    let running = after("v1 100%", By::Pause);
    assert!(undone(&running, &[]).unwrap_err().to_string().contains("abort it"));
    let aborted = after("v1 100%", By::Abort);
    assert!(matches!(undone(&aborted, &[]), Err(Refusal::NothingToUndo { .. })));
    let verdict = serin_judge::Evidence::new(&shop().rollout)
        .verdict(&shop().rollout.steps[0], std::time::Duration::ZERO);
    let failed = judge(&running, &name("shop"), Event::Fail, &verdict, "", NOW).unwrap().state;
    assert!(undone(&failed, &[]).unwrap_err().to_string().contains("retry"));

    let promoted = after("v1 100%", PROMOTE);
    let set = Command::SetWeights {
        service: name("shop"),
        split: split("v2 60% v1 40%"),
        if_generation: promoted.plan.generation(),
    };
    let moved = ask(&promoted, set).unwrap().state;
    let refused = undone(&moved, &[]).unwrap_err().to_string();
    assert!(refused.contains("v2 60% · v1 40%") && refused.contains("before that rollout"), "{refused}");
    let old = Generation(1);
    let stale = Command::Undo { service: name("shop"), if_generation: Some(old), unready: vec![] };
    assert!(matches!(ask(&promoted, stale), Err(Refusal::Stale { .. })));
}

#[test]
fn nothing_goes_back_to_a_version_that_can_not_take_it() {
    let promoted = after("v1 100%", PROMOTE);
    let refused = undone(&promoted, &["v1"]).unwrap_err();
    assert!(matches!(refused, Refusal::NoWayBack { why: NoWayBack::NotReady, .. }), "{refused}");
    undone(&promoted, &["v0", "v2"]).unwrap();

    let mut gone = shop();
    gone.versions.retain(|known| known.name != version("v1"));
    gone.stable = version("v2");
    gone.canary = None;
    gone.split = Split::whole(version("v2"));
    let state = reload(&promoted, &catalogue(vec![gone]), NOW).unwrap().unwrap().state;
    let refused = undone(&state, &[]).unwrap_err();
    assert!(matches!(refused, Refusal::NoWayBack { why: NoWayBack::NotInFile, .. }), "{refused}");
}

#[test]
fn a_promotion_is_undone_though_the_file_has_other_roles_by_now() {
    let promoted = after("v1 100%", PROMOTE);
    let roles = Service { stable: version("v2"), canary: Some(version("v0")), ..shop() };
    let state = reload(&promoted, &catalogue(vec![roles]), NOW).unwrap().unwrap().state;
    let back = undone(&state, &[]).unwrap().state;
    assert_eq!(back.plan.split("shop").unwrap().of(&version("v1")), Weight::WHOLE);
    let refused = steer(&back, By::Retry).unwrap_err();
    assert!(refused.to_string().contains("\"v0\" against \"v2\""), "{refused}");
}

#[test]
fn a_rollout_that_was_not_promoted_begins_again_at_its_first_step() {
    let skipped = steer(&after("v1 100%", By::Skip), By::Abort).unwrap().state;
    let again = steer(&skipped, By::Retry).unwrap();
    assert_eq!(canary_share(&again.state.plan), weight("10%"));
    assert_eq!(
        (again.entries[0].action, again.entries[0].reason.as_str()),
        (Action::Retry, "rollout 1 again")
    );
    let rollout = again.state.live("shop").unwrap();
    assert_eq!((rollout.id, rollout.state), (2, S::Running { step: 0 }));
    assert!(steer(&again.state, By::Retry).unwrap_err().to_string().contains("in progress"));

    let promoted = after("v1 100%", PROMOTE);
    assert!(matches!(steer(&promoted, By::Retry), Err(Refusal::NothingToRetry { .. })));
    let back = undone(&promoted, &[]).unwrap().state;
    steer(&back, By::Retry).unwrap();
    let fresh = start_up(&Stored::default(), &catalogue(vec![shop()]), NOW).unwrap().state;
    assert_eq!(steer(&fresh, By::Retry).unwrap_err(), Refusal::NoRollout(name("shop")));
}

#[test]
fn the_step_before_the_end_is_not_skipped() {
    let last = after("v1 100%", By::Skip);
    assert_eq!(canary_share(&last.plan), weight("50%"));
    let refused = steer(&last, By::Skip).unwrap_err();
    assert!(refused.to_string().contains("promote it"), "{refused}");
}

#[test]
fn a_rollout_of_an_older_release_is_undone_to_the_stable_version() {
    let mut state = after("v1 100%", PROMOTE);
    let record = Arc::make_mut(state.services.get_mut("shop").unwrap());
    record.rollout.as_mut().unwrap().before = None;
    assert_eq!(split_of(&undone(&state, &[]).unwrap().state), "v2 0% · v1 100%");
}
