//! What is asked for of a whole group.

use proptest::prelude::*;
use serin_config::{Generation, Split, Weight};

use super::*;
use crate::{
    command::{Actor, Command, Request},
    fixtures::{name, version},
    planner::{
        decide,
        group::tests::{
            NOW, at_the_last_step, fresh, judged, pass, share, started, state_of, steer as steer_one,
        },
    },
    rollout::{AbortedBy, HeldFor, PromotedBy, State as S, WasUndone},
};

const PROMOTE: By = By::Promote { full: false };

fn store() -> GroupName {
    GroupName::try_new("store").unwrap()
}

fn ask(state: &State, command: Command) -> Result<Decision, Refusal> {
    decide(state, &Request::new(command, Actor::Api, "because"), NOW).map(Option::unwrap)
}

fn all(state: &State, action: By) -> Result<Decision, Refusal> {
    ask(state, Command::Group { group: store(), action, if_generation: None })
}

fn undo_all(state: &State, unready: &[(&str, &str)]) -> Result<Decision, Refusal> {
    let unready = unready.iter().map(|(service, text)| (name(service), version(text))).collect();
    ask(state, Command::UndoGroup { group: store(), if_generation: None, unready })
}

fn shares(state: &State) -> [String; 2] {
    ["api", "web"].map(|text| share(state, text).to_string())
}

fn states(state: &State) -> [S; 2] {
    ["api", "web"].map(|text| state_of(state, text))
}

fn promoted() -> State {
    all(&started(), By::Promote { full: true }).unwrap().state
}

#[test]
fn a_start_begins_all_that_have_a_canary_in_one_plan_with_an_entry_for_each() {
    let decision = all(&fresh(), By::Start).unwrap();
    assert_eq!(shares(&decision.state), ["10%", "10%"]);
    assert_eq!(share(&decision.state, "blog"), Weight::ZERO);
    let entries: Vec<_> =
        decision.entries.iter().map(|entry| (entry.service.clone(), entry.group.clone())).collect();
    assert_eq!(entries, [(Some(name("api")), Some(store())), (Some(name("web")), Some(store()))]);
    assert!(decision.entries.iter().all(|entry| entry.generation == decision.state.plan.generation()));
    let twice = all(&decision.state, By::Start).unwrap_err();
    assert_eq!(twice.kind(), "group-unmoved");
    assert!(
        twice.to_string().contains("nothing of group \"store\"") && twice.to_string().contains("in progress"),
        "{twice}"
    );
    let other = Command::Group {
        group: GroupName::try_new("stoer").unwrap(),
        action: By::Start,
        if_generation: None,
    };
    assert_eq!(ask(&fresh(), other).unwrap_err().kind(), "no-such-group");
}

#[test]
fn one_that_has_nothing_to_do_is_passed_over() {
    let one = steer_one(&started(), "api", By::Pause).unwrap().state;
    let both = all(&one, By::Pause).unwrap();
    assert_eq!((both.entries.len(), states(&both.state)), (1, [S::Paused { step: 0 }; 2]));
    assert!(all(&both.state, By::Pause).unwrap_err().to_string().contains("paused"));
    let on = all(&both.state, By::Resume).unwrap();
    assert_eq!((on.entries.len(), states(&on.state)), (2, [S::Running { step: 0 }; 2]));
}

#[test]
fn a_promotion_takes_each_a_step_on_and_nobody_past_the_others() {
    let state = pass(started(), "web");
    let once = all(&state, PROMOTE).unwrap().state;
    assert_eq!(states(&once), [S::Running { step: 1 }, S::Held { step: 1, why: HeldFor::Group }]);
    assert_eq!(once.plan.parent(), state.plan.generation());
    let twice = all(&once, PROMOTE).unwrap();
    assert_eq!(shares(&twice.state), ["100%", "100%"]);
    assert_eq!(
        states(&twice.state),
        [S::Promoted { why: PromotedBy::Command }, S::Promoted { why: PromotedBy::Group }]
    );
    assert!(twice.entries.iter().all(|entry| entry.action == Action::Promote), "{:?}", twice.entries);
}

#[test]
fn two_at_their_last_step_are_promoted_by_one_request_with_one_entry_each() {
    let done = all(&at_the_last_step(), PROMOTE).unwrap();
    assert_eq!(shares(&done.state), ["100%", "100%"]);
    let told: Vec<_> =
        done.entries.iter().map(|entry| (entry.service.clone().unwrap(), entry.action)).collect();
    assert_eq!(told, [(name("api"), Action::Promote), (name("web"), Action::Promote)]);
    assert_eq!(done.state.plan.generation(), done.state.plan.parent().next());
}

#[test]
fn an_abort_takes_all_out_at_once_and_needs_no_store() {
    let out = all(&pass(started(), "web"), By::Abort).unwrap();
    assert!(out.protects);
    assert_eq!(shares(&out.state), ["0%", "0%"]);
    assert_eq!(
        states(&out.state),
        [S::Aborted { why: AbortedBy::Command }, S::Aborted { why: AbortedBy::Group }]
    );
    let again = all(&out.state, By::Retry).unwrap().state;
    assert_eq!(shares(&again), ["10%", "10%"]);
}

#[test]
fn a_promotion_is_undone_for_all_in_one_call_whoever_of_them_is_named() {
    let undone = S::Undone { was: WasUndone::Promoted };
    for decision in [
        undo_all(&promoted(), &[]).unwrap(),
        ask(&promoted(), Command::Undo { service: name("web"), if_generation: None, unready: vec![] })
            .unwrap(),
    ] {
        assert!(decision.protects, "it waits for no store");
        assert_eq!(
            (shares(&decision.state), states(&decision.state)),
            (["0%", "0%"].map(Into::into), [undone; 2])
        );
        assert_eq!(decision.entries.len(), 2);
        assert_eq!(decision.state.plan.generation(), decision.state.plan.parent().next());
    }
}

#[test]
fn an_undo_is_of_all_or_of_none() {
    let refused = undo_all(&promoted(), &[("api", "v1")]).unwrap_err();
    assert!(refused.to_string().contains("\"api\" can't go back to \"v1\""), "{refused}");
    let live = undo_all(&started(), &[]).unwrap_err();
    assert!(live.to_string().contains("abort it"), "{live}");
    assert_eq!(undo_all(&fresh(), &[]).unwrap_err().kind(), "group-unmoved");
}

#[test]
fn what_one_of_them_did_before_is_not_undone_with_the_others() {
    // Yesterday api was promoted alone; today web is, once api has another canary's worth of nothing to do.
    let state = promoted();
    let back = Command::SetWeights {
        service: name("web"),
        split: Split::whole(version("v1")),
        if_generation: state.plan.generation(),
    };
    let state = ask(&state, back).unwrap().state;
    let state = all(&state, By::Start).unwrap().state;
    assert_eq!(shares(&state), ["100%", "10%"], "api has everything already");
    let state = all(&state, By::Promote { full: true }).unwrap().state;
    let undone = undo_all(&state, &[]).unwrap();
    assert_eq!(shares(&undone.state), ["100%", "0%"]);
    assert_eq!(undone.entries.len(), 1);
}

#[test]
fn a_choice_that_rests_on_another_plan_is_refused() {
    let state = started();
    let stale = |if_generation| Command::Group { group: store(), action: By::Abort, if_generation };
    assert_eq!(ask(&state, stale(Some(Generation(9)))).unwrap_err().kind(), "stale-generation");
    assert!(ask(&state, stale(Some(state.plan.generation()))).is_ok());
}

fn any_action() -> impl Strategy<Value = By> {
    prop_oneof![
        Just(By::Start),
        Just(By::Pause),
        Just(By::Resume),
        any::<bool>().prop_map(|full| By::Promote { full }),
        Just(By::Skip),
        Just(By::Abort),
        Just(By::Retry),
        Just(By::Approve),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_asked_for_is_one_plan_with_one_entry_a_service_and_nobody_is_promoted_before_the_others(
        moves in proptest::collection::vec((0..3_u8, any_action(), any::<bool>()), 1..12)
    ) {
        let mut state = fresh();
        for (whom, action, judged_well) in moves {
            let decision = match whom {
                0 => all(&state, action).ok(),
                1 => judged(&state, "api", if judged_well { Event::Pass } else { Event::AwaitApproval }),
                _ => judged(&state, "web", Event::Pass),
            };
            let Some(decision) = decision else { continue };
            let next = decision.state;
            prop_assert_eq!(next.plan.generation(), state.plan.generation().next());
            let mut told: Vec<_> = decision.entries.iter().map(|entry| entry.service.clone()).collect();
            told.sort();
            told.dedup();
            prop_assert_eq!(told.len(), decision.entries.len(), "{:?}", decision.entries);
            // Whoever has everything by a rollout has it together with the others that are in progress.
            let whole = ["api", "web"].map(|text| share(&next, text) == Weight::WHOLE);
            prop_assert!(whole[0] == whole[1], "{:?} {:?}", shares(&next), states_if_any(&next));
            state = next;
        }
    }
}

fn states_if_any(state: &State) -> [Option<S>; 2] {
    ["api", "web"].map(|text| state.services[text].rollout.as_ref().map(|rollout| rollout.state))
}
