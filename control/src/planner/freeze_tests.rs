//! What a freeze stops and what it never does. Calendars are covered with the configuration, storing with the keeper.

use proptest::prelude::*;
use serin_config::{
    Generation, Service,
    freeze::{Freeze as OfFile, Span, Zone},
    policy::OnTimeout,
    terms::Terms,
    wire::TripCause,
};

use crate::{
    command::{Action as By, Actor, Command, Request},
    fixtures::{canary_share, catalogue, name, shop, split, version, weight},
    journal::Action,
    planner::{Stored, decide, judge, reload, start_up},
    refusal::Refusal,
    rollout::Event,
    state::{Decision, State},
};
use std::sync::Arc;

const NOW: u64 = 1_000_000;

fn fresh() -> State {
    start_up(&Stored::default(), &catalogue(vec![shop()]), NOW).unwrap().state
}

fn request(command: Command, reason: &str) -> Request {
    Request::new(command, Actor::Api, reason)
}

fn ask(state: &State, command: Command) -> Result<Decision, Refusal> {
    decide(state, &request(command, "because"), NOW).map(|decision| decision.expect("something new"))
}

fn steer(action: By) -> Command {
    Command::Rollout { service: name("shop"), action, if_generation: None }
}

fn everything_until(until_ms: Option<u64>) -> Command {
    Command::Freeze { services: vec![], until_ms }
}

fn frozen(state: &State) -> State {
    ask(state, everything_until(None)).unwrap().state
}

fn started() -> State {
    ask(&fresh(), steer(By::Start)).unwrap().state
}

fn verdict() -> serin_judge::Verdict {
    let policy = crate::fixtures::policy();
    serin_judge::Evidence::new(&policy).verdict(&policy.steps[0], std::time::Duration::ZERO)
}

#[test]
fn a_freeze_by_hand_is_a_decision_without_a_new_plan_and_so_is_its_end() {
    let state = fresh();
    let made = ask(&state, everything_until(Some(NOW + 5))).unwrap();
    assert!(Arc::ptr_eq(&made.state.plan, &state.plan));
    let [entry] = made.entries.as_slice() else { panic!("{:?}", made.entries) };
    assert_eq!(
        (entry.action, entry.reason.as_str(), entry.service.as_ref()),
        (Action::Freeze, "because", None)
    );
    let number = *made.state.freezes.0.keys().next().unwrap();
    assert_eq!(number, entry.sequence);
    let lifted = ask(&made.state, Command::Thaw { freeze: number }).unwrap();
    assert_eq!(lifted.entries[0].action, Action::Thaw);
    assert!(lifted.state.freezes.0.is_empty());
    assert_eq!(ask(&lifted.state, Command::Thaw { freeze: number }).unwrap_err(), Refusal::NoFreeze(number));
}

#[test]
fn nothing_goes_forward_in_a_freeze_and_the_refusal_names_it() {
    let still = frozen(&fresh());
    let refused = ask(&still, steer(By::Start)).unwrap_err();
    assert!(refused.to_string().contains("freeze 3, until it is lifted: because"), "{refused}");
    let by_hand = |text| Command::SetWeights {
        service: name("shop"),
        split: split(text),
        if_generation: still.plan.generation(),
    };
    assert!(matches!(ask(&still, by_hand("v2 1% v1 99%")), Err(Refusal::Frozen { .. })));
    assert!(matches!(ask(&still, by_hand("v0 1% v1 99%")), Err(Refusal::Frozen { .. })));

    let halted = frozen(&started());
    assert!(matches!(ask(&halted, steer(By::Promote { full: false })), Err(Refusal::Frozen { .. })));
    assert!(matches!(ask(&halted, steer(By::Promote { full: true })), Err(Refusal::Frozen { .. })));
    for event in [Event::Pass, Event::TimedOut(OnTimeout::Promote)] {
        assert!(judge(&halted, &name("shop"), event, &verdict(), "", NOW).is_none(), "{event:?}");
    }
}

#[test]
fn a_freeze_never_stops_what_takes_a_canary_out_or_holds_it() {
    let halted = frozen(&started());
    for action in [By::Abort, By::Pause] {
        assert!(ask(&halted, steer(action)).is_ok(), "{action:?}");
    }
    let out =
        [Event::Fail, Event::Trip(TripCause::Fault), Event::TimedOut(OnTimeout::Rollback), Event::Mounting];
    for event in out {
        let decision = judge(&halted, &name("shop"), event, &verdict(), "", NOW).unwrap();
        assert!(canary_share(&decision.state.plan) < weight("10%"), "{event:?}");
        assert!(decision.protects);
    }
}

#[test]
fn a_lowered_share_comes_back_after_the_freeze() {
    let lowered = judge(&started(), &name("shop"), Event::Mounting, &verdict(), "", NOW).unwrap().state;
    assert!(judge(&frozen(&lowered), &name("shop"), Event::Subsided, &verdict(), "", NOW).is_none());
    assert!(judge(&lowered, &name("shop"), Event::Subsided, &verdict(), "", NOW).is_some());
}

#[test]
fn an_urgent_change_needs_a_reason_and_its_rollout_walks_its_steps_through_the_freeze() {
    let still = frozen(&fresh());
    let urgent = |reason| request(steer(By::Start), reason).urgent_if(true);
    assert_eq!(decide(&still, &urgent("  "), NOW).unwrap_err(), Refusal::UrgentWithoutReason);
    let begun = decide(&still, &urgent("CVE-2026-1"), NOW).unwrap().unwrap();
    assert_eq!(begun.entries[0].reason, "urgent: CVE-2026-1");
    let next = judge(&begun.state, &name("shop"), Event::Pass, &verdict(), "", NOW).unwrap();
    assert_eq!(canary_share(&next.state.plan), weight("50%"));
}

#[test]
fn an_undo_in_a_freeze_is_stopped_only_where_a_version_gets_more_that_is_not_the_stable_one_by_now() {
    let set = Command::SetWeights {
        service: name("shop"),
        split: split("v2 20% v1 80%"),
        if_generation: fresh().plan.generation(),
    };
    let by_hand = ask(&fresh(), set).unwrap().state;
    for (end, goes_back) in [(By::Promote { full: true }, true), (By::Abort, false)] {
        let ended = ask(&ask(&by_hand, steer(By::Start)).unwrap().state, steer(end)).unwrap().state;
        for stable in ["v0", "v1", "v2"] {
            for canary in ["v0", "v1", "v2"].into_iter().filter(|canary| *canary != stable) {
                let roles = Service { stable: version(stable), canary: Some(version(canary)), ..shop() };
                let swapped = reload(&ended, &catalogue(vec![roles]), NOW)
                    .unwrap()
                    .map_or(ended.clone(), |taken| taken.state);
                let undo = Command::Undo { service: name("shop"), if_generation: None, unready: vec![] };
                let undone = ask(&frozen(&swapped), undo);
                let may = goes_back || stable == "v2";
                assert_eq!(
                    undone.is_ok(),
                    may,
                    "{end:?}, then {stable} is stable and {canary} the canary: {undone:?}"
                );
                let split =
                    undone.ok().map(|undone| undone.state.plan.split("shop").unwrap().of(&version("v2")));
                assert!(split.is_none_or(|share| share == weight("20%")), "{split:?}");
            }
        }
    }
}

#[test]
fn an_urgent_step_makes_no_urgent_rollout() {
    let halted = frozen(&started());
    let step = request(steer(By::Promote { full: false }), "CVE-2026-1").urgent_if(true);
    let next = decide(&halted, &step, NOW).unwrap().unwrap().state;
    assert_eq!(canary_share(&next.plan), weight("50%"));
    assert!(judge(&next, &name("shop"), Event::Pass, &verdict(), "", NOW).is_none());
}

#[test]
fn a_freeze_ends_by_the_clock_and_leaves_other_services_alone() {
    let shop_only = Command::Freeze { services: vec![name("shop")], until_ms: Some(NOW + 1) };
    let state = ask(&fresh(), shop_only).unwrap().state;
    assert!(state.frozen("shop", NOW).is_some() && state.frozen("blog", NOW).is_none());
    assert!(state.frozen("shop", NOW + 1).is_none());
    let past = everything_until(Some(NOW));
    assert_eq!(ask(&fresh(), past).unwrap_err(), Refusal::FreezeInThePast);
    let nowhere = Command::Freeze { services: vec![name("blog")], until_ms: None };
    assert_eq!(ask(&fresh(), nowhere).unwrap_err(), Refusal::NoService("blog".into()));
}

#[test]
fn freezes_by_hand_are_bounded_and_those_that_are_over_make_room() {
    let mut state = fresh();
    for _ in 0..serin_config::limits::FREEZES_BY_HAND_MAX {
        state = ask(&state, everything_until(Some(NOW + 9))).unwrap().state;
    }
    assert_eq!(ask(&state, everything_until(None)).unwrap_err(), Refusal::TooManyFreezes);
    let later = decide(&state, &request(everything_until(None), ""), NOW + 9).unwrap().unwrap();
    assert_eq!(later.state.freezes.0.len(), 1);
}

#[test]
fn a_freeze_of_the_file_holds_by_its_calendar_and_survives_a_reload() {
    let span = Span::Dated {
        from: serin_config::freeze::Date::try_new(1970, 1, 1, 0).unwrap(),
        to: serin_config::freeze::Date::try_new(1970, 1, 2, 0).unwrap(),
    };
    let quiet = OfFile {
        name: serin_config::FreezeName::try_new("quiet").unwrap(),
        services: vec![],
        span,
        zone: Zone::utc(),
    };
    let terms = Arc::new(Terms { freezes: vec![quiet], ..Terms::default() });
    let state = ask(&fresh(), Command::Terms(terms.clone())).unwrap();
    assert!(state.entries.is_empty());
    assert!(decide(&state.state, &request(Command::Terms(terms), ""), NOW).unwrap().is_none());

    let mut moved = shop();
    moved.split = split("v2 5% v1 95%");
    let refused = reload(&state.state, &catalogue(vec![moved]), NOW).unwrap_err();
    assert!(refused.to_string().contains("quiet (1970-01-01 00:00 to 1970-01-02 00:00, UTC)"), "{refused}");
    let mut other = shop();
    other.sticky = serin_config::Sticky::ClientAddress;
    let taken = reload(&state.state, &catalogue(vec![other]), NOW).unwrap().unwrap();
    assert!(taken.state.frozen("shop", NOW).is_some());
}

fn any_command() -> impl Strategy<Value = (Command, bool)> {
    let action = prop_oneof![
        Just(By::Start),
        Just(By::Pause),
        Just(By::Resume),
        any::<bool>().prop_map(|full| By::Promote { full }),
        Just(By::Abort),
        Just(By::Approve),
    ];
    let weights = (0_u32..=100).prop_map(|percent| format!("v2 {percent}% v1 {}%", 100 - percent));
    let command = prop_oneof![
        4 => action.prop_map(steer),
        2 => weights.prop_map(|text| Command::SetWeights {
            service: name("shop"),
            split: split(&text),
            if_generation: Generation(0),
        }),
        1 => Just(everything_until(None)),
        1 => (2_u64..40).prop_map(|freeze| Command::Thaw { freeze }),
    ];
    (command, proptest::bool::weighted(0.1))
}

proptest! {
    #[test]
    fn in_a_freeze_no_share_rises_but_urgently_and_the_canary_can_always_be_taken_out(
        commands in proptest::collection::vec((any_command(), 0_u8..4), 1..40),
    ) {
        let mut state = fresh();
        for ((mut command, urgent), judged) in commands {
            if let Command::SetWeights { if_generation, .. } = &mut command {
                *if_generation = state.plan.generation();
            }
            let events = [Event::Pass, Event::Mounting, Event::Subsided, Event::TimedOut(OnTimeout::Promote)];
            let judged = judge(&state, &name("shop"), events[usize::from(judged)], &verdict(), "", NOW);
            let asked = decide(&state, &request(command, "why").urgent_if(urgent), NOW).ok().flatten();
            for (decision, by_judge) in [(judged, true), (asked, false)] {
                let Some(decision) = decision else { continue };
                let frozen = state.frozen("shop", NOW).is_some();
                let exempt = if by_judge { state.live("shop").is_some_and(|live| live.urgent) } else {
                    urgent || state.live("shop").is_some_and(|live| live.urgent)
                };
                if frozen && !exempt && decision.state.plan.parent() == state.plan.generation() {
                    prop_assert!(canary_share(&decision.state.plan) <= canary_share(&state.plan));
                }
                if decision.state.plan.parent() == state.plan.generation()
                    || std::sync::Arc::ptr_eq(&decision.state.plan, &state.plan)
                {
                    state = decision.state;
                }
            }
            if state.live("shop").is_some() {
                prop_assert!(ask(&state, steer(By::Abort)).is_ok());
            }
        }
    }
}
