//! Decisions as data. What a file means for them is covered beside `reload`; storing and pushing with the keeper.

use proptest::prelude::*;
use serin_config::policy::OnTimeout;
use serin_judge::Evidence;

use super::*;
use crate::{
    fixtures::{canary_share, catalogue, name, policy, shop, split, version, weight},
    rollout::{RolledBackFor, State as S},
};

const NOW: u64 = 1_000_000;

fn fresh_state() -> State {
    start_up(&Stored::default(), &catalogue(vec![shop()]), NOW).unwrap().state
}

fn ask(state: &State, command: Command) -> Result<Decision, Refusal> {
    let request = Request::new(command, Actor::Api, "because");
    decide(state, &request, NOW).map(|decision| decision.expect("it asks for something new"))
}

fn steer(action: By) -> Command {
    Command::Rollout { service: name("shop"), action, if_generation: None }
}

fn set(state: &State, text: &str) -> Command {
    Command::SetWeights { service: name("shop"), split: split(text), if_generation: state.plan.generation() }
}

fn started() -> State {
    ask(&fresh_state(), steer(By::Start)).unwrap().state
}

fn verdict() -> Verdict {
    let policy = policy();
    Evidence::new(&policy).verdict(&policy.steps[0], std::time::Duration::ZERO)
}

fn judged(state: &State, event: Event) -> Option<Decision> {
    judge(state, &name("shop"), event, &verdict(), "the judge", NOW)
}

#[test]
fn weights_set_by_hand_make_a_child_of_the_plan_with_the_canary_first() {
    let state = fresh_state();
    let decision = ask(&state, set(&state, "v1 70% v2 30%")).unwrap();
    let plan = &decision.state.plan;
    assert_eq!(plan.generation(), state.plan.generation().next());
    assert_eq!(plan.parent(), state.plan.generation());
    assert_eq!(plan.split("shop").unwrap().to_string(), "v2 30% · v1 70%");
    let [entry] = decision.entries.as_slice() else { panic!("{:?}", decision.entries) };
    assert_eq!(
        (entry.actor, entry.action, entry.reason.as_str()),
        (Actor::Api, Action::SetWeights, "because")
    );
    assert_eq!(entry.generation, plan.generation());
    assert!(!decision.protects);
}

#[test]
fn a_stale_generation_is_refused_with_the_present_plan() {
    let state = fresh_state();
    let command = Command::SetWeights {
        service: name("shop"),
        split: split("v2 10% v1 90%"),
        if_generation: Generation(0),
    };
    let Err(Refusal::Stale { given, current }) = ask(&state, command) else { panic!("taken") };
    assert_eq!((given, &*current), (Generation(0), &*state.plan));
    let stale =
        Command::Rollout { service: name("shop"), action: By::Start, if_generation: Some(Generation(9)) };
    assert!(matches!(ask(&state, stale), Err(Refusal::Stale { .. })));
}

#[test]
fn what_is_not_there_is_named() {
    let state = fresh_state();
    let elsewhere = Command::Rollout { service: name("blog"), action: By::Start, if_generation: None };
    assert_eq!(ask(&state, elsewhere).unwrap_err(), Refusal::NoService("blog".into()));
    let refused = ask(&state, set(&state, "v9 100%")).unwrap_err();
    assert_eq!(refused.to_string(), "service \"shop\" has no version \"v9\"; it has \"v0\", \"v1\", \"v2\"");
    assert_eq!(ask(&state, steer(By::Pause)).unwrap_err(), Refusal::NoRollout(name("shop")));
}

#[test]
fn a_rollout_starts_at_its_first_step() {
    let state = started();
    assert_eq!(state.plan.split("shop").unwrap().to_string(), "v2 10% · v1 90%");
    let rollout = state.live("shop").unwrap();
    assert_eq!((rollout.id, rollout.state), (1, S::Running { step: 0 }));
    assert_eq!(rollout.step_generation, state.plan.generation());
    assert_eq!(state.next_rollout, 2);
}

#[test]
fn a_rollout_does_not_start_where_it_could_not_be_judged() {
    assert!(matches!(ask(&started(), steer(By::Start)), Err(Refusal::AlreadyRuns { .. })));

    let lone = Service { canary: None, ..shop() };
    let state = start_up(&Stored::default(), &catalogue(vec![lone]), NOW).unwrap().state;
    assert_eq!(ask(&state, steer(By::Start)).unwrap_err(), Refusal::NoCanary(name("shop")));

    let with = |text| {
        let state = fresh_state();
        ask(&state, set(&state, text)).unwrap().state
    };
    let third = Refusal::ThirdVersion { service: name("shop"), version: version("v0"), weight: weight("1%") };
    assert_eq!(ask(&with("v0 1% v1 99%"), steer(By::Start)).unwrap_err(), third);
    let whole = Refusal::AlreadyWhole { service: name("shop"), canary: version("v2") };
    assert_eq!(ask(&with("v2 100%"), steer(By::Start)).unwrap_err(), whole);
}

#[test]
fn nobody_sets_weights_while_a_rollout_moves_them_except_to_take_the_canary_out() {
    let state = started();
    let refused = ask(&state, set(&state, "v2 50% v1 50%")).unwrap_err();
    assert!(matches!(refused, Refusal::RolloutRuns { .. }), "{refused}");
    assert!(refused.to_string().contains("abort it"), "{refused}");
    let out = ask(&state, set(&state, "v1 100%")).unwrap();
    assert_eq!(out.entries[0].action, Action::Abort);
    assert_eq!(
        out.state.services["shop"].rollout.as_ref().unwrap().state,
        S::Aborted { why: AbortedBy::Command }
    );
    assert!(out.protects && canary_share(&out.state.plan) == Weight::ZERO);
}

#[test]
fn a_pass_raises_the_weight_and_the_last_one_promotes() {
    let next = judged(&started(), Event::Pass).unwrap();
    assert_eq!((canary_share(&next.state.plan), next.entries[0].action), (weight("50%"), Action::Pass));
    assert_eq!(next.entries[0].actor, Actor::Judge);
    assert_eq!(next.entries[0].verdict, Some(verdict()));
    let end = judged(&next.state, Event::Pass).unwrap();
    assert_eq!(canary_share(&end.state.plan), Weight::WHOLE);
    assert!(end.state.live("shop").is_none());
    assert!(judged(&end.state, Event::Fail).is_none(), "an ended rollout is not judged");
}

#[test]
fn a_fail_takes_the_canary_out_paused_or_not() {
    let paused = ask(&started(), steer(By::Pause)).unwrap().state;
    assert!(judged(&paused, Event::Pass).is_none(), "a pass does not move a paused rollout");
    for state in [started(), paused] {
        let out = judged(&state, Event::Fail).unwrap();
        assert!(out.protects);
        assert_eq!(out.state.plan.split("shop").unwrap().to_string(), "v2 0% · v1 100%");
        let rollout = out.state.services["shop"].rollout.clone().unwrap();
        assert_eq!(rollout.state, S::RolledBack { why: RolledBackFor::Evidence });
        assert_eq!((rollout.ended_ms, rollout.verdict), (Some(NOW), Some(verdict().at_the_end())));
    }
}

#[test]
fn holding_keeps_the_weight_and_the_step() {
    let state = started();
    let held = judged(&state, Event::TimedOut(OnTimeout::Hold)).unwrap();
    assert_eq!(held.entries[0].action, Action::Hold);
    assert_eq!(canary_share(&held.state.plan), weight("10%"));
    let (before, after) = (state.live("shop").unwrap(), held.state.live("shop").unwrap());
    assert_eq!(after.step_generation, before.step_generation, "the step's evidence goes on");
}

#[test]
fn splits_are_the_same_in_any_order() {
    assert!(same_weights(&split("v1 90% v2 10%"), &split("v2 10% v1 90% v0 0%")));
    assert!(!same_weights(&split("v1 90% v2 10%"), &split("v1 100%")));
}

#[derive(Debug, Clone)]
enum Move {
    By(By),
    Set(u32),
    Undo,
    Judged(Event),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        prop_oneof![
            Just(By::Start),
            Just(By::Pause),
            Just(By::Resume),
            any::<bool>().prop_map(|full| By::Promote { full }),
            Just(By::Skip),
            Just(By::Abort),
            Just(By::Retry),
        ]
        .prop_map(Move::By),
        (0..=1_000_000_u32).prop_map(Move::Set),
        Just(Move::Undo),
        prop_oneof![
            Just(Event::Pass),
            Just(Event::Fail),
            Just(Event::TimedOut(OnTimeout::Hold)),
            Just(Event::TimedOut(OnTimeout::Promote)),
            Just(Event::TimedOutWithoutTraffic),
            Just(Event::TrafficSeen),
        ]
        .prop_map(Move::Judged),
    ]
}

proptest! {
    #[test]
    fn generations_only_grow_and_a_rollout_never_exceeds_its_step(
        moves in proptest::collection::vec(any_move(), 0..60),
    ) {
        let mut state = fresh_state();
        for one in moves {
            let decision = match &one {
                Move::By(action) => ask(&state, steer(*action)).ok(),
                Move::Set(ppm) => {
                    let share = Weight::from_ppm(*ppm).unwrap();
                    let split = Split::canary_and_stable(version("v2"), share, version("v1"));
                    let if_generation = state.plan.generation();
                    ask(&state, Command::SetWeights { service: name("shop"), split, if_generation }).ok()
                }
                Move::Undo => {
                    let service = name("shop");
                    ask(&state, Command::Undo { service, if_generation: None, unready: vec![] }).ok()
                }
                Move::Judged(event) => judged(&state, *event),
            };
            let Some(decision) = decision else { continue };
            let next = decision.state;
            prop_assert_eq!(next.plan.generation(), state.plan.generation().next());
            prop_assert_eq!(next.plan.parent(), state.plan.generation());
            prop_assert_eq!(decision.entries[0].sequence, state.next_entry);
            prop_assert_eq!(next.next_entry, state.next_entry + 1);
            let share = canary_share(&next.plan);
            if let Some(rollout) = next.live("shop") {
                prop_assert_eq!(share, rollout.weights[rollout.state.step().unwrap()]);
            }
            if decision.protects {
                let before = canary_share(&state.plan);
                let undone = matches!(one, Move::Undo);
                prop_assert!(share == Weight::ZERO || (undone && share < before), "{share} after {before}");
            }
            if matches!(one, Move::Judged(Event::Fail)) {
                prop_assert!(share == Weight::ZERO && next.live("shop").is_none());
                let later = judged(&next, Event::Pass).or_else(|| judged(&next, Event::TrafficSeen));
                prop_assert!(later.is_none(), "nothing but a command brings a failed canary back");
            }
            state = next;
        }
    }
}

#[path = "mounting_tests.rs"]
mod mounting;
