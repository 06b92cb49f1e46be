//! What a proxy's trip-wire means for the plan: the canary is out everywhere, once, and can be given another
//! chance.

use super::*;
use crate::{
    fixtures::{canary_share, catalogue, name, no_connection, shop, split, version},
    rollout::{RolledBackFor, State as S},
};

const NOW: u64 = 1_000_000;

fn ask(state: &State, command: Command) -> State {
    let request = Request::new(command, Actor::Api, "");
    decide(state, &request, NOW).unwrap().unwrap().state
}

fn steer_by(state: &State, action: By) -> State {
    ask(state, Command::Rollout { service: name("shop"), action, if_generation: None })
}

fn set(state: &State, text: &str) -> State {
    let if_generation = state.plan.generation();
    ask(state, Command::SetWeights { service: name("shop"), split: split(text), if_generation })
}

fn begun() -> State {
    start_up(&Stored::default(), &catalogue(vec![shop()]), NOW).unwrap().state
}

fn tripped_under(state: &State) -> Trip {
    no_connection(state.plan.generation())
}

#[test]
fn a_trip_rolls_a_running_rollout_back_and_says_why() {
    let state = steer_by(&begun(), By::Start);
    let decision = trip(&state, &tripped_under(&state), None, NOW).unwrap();
    assert_eq!(canary_share(&decision.state.plan), Weight::ZERO);
    assert!(decision.protects);
    let [entry] = decision.entries.as_slice() else { panic!("{:?}", decision.entries) };
    assert_eq!((entry.actor, entry.action), (Actor::Proxy, Action::RollBack));
    assert_eq!(entry.state, Some(S::RolledBack { why: RolledBackFor::Trip }));
    assert!(entry.reason.contains("5 attempts in a row found no connection"), "{}", entry.reason);
    assert!(
        trip(&decision.state, &tripped_under(&state), None, NOW).is_none(),
        "told again, it changes nothing"
    );
}

#[test]
fn a_trip_takes_weights_back_that_were_set_by_hand() {
    let state = set(&begun(), "v1 70% v2 30%");
    let decision = trip(&state, &tripped_under(&state), None, NOW).unwrap();
    assert_eq!(decision.state.plan.split("shop").unwrap().of(&version("v1")), Weight::WHOLE);
    assert_eq!(decision.entries[0].action, Action::RollBack);
}

#[test]
fn a_trip_of_before_the_canary_was_given_weight_anew_is_outdated() {
    let state = steer_by(&begun(), By::Start);
    let old = tripped_under(&state);
    let out = trip(&state, &old, None, NOW).unwrap().state;
    let again = steer_by(&out, By::Start);
    assert!(canary_share(&again.plan) > Weight::ZERO);
    assert!(trip(&again, &old, None, NOW).is_none());
    assert!(trip(&again, &tripped_under(&again), None, NOW).is_some());
}

#[test]
fn a_trip_that_crosses_a_step_is_not_outdated_by_it() {
    let first = steer_by(&begun(), By::Start);
    let second = steer_by(&first, By::Promote { full: false });
    assert!(trip(&second, &tripped_under(&first), None, NOW).is_some());
}

#[test]
fn nobody_can_take_over_from_a_canary_that_has_everything() {
    let state = steer_by(&steer_by(&begun(), By::Start), By::Promote { full: true });
    assert!(trip(&state, &tripped_under(&state), None, NOW).is_none());
    let stable = Trip { version: version("v1"), ..tripped_under(&state) };
    assert!(
        trip(&set(&begun(), "v1 70% v2 30%"), &stable, None, NOW).is_none(),
        "the stable version never trips"
    );
}
