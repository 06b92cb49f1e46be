//! Steps that copy requests: what the plan says of them, what ends them, and what lets nothing of them be lost.

use serin_config::{
    policy::{OnFail, OnTimeout, Step},
    wire::TripCause,
};
use serin_judge::Evidence;

use super::*;
use crate::{
    command::Action as By,
    fixtures::{canary_share, catalogue, name, no_connection, shop, weight},
    rollout::{PromotedBy, RolledBackFor, State as S},
};

const NOW: u64 = 1_000_000;

fn copying() -> Service {
    let mut service = shop();
    let copies = |share| Step { mirror: Some(weight(share)), ..Step::at(Weight::ZERO) };
    service.rollout.steps.splice(0..0, [copies("10%"), copies("50%")]);
    service
}

fn fresh() -> State {
    start_up(&Stored::default(), &catalogue(vec![copying()]), NOW).unwrap().state
}

fn asked(state: &State, action: By) -> Result<State, Refusal> {
    let command = Command::Rollout { service: name("shop"), action, if_generation: None };
    decide(state, &Request::new(command, Actor::Api, ""), NOW).map(|decision| decision.unwrap().state)
}

fn started() -> State {
    asked(&fresh(), By::Start).unwrap()
}

fn judged(state: &State, event: Event) -> Option<Decision> {
    let policy = copying().rollout;
    let verdict = Evidence::new(&policy).verdict(&policy.steps[0], std::time::Duration::ZERO);
    judge(state, &name("shop"), event, &verdict, "guard errors failed", NOW)
}

/// What the canary gets by the plan: of users, and copies.
fn shares(state: &State) -> (String, String) {
    (canary_share(&state.plan).to_string(), state.plan.mirror("shop").to_string())
}

fn are(share: &str, mirror: &str) -> (String, String) {
    (share.into(), mirror.into())
}

#[test]
fn a_rollout_walks_from_copies_to_users() {
    let mut state = started();
    let mut seen = vec![shares(&state)];
    for _ in 0..4 {
        let decision = judged(&state, Event::Pass).unwrap();
        assert_eq!(decision.entries[0].mirror, decision.state.plan.mirror("shop"));
        state = decision.state;
        seen.push(shares(&state));
    }
    let walked = [are("0%", "10%"), are("0%", "50%"), are("10%", "0%"), are("50%", "0%"), are("100%", "0%")];
    assert_eq!(seen, walked);
    assert_eq!(
        state.services["shop"].rollout.as_ref().unwrap().state,
        S::Promoted { why: PromotedBy::Evidence }
    );
}

#[test]
fn a_canary_that_fails_by_its_copies_gets_none_at_once_and_the_journal_says_that_nobody_saw_it() {
    for (event, why) in [
        (Event::Fail, RolledBackFor::Copies),
        (Event::TimedOut(OnTimeout::Rollback), RolledBackFor::Timeout),
        (Event::Trip(TripCause::Fault), RolledBackFor::Trip),
    ] {
        let decision = judged(&started(), event).unwrap();
        assert_eq!(shares(&decision.state), are("0%", "0%"));
        assert_eq!(decision.entries[0].state, Some(S::RolledBack { why }));
        let reason = &decision.entries[0].reason;
        assert!(reason.ends_with("it had copies only: no user got an answer of v2"), "{reason}");
        assert!(decision.protects, "it waits for no store");
    }
    let with_users =
        judged(&asked(&asked(&started(), By::Skip).unwrap(), By::Skip).unwrap(), Event::Fail).unwrap();
    let entry = &with_users.entries[0];
    assert_eq!(
        (entry.state, entry.reason.as_str()),
        (Some(S::RolledBack { why: RolledBackFor::Evidence }), "guard errors failed")
    );
}

#[test]
fn whoever_ends_it_by_hand_ends_the_copies() {
    assert_eq!(shares(&asked(&started(), By::Abort).unwrap()), are("0%", "0%"));
    let paused = asked(&started(), By::Pause).unwrap();
    assert_eq!(shares(&paused), are("0%", "10%"), "a pause goes on with what there is");
}

#[test]
fn a_proxys_wire_that_copies_have_tripped_ends_the_rollout() {
    let state = started();
    let decision = trip(&state, &no_connection(state.plan.generation()), None, NOW).unwrap();
    assert_eq!((decision.entries[0].actor, decision.entries[0].action), (Actor::Proxy, Action::RollBack));
    assert_eq!(shares(&decision.state), are("0%", "0%"));
    assert!(trip(&decision.state, &no_connection(state.plan.generation()), None, NOW).is_none(), "once");
    assert!(
        trip(&fresh(), &no_connection(Generation(9)), None, NOW).is_none(),
        "without copies there is nothing to end"
    );
}

#[test]
fn a_trip_on_copies_counts_until_the_step_ends_whoever_pauses_and_resumes_meanwhile() {
    let state = started();
    let told = no_connection(state.plan.generation());
    let since = |state: &State| state.plan.canary_since("shop");
    let paused = asked(&state, By::Pause).unwrap();
    let resumed = asked(&paused, By::Resume).unwrap();
    for later in [&paused, &resumed] {
        assert_eq!(since(later), since(&state), "proxies hold what tripped");
        assert!(trip(later, &told, None, NOW).is_some(), "and whoever is told of it late acts on it");
    }
    // At its first users it begins anew.
    let users = asked(&asked(&resumed, By::Skip).unwrap(), By::Skip).unwrap();
    assert!(since(&users) == users.plan.generation() && trip(&users, &told, None, NOW).is_none());
}

#[test]
fn a_freeze_lets_nobody_have_more_copies() {
    let freeze = Command::Freeze { services: vec![], until_ms: None };
    let frozen = decide(&started(), &Request::new(freeze, Actor::Api, "audit"), NOW).unwrap().unwrap().state;
    assert!(judged(&frozen, Event::Pass).is_none());
    assert_eq!(shares(&judged(&frozen, Event::Fail).unwrap().state), are("0%", "0%"));
}

#[test]
fn copies_go_on_after_a_start_and_after_a_reload_that_changes_something_else() {
    let state = started();
    let stored = Stored {
        generation: state.plan.generation(),
        services: state.services.clone(),
        next_entry: state.next_entry,
        next_rollout: state.next_rollout,
        ..Stored::default()
    };
    let again = start_up(&stored, &catalogue(vec![copying()]), NOW).unwrap().state;
    assert_eq!(shares(&again), are("0%", "10%"));
    assert_eq!(
        present(&stored, Generation::NONE, &catalogue(vec![copying()])).plan.mirror("shop"),
        weight("10%")
    );
    let other = Service { name: name("blog"), ..copying() };
    let changed = reload(&state, &catalogue(vec![copying(), other]), NOW).unwrap().unwrap().state;
    assert_eq!((shares(&changed), changed.plan.mirror("blog")), (are("0%", "10%"), Weight::ZERO));
}

#[test]
fn what_has_no_users_is_taken_out_though_rollbacks_are_held() {
    let mut service = copying();
    service.rollout.on_fail = OnFail::Hold { reason: "v1 can't read it".into() };
    let rollout = started().services["shop"].rollout.clone().unwrap();
    let mut watch = crate::watch::Watch::begin(&rollout, &service, &[], 0);
    let event = (1..=30).find_map(|at| {
        let mut report = crate::fixtures::report(at, rollout.start_generation, (0, 0), (900, 0));
        report.copies = crate::fixtures::report(at, rollout.start_generation, (20, 20), (20, 0)).cells;
        let second = crate::align::Second::of(at, vec![report]);
        watch.observe(&rollout, &service, &second, at * 1_000);
        watch.look(&rollout, &service, at * 1_000)?.event
    });
    let (event, reason) = event.unwrap();
    assert_eq!((event, reason.as_str()), (Event::Fail, "guard errors failed"));
    assert_eq!(watch.checkpoint().course.steps[0].mirror, Some(weight("10%")));
}
