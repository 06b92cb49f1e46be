//! How a rollout begins: what may stand against it, and the first thing that is known of it.

use serin_config::{ServiceName, Split, VersionName, Weight};

use super::{Moved, Who, again, find, reload};
use crate::{
    journal::Action,
    refusal::Refusal,
    rollout::{self, HeldFor, Rollout},
    state::{Decision, Record, State},
    watch::course::Course,
};

/// Starts a rollout, and with it those of the others of its group that can start.
pub(super) fn start(
    state: &State,
    name: &ServiceName,
    action: Action,
    who: &Who<'_>,
) -> Result<Decision, Refusal> {
    let together = || std::iter::once(name).chain(state.companions(name));
    let gated = !who.urgent && together().any(|service| state.asks_before_start(service));
    let mut all = vec![begin(state, name, (state.next_rollout, gated), action, who)?];
    for other in state.companions(name) {
        let number = state.next_rollout + all.len() as u64;
        match begin(state, other, (number, gated), action, who) {
            Ok(moved) => {
                all.push(Moved { because: again::because(state, name, other, action, who), ..moved });
            }
            Err(refusal) if refusal.is_nothing_to_start() => {}
            Err(refusal) => return Err(refusal),
        }
    }
    begun(state, all, who)
}

/// The decision to begin these rollouts, if there may be so many.
pub(super) fn begun(state: &State, begun: Vec<Moved>, who: &Who<'_>) -> Result<Decision, Refusal> {
    let running: Vec<_> = state.services.keys().filter(|name| state.live(name.as_str()).is_some()).collect();
    if let Some(most) = state.terms.max_parallel_rollouts.filter(|most| running.len() + begun.len() > *most) {
        return Err(Refusal::TooManyRollouts {
            most,
            running: running.into_iter().cloned().collect::<Vec<_>>().into(),
            begins: begun.into_iter().map(|moved| moved.service).collect::<Vec<_>>().into(),
        });
    }
    let rollouts = begun.len() as u64;
    let mut decision = state.take(begun, who)?;
    decision.state.next_rollout += rollouts;
    Ok(decision)
}

pub(super) fn begin(
    state: &State,
    name: &ServiceName,
    (id, gated): (u64, bool),
    action: Action,
    who: &Who<'_>,
) -> Result<Moved, Refusal> {
    let (service, record) = find(state, name)?;
    if let Some(rollout) = record.live() {
        return Err(Refusal::AlreadyRuns {
            service: name.clone(),
            canary: rollout.canary.clone(),
            state: rollout.state,
        });
    }
    let canary = service.canary.clone().ok_or_else(|| Refusal::NoCanary(name.clone()))?;
    let third = |(version, weight): &(&VersionName, Weight)| {
        *weight > Weight::ZERO && **version != canary && **version != service.stable
    };
    if let Some((version, weight)) = record.split.iter().find(third) {
        return Err(Refusal::ThirdVersion { service: name.clone(), version: version.clone(), weight });
    }
    if record.split.of(&canary) == Weight::WHOLE {
        return Err(Refusal::AlreadyWhole { service: name.clone(), canary });
    }
    // Also where it gives the canary less than it had by hand: a start is a step forward.
    state.not_frozen(name, who.urgent, who.now_ms)?;
    let generation = state.plan.generation().next();
    let weights: Vec<Weight> = service.rollout.steps.iter().map(|step| step.weight).collect();
    let mirrors = service.rollout.steps.iter().map(|step| step.mirror.unwrap_or(Weight::ZERO));
    let mirrors = if service.rollout.copies_first() { mirrors.collect() } else { Vec::new() };
    let begun = match weights.len() {
        _ if gated => rollout::State::Held { step: 0, why: HeldFor::Start },
        0 | 1 => rollout::State::Promoted { why: rollout::PromotedBy::Command },
        _ => rollout::State::Running { step: 0 },
    };
    let split =
        Split::canary_and_stable(canary.clone(), begun.canary_weight(&weights), service.stable.clone());
    let rollout = Rollout {
        id,
        service: name.clone(),
        canary,
        stable: service.stable.clone(),
        rules: reload::rules(service),
        weights,
        mirrors,
        before: Some(record.split.clone()),
        state: begun,
        halvings: 0,
        with: None,
        called_off: None,
        never_began: false,
        start_generation: generation,
        step_generation: generation,
        share_generation: generation,
        urgent: who.urgent,
        started_ms: who.now_ms,
        step_began_ms: who.now_ms,
        ended_ms: (!begun.is_live()).then_some(who.now_ms),
        course: Course::default(),
        verdict: None,
    };
    let record = Record { split, rollout: Some(rollout), ..record.clone() };
    Ok(Moved { service: name.clone(), record, action, verdict: None, of_rollout: true, because: None })
}
