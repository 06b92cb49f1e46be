//! What webhooks around steps hold up, and what they never do. What an answer means is covered beside `hook`.

use std::sync::Arc;

use serin_config::{
    GroupName, Service, ServiceName, Weight,
    policy::{OnFail, OnTimeout},
    terms::{Group, Terms},
    webhook::{OnFailure, When},
};

use super::*;
use crate::{
    command::{Action as By, Actor, Command, Request},
    fixtures::{catalogue, name, shop, version, weight},
    hook::tests::webhook,
    journal::Action,
    planner::{Stored, decide, judge, start_up},
    refusal::Refusal,
    rollout::{AbortedBy, PromotedBy, RolledBackFor, StateError},
};

const NOW: u64 = 1_000_000;

fn with(on: &[When], services: Vec<Service>) -> State {
    let state = start_up(&Stored::default(), &catalogue(services), NOW).unwrap().state;
    let terms = Terms { webhooks: vec![webhook(on, OnFailure::Wait)], ..Terms::default() };
    State { terms: Arc::new(terms), ..state }
}

fn request(state: &State, action: By) -> Result<State, Refusal> {
    let command = Command::Rollout { service: name("shop"), action, if_generation: None };
    let decided = decide(state, &Request::new(command, Actor::Api, "because"), NOW);
    decided.map(|decision| followed(decision.unwrap().state))
}

fn followed(mut state: State) -> State {
    follow_hooks(&mut state, NOW);
    state
}

fn event(state: &State, event: Event) -> Option<Decision> {
    let policy = crate::fixtures::policy();
    let verdict = serin_judge::Evidence::new(&policy).verdict(&policy.steps[0], std::time::Duration::ZERO);
    judge(state, &name("shop"), event, &verdict, "step passed", NOW)
}

fn judged(state: &State, what: Event) -> State {
    followed(event(state, what).unwrap_or_else(|| panic!("{what:?} does nothing")).state)
}

fn open(state: &State) -> Vec<String> {
    state.hooks.0.keys().map(|question| format!("{} {}", question.service, question)).collect()
}

/// Whatever is asked is answered with this.
fn said(mut state: State, said: &Said) -> State {
    for question in state.hooks.0.keys().cloned().collect::<Vec<_>>() {
        heard(&mut state, &question, said.clone(), NOW);
    }
    followed(state)
}

fn allowed(state: State) -> State {
    said(state, &Said::Allow)
}

fn next(state: &State, service: &str) -> Option<Decision> {
    hooked(state, &name(service), NOW)
}

fn of(state: &State, service: &str) -> (S, Weight) {
    let rollout = state.services[service].rollout.as_ref().unwrap();
    (rollout.state, state.plan.split(service).unwrap().of(&version("v2")))
}

fn shop_of(state: &State) -> (S, Weight) {
    of(state, "shop")
}

fn deny() -> Said {
    Said::Deny("the change is closed".into())
}

#[test]
fn a_start_waits_for_its_webhook_with_a_canary_that_has_nothing() {
    let state = request(&with(&[When::BeforeStep], vec![shop()]), By::Start).unwrap();
    let held = S::Held { step: 0, why: HeldFor::Start };
    assert_eq!(shop_of(&state), (held, Weight::ZERO));
    assert_eq!(open(&state), ["shop webhook smoke (before step 1)"]);
    for what in [Event::Pass, Event::TrafficSeen, Event::Mounting, Event::FailUnsafe, Event::AwaitApproval] {
        assert!(event(&state, what).is_none(), "{what:?}");
    }
    for action in [By::Pause, By::Resume] {
        let refused = request(&state, action).unwrap_err();
        assert!(matches!(refused, Refusal::Rollout { error: StateError::NotBegun, .. }), "{refused}");
    }
    let waiting = said(state.clone(), &Said::Wait("tests run".into()));
    assert!(next(&waiting, "shop").is_none());
    let decision = next(&allowed(state), "shop").unwrap();
    assert_eq!(shop_of(&decision.state), (S::Running { step: 0 }, weight("10%")));
    assert!(!decision.protects, "what gives a canary traffic is stored first");
    let rollout = decision.state.live("shop").unwrap();
    assert_eq!(rollout.step_generation, decision.state.plan.generation(), "its step begins now");
    assert_eq!((decision.entries[0].actor, decision.entries[0].action), (Actor::Webhook, Action::Pass));
}

#[test]
fn a_denied_start_ends_a_rollout_that_never_gave_its_canary_anything() {
    let state = request(&with(&[When::BeforeStep], vec![shop()]), By::Start).unwrap();
    let never_began = |state: &State| state.services["shop"].rollout.as_ref().unwrap().never_began;
    assert!(!never_began(&state), "it may begin yet");
    assert!(never_began(&request(&state, By::Abort).unwrap()), "by hand, too");
    let begun = request(&state, By::Promote { full: false }).unwrap();
    assert!(!never_began(&begun) && !never_began(&request(&begun, By::Abort).unwrap()));
    let decision = next(&said(state, &deny()), "shop").unwrap();
    assert_eq!(shop_of(&decision.state), (S::Aborted { why: AbortedBy::Webhook }, Weight::ZERO));
    assert!(never_began(&decision.state));
    let reason = &decision.entries[0].reason;
    assert_eq!(reason, "webhook smoke (before step 1) does not allow it: deny: the change is closed");
}

#[test]
fn a_person_begins_without_the_webhook_and_an_urgent_start_does_not_ask() {
    let fresh = with(&[When::BeforeStep], vec![shop()]);
    let state = request(&fresh, By::Start).unwrap();
    let promoted = request(&state, By::Promote { full: false }).unwrap();
    assert_eq!(shop_of(&promoted), (S::Running { step: 0 }, weight("10%")));
    assert_eq!(shop_of(&request(&state, By::Abort).unwrap()).1, Weight::ZERO);
    let command = Command::Rollout { service: name("shop"), action: By::Start, if_generation: None };
    let urgent = Request::new(command, Actor::Api, "a fix").urgent_if(true);
    let state = followed(decide(&fresh, &urgent, NOW).unwrap().unwrap().state);
    assert_eq!(shop_of(&state), (S::Running { step: 0 }, weight("10%")));
    assert_eq!(shop_of(&judged(&state, Event::Pass)).0, S::Running { step: 1 });
}

/// At its first step, whose webhooks had allowed it.
fn begun(on: &[When], service: Service) -> State {
    let state = request(&with(on, vec![service]), By::Start).unwrap();
    match next(&allowed(state.clone()), "shop") {
        Some(decision) => followed(decision.state),
        None => state,
    }
}

#[test]
fn a_step_waits_for_the_webhook_before_it_and_is_made_when_it_allows() {
    let state = begun(&[When::BeforeStep], shop());
    assert!(open(&state).is_empty(), "nothing is asked before the evidence is there");
    let decision = event(&state, Event::Pass).unwrap();
    let entry = &decision.entries[0];
    assert_eq!(entry.action, Action::Hold);
    assert_eq!(entry.reason, "step passed; webhook smoke (before step 2) has to allow it first");
    let state = followed(decision.state);
    assert_eq!(shop_of(&state), (S::Held { step: 0, why: HeldFor::Webhook }, weight("10%")));
    assert_eq!(open(&state), ["shop webhook smoke (before step 2)"]);
    assert!(event(&state, Event::Pass).is_none(), "it waits on");
    let state = judged(&allowed(state), Event::Pass);
    assert_eq!(shop_of(&state), (S::Running { step: 1 }, weight("50%")));
    assert!(open(&state).is_empty());
}

#[test]
fn a_webhook_at_a_step_is_asked_from_its_beginning_and_keeps_it_until_it_allows() {
    let state = begun(&[When::AtStep], shop());
    assert_eq!(shop_of(&state).0, S::Running { step: 0 }, "nothing waits before a step");
    assert_eq!(open(&state), ["shop webhook smoke (at step 1)"]);
    let held = judged(&state, Event::Pass);
    assert_eq!(shop_of(&held).0, S::Held { step: 0, why: HeldFor::Webhook });
    assert_eq!(shop_of(&judged(&allowed(held), Event::Pass)).0, S::Running { step: 1 });
    assert_eq!(shop_of(&judged(&allowed(state), Event::Pass)).0, S::Running { step: 1 }, "known in time");
}

#[test]
fn a_webhook_before_a_step_is_asked_when_those_at_the_step_before_allow() {
    let both = [When::AtStep, When::BeforeStep];
    let state = judged(&begun(&both, shop()), Event::Pass);
    assert_eq!(open(&state), ["shop webhook smoke (at step 1)"]);
    let state = allowed(state);
    assert_eq!(open(&state), ["shop webhook smoke (at step 1)", "shop webhook smoke (before step 2)"]);
    assert!(event(&state, Event::Pass).is_none());
    assert_eq!(shop_of(&judged(&allowed(state), Event::Pass)).0, S::Running { step: 1 });
}

#[test]
fn a_denial_takes_the_canary_out_also_while_somebody_paused_and_is_not_made_to_wait_for_the_store() {
    let state = begun(&[When::AtStep], shop());
    for state in [request(&state, By::Pause).unwrap(), judged(&state, Event::Pass), state] {
        let decision = next(&said(state, &deny()), "shop").unwrap();
        assert_eq!(shop_of(&decision.state), (S::RolledBack { why: RolledBackFor::Webhook }, Weight::ZERO));
        assert!(decision.protects);
        assert!(followed(decision.state).hooks.0.is_empty());
    }
}

#[test]
fn where_going_back_does_harm_a_denial_calls_a_person() {
    let service = shop();
    let on_fail = OnFail::Hold { reason: "orders".into() };
    let rollout = serin_config::policy::RolloutPolicy { on_fail, ..service.rollout.clone() };
    let state = said(begun(&[When::AtStep], Service { rollout, ..service }), &deny());
    let decision = next(&state, "shop").unwrap();
    assert_eq!(shop_of(&decision.state), (S::Held { step: 0, why: HeldFor::Unsafe }, weight("10%")));
    assert!(next(&followed(decision.state), "shop").is_none(), "and is told once");
}

#[test]
fn nothing_that_takes_a_canary_out_waits_for_a_webhook() {
    let state = judged(&begun(&[When::BeforeStep, When::AtStep], shop()), Event::Pass);
    assert_eq!(shop_of(&state).0, S::Held { step: 0, why: HeldFor::Webhook });
    for what in [Event::Fail, Event::TimedOut(OnTimeout::Rollback), Event::Mounting] {
        if let Some(decision) = event(&state, what) {
            assert!(decision.protects, "{what:?}");
        }
    }
    assert_eq!(shop_of(&judged(&state, Event::Fail)).1, Weight::ZERO);
    assert_eq!(shop_of(&request(&state, By::Abort).unwrap()).1, Weight::ZERO);
    let running = begun(&[When::AtStep], shop());
    assert_eq!(shop_of(&judged(&running, Event::TimedOut(OnTimeout::Rollback))).1, Weight::ZERO);
}

#[test]
fn what_a_person_does_goes_on_without_webhooks() {
    let state = judged(&begun(&[When::BeforeStep], shop()), Event::Pass);
    assert_eq!(shop_of(&request(&state, By::Promote { full: false }).unwrap()).0, S::Running { step: 1 });
    assert_eq!(shop_of(&request(&state, By::Skip).unwrap()).0, S::Running { step: 1 });
    assert_eq!(shop_of(&request(&state, By::Promote { full: true }).unwrap()).1, Weight::WHOLE);
    let paused = request(&state, By::Pause).unwrap();
    assert!(open(&paused).is_empty() && event(&paused, Event::Pass).is_none());
}

#[test]
fn an_approval_is_asked_for_when_the_webhook_has_allowed_and_nobody_is_asked_after_it() {
    let state = judged(&begun(&[When::BeforeStep], shop()), Event::AwaitApproval);
    assert_eq!(shop_of(&state).0, S::Held { step: 0, why: HeldFor::Webhook });
    let state = judged(&allowed(state), Event::AwaitApproval);
    assert_eq!(shop_of(&state).0, S::Held { step: 0, why: HeldFor::Approval });
    assert!(open(&state).is_empty());
    assert_eq!(shop_of(&request(&state, By::Approve).unwrap()).0, S::Running { step: 1 });
}

#[test]
fn a_timeout_that_promotes_goes_on_as_one_when_the_webhook_allows() {
    let promote = Event::TimedOut(OnTimeout::Promote);
    let mut state = judged(&judged(&allowed(begun(&[When::AtStep], shop())), Event::Pass), promote);
    assert_eq!(shop_of(&state).0, S::Held { step: 1, why: HeldFor::Webhook });
    state = judged(&allowed(state), promote);
    assert_eq!(shop_of(&state).0, S::Promoted { why: PromotedBy::Timeout });
}

#[test]
fn a_blue_green_switch_waits_too() {
    let service = shop();
    let steps = service.rollout.steps[2..].to_vec();
    let rollout = serin_config::policy::RolloutPolicy { steps, ..service.rollout.clone() };
    let state = request(&with(&[When::BeforeStep], vec![Service { rollout, ..service }]), By::Start).unwrap();
    assert_eq!(shop_of(&state), (S::Held { step: 0, why: HeldFor::Start }, Weight::ZERO));
    let state = next(&allowed(state), "shop").unwrap().state;
    assert_eq!(shop_of(&state), (S::Promoted { why: PromotedBy::Command }, Weight::WHOLE));
}

#[test]
fn a_group_begins_in_one_plan_when_all_its_webhooks_allow() {
    let services = ["shop", "web"].map(|text| Service { name: name(text), ..shop() });
    let mut state = with(&[When::BeforeStep], services.to_vec());
    let members: Vec<ServiceName> = ["shop", "web"].map(name).to_vec();
    let group = Group { name: GroupName::try_new("store").unwrap(), services: members };
    Arc::make_mut(&mut state.terms).groups = vec![group];
    let mut state = request(&state, By::Start).unwrap();
    assert_eq!(open(&state).len(), 2);
    let first = state.hooks.0.keys().next().unwrap().clone();
    heard(&mut state, &first, Said::Allow, NOW);
    assert!(next(&state, "shop").is_none(), "the other's is closed");
    let decision = next(&allowed(state), "web").unwrap();
    for service in ["shop", "web"] {
        assert_eq!(of(&decision.state, service), (S::Running { step: 0 }, weight("10%")), "{service}");
    }
    assert_eq!(decision.entries.len(), 2);
}

#[test]
fn a_webhook_that_a_changed_file_leaves_out_holds_nothing_up() {
    let held = judged(&begun(&[When::BeforeStep], shop()), Event::Pass);
    let started = request(&with(&[When::BeforeStep], vec![shop()]), By::Start).unwrap();
    let without = |mut state: State| {
        state.terms = Arc::default();
        followed(state)
    };
    assert_eq!(shop_of(&judged(&without(held), Event::Pass)).0, S::Running { step: 1 });
    assert_eq!(shop_of(&next(&without(started), "shop").unwrap().state).0, S::Running { step: 0 });
}

#[test]
fn an_answer_that_comes_too_late_says_nothing() {
    let state = judged(&begun(&[When::BeforeStep], shop()), Event::Pass);
    let question = state.hooks.0.keys().next().unwrap().clone();
    let mut after = judged(&allowed(state), Event::Pass);
    heard(&mut after, &question, deny(), NOW);
    assert!(after.hooks.0.is_empty() && next(&followed(after), "shop").is_none());
}
