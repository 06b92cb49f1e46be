//! Going on beyond plans of another history.
//!
//! A store that was lost, or set back to an earlier copy, counts plans again from where it stands. Proxies have met these
//! numbers, and take no plan up to the one that they have: generations only grow there, which is what keeps a leader that
//! hung for a minute from steering anybody. So it is not for them to yield. Whoever decides here makes the same plan
//! again under a number beyond theirs, as a decision like any other: one that leads no longer can't store it.

use std::sync::Arc;

use serin_config::{Generation, Weight};

use super::reload;
use crate::{
    command::Actor,
    journal::{Action, Entry},
    state::{Decision, Record, State},
    store::FactChanges,
};

/// The plan in force again, with a number beyond `theirs`, which is that of a plan of another history at `proxy`. None where
/// there is no such number.
pub fn go_beyond(state: &State, theirs: Generation, proxy: &str, now_ms: u64) -> Option<Decision> {
    let ours = state.plan.generation();
    let generation = reload::first_after(theirs.max(ours));
    if generation > Generation::MAX {
        return None;
    }
    let mut after = state.clone();
    after.plan = Arc::new(state.plan.renumbered(generation));
    // What was counted under the other plan is no sign of how this one's split is dealt out.
    let mut touched = Vec::new();
    for (name, record) in &state.services {
        let Some(mut rollout) = record.live().cloned() else { continue };
        rollout.share_generation = generation;
        let record = Record { rollout: Some(rollout), ..record.as_ref().clone() };
        after.services.insert(name.clone(), Arc::new(record));
        touched.push(name.clone());
    }
    let reason = format!(
        "plan {theirs} is in force on proxy {proxy}, and is not of this history: the state here was lost or set back, or the \
         proxy is another control plane's; plan {ours} goes on as plan {generation}"
    );
    let entry = Entry {
        sequence: after.next_entry,
        at_ms: now_ms,
        actor: Actor::Proxy,
        who: None,
        service: None,
        services: Vec::new(),
        group: None,
        action: Action::Renumber,
        from: None,
        to: None,
        mirror: Weight::ZERO,
        generation,
        reason,
        with: None,
        rollout: None,
        state: None,
        verdict: None,
    };
    after.next_entry += 1;
    Some(Decision { state: after, touched, entries: vec![entry], facts: FactChanges::new(), protects: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::{Action as By, Command, Request},
        fixtures::{catalogue, name, shop},
        planner::{Stored, decide, start_up},
    };

    fn started() -> State {
        let state = start_up(&Stored::default(), &catalogue(vec![shop()]), 1_000).unwrap().state;
        let start = Command::Rollout { service: name("shop"), action: By::Start, if_generation: None };
        decide(&state, &Request::new(start, Actor::Api, ""), 1_000).unwrap().unwrap().state
    }

    #[test]
    fn the_same_plan_goes_on_under_a_number_beyond_both() {
        let state = started();
        for (theirs, beyond) in [(2, 1_001), (7_003, 8_001), (1, 1_001)] {
            let decision = go_beyond(&state, Generation(theirs), "edge-1", 2_000).unwrap();
            let (before, after) = (&state.plan, &decision.state.plan);
            assert_eq!((after.generation(), after.parent()), (Generation(beyond), before.generation()));
            assert_eq!(after.split("shop"), before.split("shop"));
            assert_eq!(
                after.canary_since("shop"),
                before.canary_since("shop"),
                "no canary has another chance"
            );
            assert!(!decision.protects, "it waits for the store, so that only a leader can do it");
            let [entry] = decision.entries.as_slice() else { panic!("{:?}", decision.entries) };
            assert!(entry.reason.contains("edge-1") && entry.action == Action::Renumber, "{entry:?}");
        }
    }

    #[test]
    fn a_rollout_goes_on_and_the_share_of_its_canary_is_observed_anew() {
        let state = started();
        let after = go_beyond(&state, Generation(3_000), "edge-1", 2_000).unwrap().state;
        let (before, after) = (state.live("shop").unwrap(), after.live("shop").unwrap());
        assert_eq!(
            (after.id, after.state, after.step_generation),
            (before.id, before.state, before.step_generation)
        );
        assert_eq!(after.share_generation, Generation(4_001));
    }

    #[test]
    fn there_is_a_last_number() {
        assert!(go_beyond(&started(), Generation::MAX, "edge-1", 2_000).is_none());
    }
}
