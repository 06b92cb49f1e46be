//! What can be done with a rollout that has ended: take back what it did, or begin it again.
//!
//! Undo brings back the split from before the rollout, in one plan. After a promotion that is the way out when
//! the new version turns out to be bad once nobody compares any more, so it is no more than a step down and as
//! quick: nothing is warmed up, nothing is asked twice. It is refused where it would do something else than it
//! says (somebody has set weights since), and where the old version could not take the traffic: a version that
//! the file no longer has, or that no proxy can send a request to.
//!
//! Retry is a start that insists on being the same rollout: of this canary against this stable version.

use serin_config::{ServiceName, Split, VersionName, Weight};

use super::{Because, Moved, Who, find, moved, same_weights, start};
use crate::{
    command::Actor,
    journal::Action,
    refusal::{NoWayBack, Refusal},
    rollout::{Event, Rollout, State as S, StateError},
    state::{Decision, State},
};

/// Brings back the split from before the last rollout, and with it those of others of the group whose rollouts ended in
/// the same plan: what was given together is taken back together.
pub(super) fn undo(
    state: &State,
    name: &ServiceName,
    unready: &[(ServiceName, VersionName)],
    who: &Who<'_>,
) -> Result<Decision, Refusal> {
    let mut all = vec![undone(state, name, unready, who)?];
    let rollout = |name: &ServiceName| state.services.get(name)?.rollout.as_ref();
    let ended = rollout(name).map(|rollout| rollout.step_generation);
    for other in state.companions(name) {
        let together = |rollout: &Rollout| !rollout.state.is_live() && Some(rollout.step_generation) == ended;
        if !rollout(other).is_some_and(together) {
            continue;
        }
        match undone(state, other, unready, who) {
            Ok(moved) => all.push(moved),
            // It was never given anything, or has nothing already.
            Err(Refusal::NothingToUndo { .. } | Refusal::Rollout { .. }) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    state.take(all, who)
}

fn undone(
    state: &State,
    name: &ServiceName,
    unready: &[(ServiceName, VersionName)],
    who: &Who<'_>,
) -> Result<Moved, Refusal> {
    let (service, record) = find(state, name)?;
    let rollout = record.rollout.as_ref().ok_or_else(|| Refusal::NoRollout(name.clone()))?;
    let after = rollout
        .state
        .on(Event::Undo, &rollout.weights)
        .map_err(|error| Refusal::Rollout { service: name.clone(), error })?;
    let before = rollout.split_before();
    if same_weights(&record.split, &before) {
        return Err(Refusal::NothingToUndo { service: name.clone(), split: record.split.clone() });
    }
    if !same_weights(&record.split, &rollout.split()) {
        return Err(Refusal::MovedSince {
            service: name.clone(),
            left: rollout.split(),
            split: record.split.clone(),
            before,
        });
    }
    let gains = |(version, weight): &(&VersionName, Weight)| *weight > record.split.of(version);
    for (version, _) in before.iter().filter(gains) {
        let is_unready = || unready.iter().any(|(of, unready)| of == name && unready == version);
        let why = match service.version(version) {
            None => NoWayBack::NotInFile,
            Some(_) if is_unready() => NoWayBack::NotReady,
            Some(_) => continue,
        };
        return Err(Refusal::NoWayBack { service: name.clone(), version: version.clone(), why });
    }
    moved(state, rollout, Event::Undo, after, None, who)
}

/// Begins the last rollout again, from its first step.
pub(super) fn retry(state: &State, name: &ServiceName, who: &Who<'_>) -> Result<Decision, Refusal> {
    let (service, record) = find(state, name)?;
    let last = record.rollout.as_ref().ok_or_else(|| Refusal::NoRollout(name.clone()))?;
    match last.state {
        S::Running { .. } | S::Paused { .. } | S::Held { .. } => {
            let error = StateError::InProgress(last.state);
            return Err(Refusal::Rollout { service: name.clone(), error });
        }
        S::Promoted { .. } => {
            return Err(Refusal::NothingToRetry { service: name.clone(), state: last.state });
        }
        S::Aborted { .. } | S::RolledBack { .. } | S::Undone { .. } => {}
    }
    if service.canary.as_ref() != Some(&last.canary) || service.stable != last.stable {
        return Err(Refusal::RetryOfAnother {
            service: name.clone(),
            canary: last.canary.clone(),
            stable: last.stable.clone(),
            now: service.canary.clone(),
            now_stable: service.stable.clone(),
        });
    }
    let reason = if who.reason.is_empty() { again(last) } else { who.reason.to_owned() };
    start(state, name, Action::Retry, &Who { reason: &reason, ..*who })
}

/// Why another of the group begins with `name`, where the reason of that one would be another rollout's.
pub(super) fn because(
    state: &State,
    name: &ServiceName,
    other: &ServiceName,
    action: Action,
    who: &Who<'_>,
) -> Option<Because> {
    if who.actor == Actor::File {
        let reason = format!("with {name} of its group: {}", who.reason);
        return Some(Because { with: name.clone(), reason });
    }
    let last = |name: &ServiceName| state.services.get(name)?.rollout.as_ref();
    let own = (action == Action::Retry).then(|| last(name)).flatten()?;
    if who.reason != again(own) {
        return None;
    }
    let began_before = last(other).filter(|other| !matches!(other.state, S::Promoted { .. }));
    let reason = match began_before {
        Some(last) => format!("{}, with {name}", again(last)),
        None => format!("with {name}, whose rollout {} begins again", own.id),
    };
    Some(Because { with: name.clone(), reason })
}

fn again(last: &Rollout) -> String {
    format!("rollout {} again", last.id)
}

/// Whether the step takes share away from the canary of the rollout that it belongs to.
pub(super) fn lowers(rollout: Option<&Rollout>, old: Option<&Split>, new: &Split) -> bool {
    let (Some(rollout), Some(old)) = (rollout, old) else { return false };
    new.of(&rollout.canary) < old.of(&rollout.canary)
}

#[cfg(test)]
#[path = "again_tests.rs"]
mod tests;
