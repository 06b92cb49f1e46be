//! A share that is lowered while evidence mounts, and comes back.

use super::*;

#[test]
fn mounting_evidence_halves_the_share_to_an_eighth_at_least_and_calm_brings_it_back() {
    let mut state = started();
    let began = state.live("shop").unwrap().step_generation;
    for share in ["5%", "2.5%", "1.25%"] {
        let decision = judged(&state, Event::Mounting).unwrap();
        assert!(decision.protects, "users do not wait for a disk");
        let [entry] = decision.entries.as_slice() else { panic!("{:?}", decision.entries) };
        assert_eq!((entry.action, entry.actor), (Action::Lower, Actor::Judge));
        state = decision.state;
        assert_eq!(canary_share(&state.plan), weight(share));
        let rollout = state.live("shop").unwrap();
        assert_eq!(
            (rollout.state, rollout.step_generation),
            (S::Running { step: 0 }, began),
            "it is no step"
        );
        assert_eq!(rollout.share_generation, state.plan.generation());
    }
    assert!(judged(&state, Event::Mounting).is_none(), "an eighth is the least");
    for share in ["2.5%", "5%", "10%"] {
        let decision = judged(&state, Event::Subsided).unwrap();
        assert!(!decision.protects, "what raises a share is stored first");
        assert_eq!(decision.entries[0].action, Action::Raise);
        state = decision.state;
        assert_eq!(canary_share(&state.plan), weight(share));
    }
    assert!(judged(&state, Event::Subsided).is_none());
}

#[test]
fn a_step_begins_with_its_own_share() {
    let lowered = judged(&started(), Event::Mounting).unwrap().state;
    let next = ask(&lowered, steer(By::Promote { full: false })).unwrap().state;
    assert_eq!(canary_share(&next.plan), weight("50%"));
    assert_eq!(next.live("shop").unwrap().halvings, 0);
    let out = judged(&lowered, Event::Fail).unwrap().state;
    assert_eq!(canary_share(&out.plan), Weight::ZERO);
}

#[test]
fn doubt_holds_the_rollout_and_says_so_once() {
    let decision = judged(&started(), Event::Doubt).unwrap();
    assert_eq!(decision.entries[0].action, Action::Hold);
    assert!(judged(&decision.state, Event::Doubt).is_none(), "held already");
    let cleared = judged(&decision.state, Event::Cleared).unwrap();
    assert_eq!(cleared.entries[0].action, Action::Resume);
    assert_eq!(cleared.state.live("shop").unwrap().state, S::Running { step: 0 });
}
