//! How far the services of a group are together, and which of them the others wait for.
//!
//! There are two thresholds on the way: to have everything, and to be done (after the bake). Nobody crosses one before all
//! can, so whoever comes to it first waits, and whoever is behind holds the group back.

use serde::{Deserialize, Serialize};
use serin_config::{Generation, GroupName, ServiceName, VersionName, Weight, terms::Group};

use crate::{
    hook::{HookStatus, Stands},
    rollout::{Event, HeldFor, State},
    status::{RolloutStatus, Status},
};

/// How far a rollout with these step weights is: below everything, at everything, done.
pub(crate) fn threshold(state: State, weights: &[Weight]) -> u8 {
    match state.step() {
        None => 2,
        Some(_) if state.canary_weight(weights) == Weight::WHOLE => 1,
        Some(_) => 0,
    }
}

/// The threshold at which a rollout that waits for its group stands.
pub(crate) fn waits_at(state: State, weights: &[Weight]) -> Option<u8> {
    let State::Held { why: HeldFor::Group, .. } = state else { return None };
    let next = state.on(Event::GroupReady, weights).ok()?;
    Some(threshold(next, weights))
}

/// A group, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Its name.
    pub group: GroupName,
    /// The plan in force.
    pub generation: Generation,
    /// Whether the rollout of any of its services is in progress.
    pub live: bool,
    /// All of it in a line.
    pub summary: String,
    /// The services that others wait for, which have passed.
    pub held_back_by: Vec<ServiceName>,
    /// Its services, in the order of the file.
    pub members: Vec<Member>,
}

/// One service of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub service: ServiceName,
    /// The version under test, if the file names one.
    pub canary: Option<VersionName>,
    /// Whether it waits for others of the group.
    pub waits: bool,
    /// Whether others of the group wait for it.
    pub holds_back: bool,
    /// Why it does, in sentences: what its verdict says.
    pub because: Vec<String>,
    /// Its rollout in progress, or the last one.
    pub rollout: Option<RolloutStatus>,
}

/// What a group is at this moment; `frozen` says what keeps a service from going forward.
pub fn standing(
    group: &Group,
    status: &Status,
    frozen: impl Fn(&ServiceName) -> Option<String>,
) -> GroupStatus {
    let live: Vec<(&ServiceName, &RolloutStatus)> = group
        .services
        .iter()
        .filter_map(|name| Some((name, status.services.get(name)?.rollout.as_ref()?)))
        .filter(|(_, rollout)| rollout.live)
        .collect();
    let waited_for = live.iter().filter_map(|(_, rollout)| waits_at(rollout.state, &rollout.steps)).max();
    let is_behind = |rollout: &RolloutStatus| {
        let own = waits_at(rollout.state, &rollout.steps);
        waited_for
            .is_some_and(|at| threshold(rollout.state, &rollout.steps) < at && own.is_none_or(|own| own < at))
    };
    let behind: Vec<&ServiceName> =
        live.iter().filter(|(_, rollout)| is_behind(rollout)).map(|(name, _)| *name).collect();
    let members = group.services.iter().map(|name| {
        let service = status.services.get(name);
        let rollout = service.and_then(|service| service.rollout.clone());
        let holds_back = behind.contains(&name);
        let because = rollout.as_ref().filter(|_| holds_back).map(|rollout| because(rollout, frozen(name)));
        Member {
            service: name.clone(),
            canary: service.and_then(|service| service.canary.clone()),
            waits: rollout.as_ref().is_some_and(|rollout| waits_at(rollout.state, &rollout.steps).is_some()),
            holds_back,
            because: because.unwrap_or_default(),
            rollout,
        }
    });
    let members: Vec<Member> = members.collect();
    GroupStatus {
        group: group.name.clone(),
        generation: status.plan.generation(),
        live: !live.is_empty(),
        summary: summary(&members, live.len(), &behind),
        held_back_by: behind.into_iter().cloned().collect(),
        members,
    }
}

fn because(rollout: &RolloutStatus, frozen: Option<String>) -> Vec<String> {
    let mut lines = vec![rollout.summary.clone()];
    lines.extend(open(rollout).map(|asked| asked.summary.clone()));
    lines.extend(rollout.explained());
    lines.extend(
        frozen.filter(|_| !rollout.urgent).map(|freeze| format!("It does not go forward: {freeze}.")),
    );
    lines
}

/// The webhooks that have not allowed it to go on.
fn open(rollout: &RolloutStatus) -> impl Iterator<Item = &HookStatus> {
    rollout.asked().filter(|asked| asked.stands != Stands::Allows)
}

/// Who waits for which webhook.
fn asked(members: &[Member]) -> String {
    let of = |member: &Member| {
        let names: Vec<String> =
            member.rollout.iter().flat_map(open).map(|asked| asked.webhook.to_string()).collect();
        (!names.is_empty()).then(|| format!("; {} waits for webhook {}", member.service, names.join(", ")))
    };
    members.iter().filter_map(of).collect()
}

fn summary(members: &[Member], live: usize, behind: &[&ServiceName]) -> String {
    if live == 0 {
        let last = members.iter().filter_map(|member| member.rollout.as_ref());
        return match last.max_by_key(|rollout| rollout.ended_ms) {
            Some(last) => format!("no rollout in progress; the last one was {}", last.brief()),
            None => "no rollout yet".into(),
        };
    }
    let waiting = members.iter().filter(|member| member.waits).count();
    let names: Vec<&str> = behind.iter().map(|name| name.as_str()).collect();
    match (waiting, names.is_empty()) {
        (0, _) | (_, true) => format!("{live} of {} in progress{}", members.len(), asked(members)),
        _ => format!(
            "{live} of {} in progress, {waiting} wait for {}{}",
            members.len(),
            names.join(", "),
            asked(members)
        ),
    }
}
