//! The canary that takes the place of another one.
//!
//! Where the policy lets a new canary in the file supersede the rollout in progress, the new version is what its owner
//! wants to have out: so its rollout begins by itself, at its first step, as whoever deploys a version over another knows it
//! from elsewhere. The file only ends the old one; this begins the new one, as soon as nothing stands against it: a freeze,
//! too many others, a file that was read at a start. So whether one is due is no state of its own: it follows from how the
//! last rollout ended, and survives whatever comes between the two.
//!
//! Whoever sets the weights meanwhile has taken the matter into their own hands. And whoever aborts while it only waits calls
//! it off: that is noted on the rollout whose place it was to take, by the canary's name, so that a still newer one in the file
//! may begin. No split changes by it and no plan is made, so no freeze stands against it.

use std::{collections::BTreeMap, sync::Arc};

use serin_config::{ServiceName, Split, Weight};

use super::{Who, find, same_weights, start};
use crate::{
    command::Actor,
    journal::{Action, Entry},
    refusal::Refusal,
    rollout::{AbortedBy, Rollout, State as S},
    state::{Decision, Record, State},
    store::FactChanges,
    waiting::Waiting,
};

/// The services on which a new canary has superseded a rollout, and was not started yet.
pub fn due(state: &State) -> Vec<ServiceName> {
    state.services.keys().filter(|name| superseded(state, name).is_some()).cloned().collect()
}

/// The new canaries that do not begin at this time, and what stands against each.
pub fn waiting(state: &State, now_ms: u64) -> BTreeMap<ServiceName, Waiting> {
    let of = |name: ServiceName| {
        let refusal = begin(state, &name, now_ms).err()?;
        let (service, record) = find(state, &name).ok()?;
        let since_ms = record.rollout.as_ref()?.ended_ms?;
        let waiting = Waiting::new(service.canary.clone()?, since_ms, refusal);
        Some((name, waiting))
    };
    due(state).into_iter().filter_map(of).collect()
}

/// Starts the new canary of a service that is [`due`].
pub fn begin(state: &State, name: &ServiceName, now_ms: u64) -> Result<Decision, Refusal> {
    let reason = superseded(state, name).ok_or_else(|| Refusal::NoRollout(name.clone()))?;
    let who = Who { actor: Actor::File, caller: None, reason: &reason, now_ms, urgent: false };
    start(state, name, Action::Start, &who)
}

/// Whether a new canary of this service is [`due`].
pub(super) fn waits(state: &State, name: &ServiceName) -> bool {
    superseded(state, name).is_some()
}

/// The last rollout, with the new canary called off that is due; none where none is.
pub(super) fn called_off(state: &State, name: &ServiceName) -> Option<Rollout> {
    superseded(state, name)?;
    let (service, record) = find(state, name).ok()?;
    Some(Rollout { called_off: service.canary.clone(), ..record.rollout.clone()? })
}

/// Calls the new canary off: it begins when somebody starts it, and not by itself.
pub(super) fn call_off(state: &State, name: &ServiceName, who: &Who<'_>) -> Result<Decision, Refusal> {
    let last = called_off(state, name).ok_or_else(|| Refusal::NoRollout(name.clone()))?;
    let (service, record) = find(state, name)?;
    let what = service.canary.as_ref().map(|canary| {
        format!("{canary}, which waited to take the place of {}, does not begin by itself", last.canary)
    });
    let what = what.unwrap_or_default();
    let reason = if who.reason.is_empty() { what } else { format!("{what}: {}", who.reason) };
    let entry = Entry {
        sequence: state.next_entry,
        at_ms: who.now_ms,
        actor: who.actor,
        who: who.caller.cloned(),
        service: Some(name.clone()),
        services: Vec::new(),
        group: state.terms.group(name.as_str()).map(|group| group.name.clone()),
        action: Action::CallOff,
        from: None,
        to: None,
        mirror: Weight::ZERO,
        generation: state.plan.generation(),
        reason,
        with: None,
        rollout: None,
        state: None,
        verdict: None,
    };
    let record = Record { rollout: Some(last), ..record.clone() };
    let mut state = state.clone();
    state.next_entry += 1;
    state.services.insert(name.clone(), Arc::new(record));
    let touched = vec![name.clone()];
    Ok(Decision { state, touched, entries: vec![entry], facts: FactChanges::new(), protects: false })
}

/// Why the new canary is to be started; none where it is not.
fn superseded(state: &State, name: &ServiceName) -> Option<String> {
    let (service, record) = find(state, name).ok()?;
    let last = record.rollout.as_ref()?;
    let canary = service.canary.as_ref().filter(|canary| **canary != last.canary)?;
    let ended = last.state == S::Aborted { why: AbortedBy::Superseded } && service.stable == last.stable;
    let left = [&Split::whole(last.stable.clone()), &record.file_split];
    let called_off = last.called_off.as_ref() == Some(canary);
    let untouched = left.into_iter().any(|left| same_weights(left, &record.split));
    (ended && untouched && !called_off).then(|| {
        format!("the file names {canary} in place of {}, whose rollout {} it ended", last.canary, last.id)
    })
}

#[cfg(test)]
#[path = "next_tests.rs"]
mod tests;
