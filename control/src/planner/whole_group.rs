//! What is asked for of a whole group: each member that can does it, and all of it is one plan.
//!
//! Members are taken one after the other, each on what those before it have become, so the group's own rules hold between
//! them: who is promoted before all can be waits, and the last one releases those that wait. A member that has nothing to do
//! is passed over; where none has, that is the refusal. Whatever else stands against one of them stands against all.

use std::sync::Arc;

use serin_config::{GroupName, ServiceName, VersionName, terms::Group};

use super::{Moved, Who, action, again, begin, begun, event_of, moves, next};
use crate::{
    command::Action as By,
    journal::Action,
    refusal::Refusal,
    rollout::{Event, Rollout},
    state::{Decision, State},
};

/// Starts or steers the rollouts of a group.
pub(super) fn steer(state: &State, name: &GroupName, by: By, who: &Who<'_>) -> Result<Decision, Refusal> {
    let group = find(state, name)?;
    match (by, event_of(by)) {
        (By::Retry, _) => again::retry(state, newest(state, group)?, who),
        (By::Abort, Some(event)) => abort(state, group, event, who),
        (_, Some(event)) => each(state, group, event, who),
        (_, None) => start(state, group, who),
    }
}

/// Takes back what the last rollouts of a group did, those that ended in one plan.
pub(super) fn undo(
    state: &State,
    name: &GroupName,
    unready: &[(ServiceName, VersionName)],
    who: &Who<'_>,
) -> Result<Decision, Refusal> {
    again::undo(state, newest(state, find(state, name)?)?, unready, who)
}

fn find<'a>(state: &'a State, name: &GroupName) -> Result<&'a Group, Refusal> {
    let mut groups = state.terms.groups.iter();
    groups.find(|group| group.name == *name).ok_or_else(|| Refusal::NoGroup(name.to_string()))
}

/// The member whose rollout moved last.
fn newest<'a>(state: &State, group: &'a Group) -> Result<&'a ServiceName, Refusal> {
    let rollout = |name: &ServiceName| state.services.get(name)?.rollout.as_ref();
    let begun = group.services.iter().filter_map(|name| Some((name, rollout(name)?)));
    // One in progress says what to do first.
    let newest =
        begun.max_by_key(|(_, rollout): &(_, &Rollout)| (rollout.state.is_live(), rollout.step_generation));
    let nothing = || Refusal::GroupUnmoved {
        group: group.name.clone(),
        why: Box::new(Refusal::NoRollout(group.services[0].clone())),
    };
    newest.map(|(name, _)| name).ok_or_else(nothing)
}

fn start(state: &State, group: &Group, who: &Who<'_>) -> Result<Decision, Refusal> {
    let (mut all, mut first) = (Vec::new(), None);
    let gated = !who.urgent && group.services.iter().any(|service| state.asks_before_start(service));
    for member in &group.services {
        let number = state.next_rollout + all.len() as u64;
        match begin(state, member, (number, gated), Action::Start, who) {
            Ok(moved) => all.push(moved),
            Err(refusal) if refusal.is_nothing_to_start() => drop(first.get_or_insert(refusal)),
            Err(refusal) => return Err(refusal),
        }
    }
    match first {
        Some(why) if all.is_empty() => Err(unmoved(group, why)),
        _ => begun(state, all, who),
    }
}

/// Takes out the canaries that are rolled out, and calls off those that wait to take the place of others, as
/// the abort of one service does.
fn abort(state: &State, group: &Group, event: Event, who: &Who<'_>) -> Result<Decision, Refusal> {
    let mut off: Option<Decision> = None;
    for member in &group.services {
        let now = off.as_ref().map_or(state, |off| &off.state);
        if next::waits(now, member) {
            let then = next::call_off(now, member, who)?;
            off = Some(both(off, then));
        }
    }
    let now = off.as_ref().map_or(state, |off| &off.state);
    match (each(now, group, event, who), off) {
        (Ok(out), off) => Ok(both(off, out)),
        (Err(Refusal::GroupUnmoved { .. }), Some(off)) => Ok(off),
        (Err(refusal), _) => Err(refusal),
    }
}

/// Two decisions as one, the second of which rests on the first. Whatever takes a canary out waits for nothing.
fn both(first: Option<Decision>, then: Decision) -> Decision {
    let Some(first) = first else { return then };
    let touched = first.touched.into_iter().filter(|name| !then.touched.contains(name));
    Decision {
        touched: touched.chain(then.touched.iter().cloned()).collect(),
        entries: first.entries.into_iter().chain(then.entries).collect(),
        facts: first.facts.into_iter().chain(then.facts).collect(),
        protects: then.protects,
        state: then.state,
    }
}

fn each(state: &State, group: &Group, event: Event, who: &Who<'_>) -> Result<Decision, Refusal> {
    let mut now = state.clone();
    let mut all: Vec<Moved> = Vec::new();
    let mut first = None;
    for member in &group.services {
        match moves(&now, member, event, None, who) {
            Ok(moved) => {
                for mut step in moved {
                    // It is asked of all of them: none is to blame for the others.
                    step.because = None;
                    if let Some(rollout) = &mut step.record.rollout {
                        rollout.with = None;
                    }
                    now.services.insert(step.service.clone(), Arc::new(step.record.clone()));
                    if let (Action::Pass, Some(rollout)) = (step.action, &step.record.rollout) {
                        // It waited for its group, and what lets it go on is not evidence.
                        step.action = action(event, rollout.state);
                    }
                    match all.iter_mut().find(|earlier| earlier.service == step.service) {
                        Some(earlier) => *earlier = step,
                        None => all.push(step),
                    }
                }
            }
            Err(refusal @ (Refusal::NoRollout(_) | Refusal::Rollout { .. })) => {
                // What a rollout in progress says is more to the point than that another one has ended.
                if first.is_none() || now.live(member.as_str()).is_some() {
                    first = Some(refusal);
                }
            }
            Err(refusal) => return Err(refusal),
        }
    }
    match first {
        Some(why) if all.is_empty() => Err(unmoved(group, why)),
        _ => state.take(all, who),
    }
}

fn unmoved(group: &Group, why: Refusal) -> Refusal {
    Refusal::GroupUnmoved { group: group.name.clone(), why: Box::new(why) }
}

#[cfg(test)]
#[path = "whole_group_tests.rs"]
mod tests;
