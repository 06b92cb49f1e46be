//! What services of one group do together. One service alone is covered with the planner.

#![expect(clippy::needless_pass_by_value, reason = "states are handed from one step to the next")]

use std::sync::Arc;

use serin_config::{
    Generation, GroupName, Service, ServiceName, Weight,
    policy::OnFail,
    terms::{Group, Terms},
};

use crate::{
    command::{Action as By, Actor, Command, Request},
    fixtures::{catalogue, name, shop, version, weight},
    planner::{Stored, decide, judge, start_up},
    refusal::Refusal,
    rollout::{AbortedBy, Event, HeldFor, PromotedBy, RolledBackFor, State as S},
    state::{Decision, State},
};

pub(crate) const NOW: u64 = 1_000_000;

fn service(text: &str) -> Service {
    Service { name: name(text), ..shop() }
}

fn terms(max: Option<usize>) -> Terms {
    let services = ["api", "web"].map(name).to_vec();
    let group = Group { name: GroupName::try_new("store").unwrap(), services };
    Terms { groups: vec![group], max_parallel_rollouts: max, ..Terms::default() }
}

fn with(services: Vec<Service>, terms: Terms) -> State {
    let state = start_up(&Stored::default(), &catalogue(services), NOW).unwrap().state;
    State { terms: Arc::new(terms), ..state }
}

pub(crate) fn fresh() -> State {
    with(vec![service("api"), service("blog"), service("web")], terms(None))
}

pub(crate) fn steer(state: &State, service: &str, action: By) -> Result<Decision, Refusal> {
    let command = Command::Rollout { service: name(service), action, if_generation: None };
    decide(state, &Request::new(command, Actor::Api, "because"), NOW).map(Option::unwrap)
}

pub(crate) fn judged(state: &State, service: &str, event: Event) -> Option<Decision> {
    let policy = crate::fixtures::policy();
    let verdict = serin_judge::Evidence::new(&policy).verdict(&policy.steps[0], std::time::Duration::ZERO);
    judge(state, &name(service), event, &verdict, "the judge", NOW)
}

pub(crate) fn pass(state: State, service: &str) -> State {
    judged(&state, service, Event::Pass).unwrap().state
}

pub(crate) fn share(state: &State, service: &str) -> Weight {
    state.plan.split(service).unwrap().of(&version("v2"))
}

pub(crate) fn state_of(state: &State, service: &str) -> S {
    state.services[service].rollout.as_ref().unwrap().state
}

pub(crate) fn started() -> State {
    steer(&fresh(), "web", By::Start).unwrap().state
}

/// Both at their last step.
pub(crate) fn at_the_last_step() -> State {
    pass(pass(started(), "api"), "web")
}

#[test]
fn the_start_of_one_is_the_start_of_all_in_one_plan() {
    let state = fresh();
    let decision = steer(&state, "web", By::Start).unwrap();
    assert_eq!(decision.state.plan.parent(), state.plan.generation());
    assert_eq!(
        ["api", "blog", "web"].map(|text| share(&decision.state, text).to_string()),
        ["10%", "0%", "10%"]
    );
    let started: Vec<(&ServiceName, Option<u64>, Generation)> = decision
        .entries
        .iter()
        .map(|entry| (entry.service.as_ref().unwrap(), entry.rollout, entry.generation))
        .collect();
    let generation = state.plan.generation().next();
    assert_eq!(started, [(&name("web"), Some(1), generation), (&name("api"), Some(2), generation)]);
    assert_eq!(decision.state.next_rollout, 3);
}

#[test]
fn a_member_without_a_canary_stays_out_of_it() {
    let plain = Service { canary: None, ..service("api") };
    let state = with(vec![plain, service("web")], terms(None));
    let decision = steer(&state, "web", By::Start).unwrap();
    assert_eq!(decision.touched, [name("web")]);
    let last = pass(decision.state, "web");
    assert_eq!(state_of(&pass(last, "web"), "web"), S::Promoted { why: PromotedBy::Evidence });
}

#[test]
fn nobody_gets_everything_before_all_can_and_then_all_do_in_one_plan() {
    let state = at_the_last_step();
    let waiting = pass(state, "web");
    assert_eq!(state_of(&waiting, "web"), S::Held { step: 1, why: HeldFor::Group });
    assert_eq!(share(&waiting, "web"), weight("50%"));
    assert!(judged(&waiting, "web", Event::Pass).is_none(), "it waits on");
    let done = judged(&waiting, "api", Event::Pass).unwrap();
    assert_eq!(done.state.plan.parent(), waiting.plan.generation());
    assert_eq!(["api", "web"].map(|text| share(&done.state, text)), [Weight::WHOLE; 2]);
    assert_eq!(state_of(&done.state, "web"), S::Promoted { why: PromotedBy::Group });
    assert_eq!(state_of(&done.state, "api"), S::Promoted { why: PromotedBy::Evidence });
}

#[test]
fn each_that_begins_again_says_which_rollout_it_was() {
    let aborted = steer(&started(), "web", By::Abort).unwrap().state;
    let command = Command::Rollout { service: name("web"), action: By::Retry, if_generation: None };
    let again = decide(&aborted, &Request::new(command, Actor::Api, ""), NOW).unwrap().unwrap();
    let said: Vec<&str> = again.entries.iter().map(|entry| entry.reason.as_str()).collect();
    assert_eq!(said, ["rollout 1 again", "rollout 2 again, with web"]);
}

#[test]
fn steps_before_the_last_are_walked_alone() {
    let state = pass(started(), "web");
    assert_eq!(["api", "web"].map(|text| share(&state, text).to_string()), ["10%", "50%"]);
}

#[test]
fn where_one_is_taken_out_all_are_in_one_plan_and_at_once() {
    for state in [started(), pass(at_the_last_step(), "web")] {
        let out = judged(&state, "api", Event::Fail).unwrap();
        assert!(out.protects);
        assert_eq!(out.state.plan.parent(), state.plan.generation());
        assert_eq!(["api", "web"].map(|text| share(&out.state, text)), [Weight::ZERO; 2]);
        assert_eq!(state_of(&out.state, "api"), S::RolledBack { why: RolledBackFor::Evidence });
        assert_eq!(state_of(&out.state, "web"), S::RolledBack { why: RolledBackFor::Group });
        let web = out.state.services["web"].rollout.as_ref().unwrap();
        assert_eq!(web.summary(), "rolled back with its group, because of api");
        assert_eq!(out.state.services["api"].rollout.as_ref().unwrap().summary(), "rolled back on evidence");
        let said: Vec<&str> = out.entries.iter().map(|entry| entry.reason.as_str()).collect();
        assert_eq!(said, ["the judge", "with api of its group: the judge"]);
    }
    let aborted = steer(&started(), "web", By::Abort).unwrap().state;
    assert_eq!(state_of(&aborted, "api"), S::Aborted { why: AbortedBy::Group });
}

#[test]
fn a_full_promotion_by_hand_takes_all_along() {
    let done = steer(&started(), "web", By::Promote { full: true }).unwrap().state;
    assert_eq!(["api", "web"].map(|text| share(&done, text)), [Weight::WHOLE; 2]);
}

#[test]
fn a_member_that_can_not_go_back_is_held_where_the_others_are_taken_out() {
    let mut web = service("web");
    web.rollout.on_fail = OnFail::Hold { reason: "orders".into() };
    let state = with(vec![service("api"), web], terms(None));
    let state = steer(&state, "api", By::Start).unwrap().state;
    let out = judged(&state, "api", Event::Fail).unwrap().state;
    assert_eq!(state_of(&out, "web"), S::Held { step: 0, why: HeldFor::Unsafe });
    assert_eq!((share(&out, "api"), share(&out, "web")), (Weight::ZERO, weight("10%")));
}

#[test]
fn a_group_is_baked_together_and_returns_together() {
    let mut services = vec![service("api"), service("web")];
    for service in &mut services {
        service.rollout.steps.insert(2, serin_config::policy::Step::at(Weight::WHOLE));
    }
    let state = steer(&with(services, terms(None)), "web", By::Start).unwrap().state;
    let both = |state: State| pass(pass(state, "api"), "web");
    let baking = both(both(state));
    assert_eq!(["api", "web"].map(|text| state_of(&baking, text)), [S::Running { step: 2 }; 2]);
    let waiting = pass(baking, "web");
    assert_eq!(state_of(&waiting, "web"), S::Held { step: 2, why: HeldFor::Group });
    let back = judged(&waiting, "api", Event::Fail).unwrap().state;
    assert_eq!(["api", "web"].map(|text| share(&back, text)), [Weight::ZERO; 2]);
}

#[test]
fn more_rollouts_at_once_than_allowed_are_refused_and_name_those_that_run() {
    let state = with(vec![service("api"), service("blog"), service("web")], terms(Some(2)));
    let state = steer(&state, "web", By::Start).unwrap().state;
    let refused = steer(&state, "blog", By::Start).unwrap_err();
    let running = vec![name("api"), name("web")];
    assert_eq!(
        refused,
        Refusal::TooManyRollouts { most: 2, running: running.into(), begins: vec![name("blog")].into() }
    );
    assert!(refused.to_string().contains("\"api\", \"web\""), "{refused}");
    let one = with(vec![service("api"), service("web")], terms(Some(1)));
    let refused = steer(&one, "web", By::Start).unwrap_err().to_string();
    assert!(
        refused.contains(
            "no rollout is in progress, 2 would begin together (\"web\", \"api\", which are a group)"
        ) && refused.contains("max_parallel_rollouts in the file must be at least 2"),
        "{refused}"
    );
    let free = steer(&state, "web", By::Abort).unwrap().state;
    assert!(steer(&free, "blog", By::Start).is_ok());
}
