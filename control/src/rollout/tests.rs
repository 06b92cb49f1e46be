//! The table of states and events. What moves weights by it is covered with the planner.

use proptest::prelude::*;
use serin_config::{policy::OnTimeout, wire::TripCause};

use super::*;
use crate::fixtures::weight;

fn weights() -> Vec<Weight> {
    ["5%", "25%", "100%"].map(weight).to_vec()
}

fn on(state: State, event: Event) -> Result<State, StateError> {
    state.on(event, &weights())
}

const RUNNING: State = State::Running { step: 0 };
const PAUSED: State = State::Paused { step: 0 };
const HELD: State = State::Held { step: 0, why: HeldFor::Evidence };
const DRY: State = State::Held { step: 0, why: HeldFor::Traffic };

#[test]
fn a_failing_guard_takes_the_canary_out_in_every_live_state() {
    for state in [RUNNING, PAUSED, HELD, DRY] {
        assert_eq!(on(state, Event::Fail), Ok(State::RolledBack { why: RolledBackFor::Evidence }), "{state}");
    }
}

#[test]
fn a_pass_moves_on_unless_somebody_paused() {
    assert_eq!(on(RUNNING, Event::Pass), Ok(State::Running { step: 1 }));
    assert_eq!(on(HELD, Event::Pass), Ok(State::Running { step: 1 }));
    assert_eq!(on(PAUSED, Event::Pass), Err(StateError::Unmoved(PAUSED)));
}

#[test]
fn the_step_of_the_whole_is_the_end() {
    let last = State::Running { step: 1 };
    assert_eq!(on(last, Event::Pass), Ok(State::Promoted { why: PromotedBy::Evidence }));
    assert_eq!(on(last, Event::Promote { full: false }), Ok(State::Promoted { why: PromotedBy::Command }));
    assert_eq!(on(RUNNING, Event::Promote { full: true }), Ok(State::Promoted { why: PromotedBy::Command }));
}

#[test]
fn what_is_promoted_by_the_clock_is_not_said_to_be_promoted_on_evidence() {
    let last = State::Running { step: 1 };
    for (traffic, why, said) in [
        (true, PromotedBy::Clock, "promoted by the clock of its last step"),
        (false, PromotedBy::ClockWithoutTraffic, "promoted by the clock, without one request of the canary"),
    ] {
        let event = Event::ClockOver { traffic };
        let after = on(last, event).unwrap();
        assert_eq!((after, after.to_string().as_str()), (State::Promoted { why }, said));
        assert_eq!(on(RUNNING, event), Ok(State::Running { step: 1 }));
        assert_eq!(on(PAUSED, event), Err(StateError::Unmoved(PAUSED)));
    }
}

#[test]
fn a_step_without_traffic_is_held_and_goes_on_when_traffic_comes() {
    assert_eq!(on(RUNNING, Event::TimedOutWithoutTraffic), Ok(DRY));
    assert_eq!(on(DRY, Event::TrafficSeen), Ok(RUNNING));
    assert_eq!(on(HELD, Event::TrafficSeen), Err(StateError::Unmoved(HELD)));
    assert_eq!(on(DRY, Event::TimedOut(OnTimeout::Rollback)), Err(StateError::Unmoved(DRY)));
}

#[test]
fn a_step_out_of_time_does_what_the_policy_says() {
    assert_eq!(on(RUNNING, Event::TimedOut(OnTimeout::Hold)), Ok(HELD));
    assert_eq!(on(RUNNING, Event::TimedOut(OnTimeout::Promote)), Ok(State::Running { step: 1 }));
    assert_eq!(
        on(RUNNING, Event::TimedOut(OnTimeout::Rollback)),
        Ok(State::RolledBack { why: RolledBackFor::Timeout })
    );
    assert_eq!(on(PAUSED, Event::TimedOut(OnTimeout::Rollback)), Err(StateError::Unmoved(PAUSED)));
}

#[test]
fn pause_and_resume_keep_the_step() {
    assert_eq!(on(RUNNING, Event::Pause), Ok(PAUSED));
    assert_eq!(on(HELD, Event::Pause), Ok(PAUSED));
    assert_eq!(on(PAUSED, Event::Resume), Ok(RUNNING));
    assert_eq!(on(HELD, Event::Resume), Ok(RUNNING));
    assert_eq!(on(PAUSED, Event::Pause), Err(StateError::AlreadyPaused { step: 0 }));
    assert_eq!(on(RUNNING, Event::Resume), Err(StateError::NotPaused { step: 0 }));
}

#[test]
fn doubt_holds_a_running_step_and_only_that_until_it_is_cleared() {
    let doubtful = State::Held { step: 0, why: HeldFor::Doubt };
    assert_eq!(on(RUNNING, Event::Doubt), Ok(doubtful));
    assert_eq!(on(doubtful, Event::Cleared), Ok(RUNNING));
    assert_eq!(on(doubtful, Event::TimedOut(OnTimeout::Promote)), Err(StateError::Unmoved(doubtful)));
    assert_eq!(on(doubtful, Event::Fail), Ok(State::RolledBack { why: RolledBackFor::Evidence }));
    assert_eq!(on(PAUSED, Event::Doubt), Err(StateError::Unmoved(PAUSED)));
    assert_eq!(on(HELD, Event::Cleared), Err(StateError::Unmoved(HELD)));
}

#[test]
fn a_share_is_lowered_in_every_live_state_and_not_raised_while_somebody_paused() {
    for state in [RUNNING, PAUSED, HELD, DRY] {
        assert_eq!(on(state, Event::Mounting), Ok(state));
    }
    assert_eq!(on(RUNNING, Event::Subsided), Ok(RUNNING));
    assert_eq!(on(PAUSED, Event::Subsided), Err(StateError::Unmoved(PAUSED)));
}

#[test]
fn a_trip_says_whether_the_blast_radius_was_spent() {
    assert_eq!(
        on(RUNNING, Event::Trip(TripCause::Fault)),
        Ok(State::RolledBack { why: RolledBackFor::Trip })
    );
    for cause in [TripCause::FailedRequests, TripCause::AddedLatency] {
        let spent = State::RolledBack { why: RolledBackFor::BlastRadius };
        assert_eq!(on(PAUSED, Event::Trip(cause)), Ok(spent), "{cause:?}");
    }
}

#[test]
fn a_step_is_skipped_whether_or_not_it_waits_and_the_end_is_no_step() {
    for state in [RUNNING, PAUSED, HELD, DRY] {
        assert_eq!(on(state, Event::Skip), Ok(State::Running { step: 1 }), "{state}");
    }
    assert_eq!(on(State::Running { step: 1 }, Event::Skip), Err(StateError::LastStep { step: 1 }));
}

#[test]
fn what_has_ended_is_undone_once_and_a_roll_back_never() {
    let undone = State::Undone { was: WasUndone::Promoted };
    assert_eq!(on(State::Promoted { why: PromotedBy::Evidence }, Event::Undo), Ok(undone));
    let aborted = State::Aborted { why: AbortedBy::Command };
    assert_eq!(on(aborted, Event::Undo), Ok(State::Undone { was: WasUndone::Aborted }));
    assert_eq!(on(undone, Event::Undo), Err(StateError::Ended(undone)));
    let back = State::RolledBack { why: RolledBackFor::Evidence };
    assert_eq!(on(back, Event::Undo), Err(StateError::OutAlready(back)));
    for state in [RUNNING, PAUSED, HELD, DRY] {
        assert_eq!(on(state, Event::Undo), Err(StateError::InProgress(state)));
    }
}

#[test]
fn an_approval_is_asked_for_once_and_nothing_else_passes_the_step() {
    let waits = State::Held { step: 0, why: HeldFor::Approval };
    assert_eq!(on(RUNNING, Event::AwaitApproval), Ok(waits));
    assert_eq!(on(HELD, Event::AwaitApproval), Ok(waits));
    assert_eq!(on(PAUSED, Event::AwaitApproval), Err(StateError::Unmoved(PAUSED)));
    for event in [Event::Pass, Event::AwaitApproval, Event::TimedOut(OnTimeout::Promote)] {
        assert_eq!(on(waits, event), Err(StateError::Unmoved(waits)), "{event:?}");
    }
    assert_eq!(on(waits, Event::Approve), Ok(State::Running { step: 1 }));
    let last = State::Held { step: 1, why: HeldFor::Approval };
    assert_eq!(on(last, Event::Approve), Ok(State::Promoted { why: PromotedBy::Approval }));
    assert_eq!(on(waits, Event::Fail), Ok(State::RolledBack { why: RolledBackFor::Evidence }));
    for state in [RUNNING, PAUSED, HELD, DRY] {
        assert_eq!(on(state, Event::Approve), Err(StateError::NothingToApprove(state)));
    }
}

#[test]
fn an_unsafe_rollback_is_held_in_every_live_state_and_ends_by_hand_only() {
    let held = State::Held { step: 0, why: HeldFor::Unsafe };
    for state in [RUNNING, PAUSED, HELD, DRY] {
        assert_eq!(on(state, Event::FailUnsafe), Ok(held), "{state}");
    }
    for event in [Event::FailUnsafe, Event::Pass, Event::AwaitApproval, Event::TimedOut(OnTimeout::Rollback)]
    {
        assert_eq!(on(held, event), Err(StateError::Unmoved(held)), "{event:?}");
    }
    assert_eq!(on(held, Event::Abort(AbortedBy::Command)), Ok(State::Aborted { why: AbortedBy::Command }));
    assert_eq!(on(held, Event::Promote { full: false }), Ok(State::Running { step: 1 }));
}

#[test]
fn a_bake_is_a_step_at_the_whole_before_the_last() {
    let weights = ["5%", "100%", "100%"].map(weight);
    let baking = State::Running { step: 1 };
    assert_eq!(RUNNING.on(Event::Pass, &weights), Ok(baking));
    assert_eq!(baking.canary_weight(&weights), Weight::WHOLE);
    assert!(baking.is_live());
    assert_eq!(baking.on(Event::Pass, &weights), Ok(State::Promoted { why: PromotedBy::Evidence }));
    let back = baking.on(Event::Fail, &weights).unwrap();
    assert_eq!(back.canary_weight(&weights), Weight::ZERO);
}

#[test]
fn a_state_reads_back_from_json() {
    let waits = State::Held { step: 3, why: HeldFor::Approval };
    let undone = State::Undone { was: WasUndone::Aborted };
    for state in [RUNNING, PAUSED, DRY, waits, State::Promoted { why: PromotedBy::Timeout }, undone] {
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state, "{text}");
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Pass),
        Just(Event::Fail),
        Just(Event::TimedOut(OnTimeout::Hold)),
        Just(Event::TimedOut(OnTimeout::Promote)),
        Just(Event::TimedOut(OnTimeout::Rollback)),
        Just(Event::TimedOutWithoutTraffic),
        Just(Event::TrafficSeen),
        Just(Event::Pause),
        Just(Event::Resume),
        any::<bool>().prop_map(|full| Event::Promote { full }),
        Just(Event::Skip),
        Just(Event::Undo),
        Just(Event::Abort(AbortedBy::Command)),
        Just(Event::Trip(TripCause::AddedLatency)),
        Just(Event::Mounting),
        Just(Event::Subsided),
        Just(Event::Doubt),
        Just(Event::Cleared),
        Just(Event::AwaitApproval),
        Just(Event::Approve),
        Just(Event::FailUnsafe),
    ]
}

proptest! {
    #[test]
    fn an_ended_rollout_stays_ended_and_a_live_one_has_its_steps_weight(
        events in proptest::collection::vec(any_event(), 0..40),
    ) {
        let weights = weights();
        let mut state = RUNNING;
        for event in events {
            let next = state.on(event, &weights);
            if !state.is_live() {
                match (state, event) {
                    (State::Promoted { .. } | State::Aborted { .. }, Event::Undo) => {
                        let undone = matches!(next, Ok(State::Undone { .. }));
                        prop_assert!(undone, "{:?}", next);
                        state = next.unwrap();
                    }
                    (State::RolledBack { .. }, Event::Undo) => {
                        prop_assert_eq!(next, Err(StateError::OutAlready(state)));
                    }
                    _ => prop_assert_eq!(next, Err(StateError::Ended(state))),
                }
                continue;
            }
            let Ok(next) = next else { continue };
            if let (Some(before), Some(after)) = (state.step(), next.step()) {
                prop_assert!(after == before || after == before + 1, "{} after {}", next, state);
                prop_assert_eq!(next.canary_weight(&weights), weights[after]);
                prop_assert!(next.canary_weight(&weights) < Weight::WHOLE);
            }
            state = next;
        }
    }
}
