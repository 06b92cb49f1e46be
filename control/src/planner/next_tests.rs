//! A canary that takes the place of another one: when its rollout begins, and what keeps it from that.

use std::sync::Arc;

use serin_config::{Service, Version, policy::OnNewCanary, terms::Terms};

use super::*;
use crate::{
    command::{Action as By, Command, Request},
    fixtures::{catalogue, name, shop, split, version},
    planner::{Stored, decide, reload, start_up},
};

const NOW: u64 = 5_000;

fn ask(state: &State, command: Command) -> State {
    decide(state, &Request::new(command, Actor::Api, "because"), NOW).unwrap().unwrap().state
}

fn yields() -> Service {
    let mut service = shop();
    service.rollout.on_new_canary = OnNewCanary::Supersede;
    service
}

fn newer() -> Service {
    Service { canary: Some(version("v0")), ..yields() }
}

fn rolling() -> State {
    let state = start_up(&Stored::default(), &catalogue(vec![yields()]), NOW).unwrap().state;
    ask(&state, Command::Rollout { service: name("shop"), action: By::Start, if_generation: None })
}

fn superseded_by(service: Service) -> State {
    reload(&rolling(), &catalogue(vec![service]), NOW).unwrap().unwrap().state
}

#[test]
fn it_begins_at_its_first_step_and_the_journal_says_in_whose_place() {
    let state = superseded_by(newer());
    assert_eq!(due(&state), [name("shop")]);
    let decision = begin(&state, &name("shop"), NOW).unwrap();
    let rollout = decision.state.live("shop").unwrap();
    assert_eq!((rollout.id, &rollout.canary, rollout.state), (2, &version("v0"), S::Running { step: 0 }));
    assert_eq!(decision.state.plan.split("shop").unwrap(), &split("v0 10% v1 90%"));
    let entry = &decision.entries[0];
    assert_eq!((entry.action, entry.actor), (Action::Start, Actor::File));
    assert_eq!(entry.reason, "the file names v0 in place of v2, whose rollout 1 it ended");
    assert_eq!(due(&decision.state), [] as [ServiceName; 0], "once");
}

#[test]
fn it_begins_also_where_the_file_was_changed_while_nobody_decided() {
    let state = start_up(&Stored::from(&rolling()), &catalogue(vec![newer()]), NOW).unwrap().state;
    assert_eq!(due(&state), [name("shop")]);
    let started = begin(&state, &name("shop"), NOW).unwrap().state;
    assert_eq!(started.live("shop").unwrap().canary, version("v0"));
    // And where it was told to begin and the process ended before it did.
    let again =
        start_up(&Stored::from(&superseded_by(newer())), &catalogue(vec![newer()]), NOW).unwrap().state;
    assert_eq!(due(&again), [name("shop")]);
}

#[test]
fn it_waits_for_the_end_of_a_freeze_and_for_a_place_among_those_in_progress() {
    let state = superseded_by(newer());
    let frozen = ask(&state, Command::Freeze { services: vec![], until_ms: Some(NOW + 10) });
    assert_eq!(due(&frozen), [name("shop")]);
    assert!(matches!(begin(&frozen, &name("shop"), NOW + 9), Err(Refusal::Frozen { .. })));
    let waits = &waiting(&frozen, NOW + 9)["shop"];
    assert_eq!((&waits.canary, waits.since_ms, waits.kind.as_str()), (&version("v0"), NOW, "frozen"));
    let said = waits.to_string();
    assert!(
        said.starts_with("v0 waits to take its place since 1970-01-01T00:00:05Z: ")
            && said.contains("because"),
        "{said}"
    );
    assert!(waiting(&frozen, NOW + 10).is_empty());
    assert!(begin(&frozen, &name("shop"), NOW + 10).is_ok());
    let full =
        State { terms: Arc::new(Terms { max_parallel_rollouts: Some(0), ..Terms::default() }), ..state };
    assert!(matches!(begin(&full, &name("shop"), NOW), Err(Refusal::TooManyRollouts { .. })));
    assert_eq!(waiting(&full, NOW)["shop"].kind, "too-many-rollouts");
}

#[test]
fn it_is_left_to_whoever_has_done_something_about_it() {
    let state = superseded_by(newer());
    let by_hand = Command::SetWeights {
        service: name("shop"),
        split: split("v0 1% v1 99%"),
        if_generation: state.plan.generation(),
    };
    assert_eq!(due(&ask(&state, by_hand)), [] as [ServiceName; 0]);
    let withdrawn = reload(&state, &catalogue(vec![yields()]), NOW).unwrap().unwrap().state;
    assert_eq!(due(&withdrawn), [] as [ServiceName; 0], "the one that was ended is no new one");
    let none =
        reload(&state, &catalogue(vec![Service { canary: None, ..yields() }]), NOW).unwrap().unwrap().state;
    assert_eq!(due(&none), [] as [ServiceName; 0]);
}

#[test]
fn nothing_begins_by_itself_where_the_rules_of_the_rollout_do_not_say_so() {
    let state = start_up(&Stored::default(), &catalogue(vec![shop()]), NOW).unwrap().state;
    let state =
        ask(&state, Command::Rollout { service: name("shop"), action: By::Start, if_generation: None });
    let other = Service { canary: Some(version("v0")), ..shop() };
    assert!(reload(&state, &catalogue(vec![other.clone()]), NOW).is_err());
    let yielded = start_up(&Stored::from(&state), &catalogue(vec![other]), NOW).unwrap().state;
    assert_eq!(yielded.services["shop"].rollout.as_ref().unwrap().state, S::Aborted { why: AbortedBy::File });
    assert_eq!(due(&yielded), [] as [ServiceName; 0]);
}

#[test]
fn whoever_aborts_while_it_only_waits_calls_it_off_and_nothing_that_is_frozen_moves() {
    let steer = |action| Command::Rollout { service: name("shop"), action, if_generation: None };
    let frozen = ask(&superseded_by(newer()), Command::Freeze { services: vec![], until_ms: None });
    let request = Request::new(steer(By::Abort), Actor::Api, "not on a Friday");
    let decision = decide(&frozen, &request, NOW).unwrap().unwrap();
    assert_eq!(decision.state.plan, frozen.plan, "no plan is made");
    let [entry] = decision.entries.as_slice() else { panic!("{:?}", decision.entries) };
    assert_eq!((entry.action, entry.actor, entry.from.as_ref()), (Action::CallOff, Actor::Api, None));
    let reason = "v0, which waited to take the place of v2, does not begin by itself: not on a Friday";
    assert_eq!(entry.reason, reason);
    let off = decision.state;
    assert!(due(&off).is_empty() && waiting(&off, NOW).is_empty());
    let summary = off.services["shop"].rollout.as_ref().unwrap().summary();
    assert!(summary.ends_with("; v0, which waited to take its place, was called off"), "{summary}");

    // Nothing waits any more, so there is nothing to abort; and it stays called off, also after a start.
    assert!(matches!(decide(&off, &request, NOW), Err(Refusal::Rollout { .. })));
    let again = start_up(&Stored::from(&off), &catalogue(vec![newer()]), NOW).unwrap().state;
    assert!(due(&again).is_empty());
    // By hand it begins, and the next one that the file names begins by itself.
    let begun = ask(&again, steer(By::Start));
    assert_eq!(begun.live("shop").unwrap().canary, version("v0"));
    let mut newest = newer();
    newest.versions.push(Version::new(version("v3"), newest.versions[0].endpoints.clone()));
    newest.canary = Some(version("v3"));
    let reloaded = reload(&again, &catalogue(vec![newest]), NOW).unwrap().unwrap().state;
    assert_eq!(due(&reloaded), [name("shop")]);
}

#[test]
fn weights_that_are_set_to_what_they_are_call_it_off_too() {
    let state = superseded_by(newer());
    let by_hand = Command::SetWeights {
        service: name("shop"),
        split: split("v1 100%"),
        if_generation: state.plan.generation(),
    };
    let off = ask(&state, by_hand);
    let share = |state: &State| state.plan.split("shop").unwrap().of(&version("v1"));
    assert_eq!(share(&off), share(&state));
    assert!(due(&off).is_empty());
}

#[test]
fn the_abort_of_a_group_calls_off_what_waits_in_it_and_takes_out_what_is_rolled_out() {
    let group = || serin_config::GroupName::try_new("site").unwrap();
    let services = ["blog", "shop"].map(name).to_vec();
    let terms =
        Terms { groups: vec![serin_config::terms::Group { name: group(), services }], ..Terms::default() };
    let blog = || Service { name: name("blog"), canary: Some(version("v2")), ..shop() };
    // `blog` has no canary yet when `shop` is superseded, and begins alone.
    let before = Service { canary: None, ..blog() };
    let begun = start_up(&Stored::default(), &catalogue(vec![yields(), before.clone()]), NOW).unwrap().state;
    let begun =
        ask(&begun, Command::Rollout { service: name("shop"), action: By::Start, if_generation: None });
    let waits = reload(&begun, &catalogue(vec![newer(), before]), NOW).unwrap().unwrap().state;
    let waits = reload(&waits, &catalogue(vec![newer(), blog()]), NOW).unwrap().unwrap().state;
    let one = ask(&waits, Command::Rollout { service: name("blog"), action: By::Start, if_generation: None });
    let state = State { terms: Arc::new(terms), ..one };
    assert_eq!(due(&state), [name("shop")]);
    let abort = |state: &State| {
        let command = Command::Group { group: group(), action: By::Abort, if_generation: None };
        decide(state, &Request::new(command, Actor::Api, "because"), NOW).map(Option::unwrap)
    };
    let decision = abort(&state).unwrap();
    let done: Vec<_> =
        decision.entries.iter().map(|entry| (entry.service.clone().unwrap(), entry.action)).collect();
    assert_eq!(done, [(name("shop"), Action::CallOff), (name("blog"), Action::Abort)]);
    assert!(decision.protects, "what takes a canary out waits for no store");
    assert!(due(&decision.state).is_empty());
    assert_eq!(decision.state.plan.split("blog").unwrap().of(&version("v2")), Weight::ZERO);
    let sequences: Vec<u64> = decision.entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [decision.state.next_entry - 2, decision.state.next_entry - 1]);

    // One that only waits is called off too, and no plan is made of it.
    let off = abort(&State { terms: state.terms.clone(), ..waits.clone() }).unwrap();
    assert_eq!((off.entries.len(), off.entries[0].action), (1, Action::CallOff));
    assert_eq!(off.state.plan.generation(), waits.plan.generation());
    assert_eq!(abort(&off.state).unwrap_err().kind(), "group-unmoved");
}
