//! The canary that takes the place of another one.
//!
//! Where the policy lets a new canary in the file supersede the rollout in progress, the new version is what its owner
//! wants to have out: so its rollout begins by itself, at its first step, as whoever deploys a version over another knows it
//! from elsewhere. The file only ends the old one; this begins the new one, as soon as nothing stands against it: a freeze,
//! too many others, a file that was read at a start. So whether one is due is no state of its own: it follows from how the
//! last rollout ended, and survives whatever comes between the two.
//!
//! Whoever sets the weights meanwhile has taken the matter into their own hands.

use std::collections::BTreeMap;

use serin_config::{ServiceName, Split};

use super::{Who, find, same_weights, start};
use crate::{
    command::Actor,
    journal::Action,
    refusal::Refusal,
    rollout::{AbortedBy, State as S},
    state::{Decision, State},
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
        let waiting = Waiting {
            canary: service.canary.clone()?,
            since_ms: record.rollout.as_ref()?.ended_ms?,
            kind: refusal.kind().into(),
            why: refusal.to_string(),
        };
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

/// Why the new canary is to be started; none where it is not.
fn superseded(state: &State, name: &ServiceName) -> Option<String> {
    let (service, record) = find(state, name).ok()?;
    let last = record.rollout.as_ref()?;
    let canary = service.canary.as_ref().filter(|canary| **canary != last.canary)?;
    let ended = last.state == S::Aborted { why: AbortedBy::Superseded } && service.stable == last.stable;
    let left = [&Split::whole(last.stable.clone()), &record.file_split];
    let untouched = left.into_iter().any(|left| same_weights(left, &record.split));
    (ended && untouched).then(|| {
        format!("the file names {canary} in place of {}, whose rollout {} it ended", last.canary, last.id)
    })
}

#[cfg(test)]
#[path = "next_tests.rs"]
mod tests;
