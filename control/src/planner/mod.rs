//! The one way to change weights: a state and a request, or a verdict, make a decision or a refusal.
//!
//! Pure: the clock comes in as `now_ms`, nothing is written here. A decision is a whole new [`State`] whose
//! plan is the child of the present one; what it takes to make it true (store, push, evidence) is the
//! keeper's work. Whatever moves a weight becomes one [`Step`] and goes through [`State::take`], which is
//! where the plan, the record and the journal entry are made, together.
//!
//! While a rollout moves the weights of a service, nobody else does: setting them by hand is refused. One
//! exception: weights that give the canary nothing and the stable version everything are what `abort` does,
//! and who is in a hurry to take a canary out must not be sent to another command.

mod again;
mod reload;
mod tokens;

use std::sync::Arc;

use serin_config::{
    Generation, Service, ServiceName, Split, VersionName, Weight, limits::REASON_CHARS_MAX, wire::Trip,
};
use serin_judge::Verdict;

pub use reload::{Stored, present, reload, start_up};

use crate::{
    command::{Action as By, Actor, Caller, Command, Request},
    journal::{Action, Entry},
    refusal::Refusal,
    repeat::KeyTaken,
    rollout::{self, AbortedBy, Event, Rollout, StateError},
    state::{Decision, Record, State},
    store::FactChanges,
    watch::course::Course,
};

/// Decides on a request. None: it asks for what is there already, so there is nothing to do.
pub fn decide(state: &State, request: &Request, now_ms: u64) -> Result<Option<Decision>, Refusal> {
    let Some(mut decision) = decide_once(state, request, now_ms)? else { return Ok(None) };
    if let Some(key) = &request.key {
        let generation = decision.state.plan.generation();
        let facts = Arc::make_mut(&mut decision.state.repeats).remember(key, generation, now_ms);
        decision.facts.extend(facts);
    }
    Ok(Some(decision))
}

/// Whether a request is one that was done before, by its key; gives the plan in force after it.
pub fn repeated(state: &State, request: &Request, now_ms: u64) -> Result<Option<Generation>, Refusal> {
    let Some(key) = &request.key else { return Ok(None) };
    let done = state.repeats.find(key, now_ms).map_err(|KeyTaken| Refusal::KeyTaken)?;
    Ok(done.map(|done| done.generation))
}

fn decide_once(state: &State, request: &Request, now_ms: u64) -> Result<Option<Decision>, Refusal> {
    let who = Who { actor: request.actor, caller: request.who.as_ref(), reason: &request.reason, now_ms };
    match &request.command {
        Command::SetWeights { service, split, if_generation } => {
            fresh(state, Some(*if_generation))?;
            set_weights(state, service, split, &who).map(Some)
        }
        Command::Rollout { service, action, if_generation } => {
            fresh(state, *if_generation)?;
            let event = match action {
                By::Start => return start(state, service, Action::Start, &who).map(Some),
                By::Retry => return again::retry(state, service, &who).map(Some),
                By::Pause => Event::Pause,
                By::Resume => Event::Resume,
                By::Promote { full } => Event::Promote { full: *full },
                By::Skip => Event::Skip,
                By::Abort => Event::Abort(AbortedBy::Command),
            };
            steer(state, service, event, None, &who).map(Some)
        }
        Command::Undo { service, if_generation, unready } => {
            fresh(state, *if_generation)?;
            again::undo(state, service, unready, &who).map(Some)
        }
        Command::Reload(catalogue) => reload(state, catalogue, now_ms),
        Command::GiveToken { wanted, if_generation } => {
            tokens::give(state, wanted, *if_generation, &who).map(Some)
        }
        Command::TakeBackToken { id, if_generation } => {
            tokens::take_back(state, id, *if_generation).map(Some)
        }
    }
}

/// Decides on what the judge saw. None: nothing changes.
pub fn judge(
    state: &State,
    service: &ServiceName,
    event: Event,
    verdict: &Verdict,
    reason: &str,
    now_ms: u64,
) -> Option<Decision> {
    let who = Who { actor: Actor::Judge, caller: None, reason, now_ms };
    steer(state, service, event, Some(verdict), &who).ok()
}

/// Decides on a canary that a proxy has taken out by itself: every proxy shall. None: it has no weight any
/// more, or was given it anew since, or there is no stable version beside it.
///
/// `verdict` is the judge's at that moment, if a rollout is in progress: it is told beside what the proxy says.
pub fn trip(state: &State, trip: &Trip, verdict: Option<&Verdict>, now_ms: u64) -> Option<Decision> {
    let (service, record) = find(state, &trip.service).ok()?;
    let (canary, stable) = (record.split.of(&trip.version), record.split.of(&service.stable));
    let outdated = trip.generation < state.plan.canary_since(trip.service.as_str());
    let is_canary = service.canary.as_ref() == Some(&trip.version);
    if !is_canary || outdated || canary == Weight::ZERO || stable == Weight::ZERO {
        return None;
    }
    let reason = format!("the proxy took {} out by itself: {}", trip.version, trip.reason);
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
    let who = Who { actor: Actor::Proxy, caller: None, reason: &reason, now_ms };
    if record.live().is_some() {
        return steer(state, &trip.service, Event::Trip(trip.cause), verdict, &who).ok();
    }
    let split = in_order(service, &Split::whole(service.stable.clone()));
    let record = Record { split, ..record.clone() };
    let step =
        Step { service: &trip.service, record, action: Action::RollBack, verdict: None, of_rollout: false };
    state.take(step, &who).ok()
}

/// Who asks, why, and when.
struct Who<'a> {
    actor: Actor,
    caller: Option<&'a Caller>,
    reason: &'a str,
    now_ms: u64,
}

fn fresh(state: &State, given: Option<Generation>) -> Result<(), Refusal> {
    match given {
        Some(given) if given != state.plan.generation() => {
            Err(Refusal::Stale { given, current: state.plan.clone() })
        }
        _ => Ok(()),
    }
}

fn find<'a>(state: &'a State, name: &ServiceName) -> Result<(&'a Service, &'a Record), Refusal> {
    match (state.plan.catalogue().service(name.as_str()), state.services.get(name)) {
        (Some(service), Some(record)) => Ok((service, record)),
        _ => Err(Refusal::NoService(name.to_string())),
    }
}

fn set_weights(state: &State, name: &ServiceName, split: &Split, who: &Who<'_>) -> Result<Decision, Refusal> {
    let (service, record) = find(state, name)?;
    if let Some((version, _)) = split.iter().find(|(version, _)| service.version(version).is_none()) {
        return Err(Refusal::NoVersion {
            service: name.clone(),
            version: version.clone(),
            known: service.versions.iter().map(|version| version.name.clone()).collect(),
        });
    }
    if let Some(rollout) = record.live() {
        if split.of(&rollout.stable) == Weight::WHOLE {
            return steer(state, name, Event::Abort(AbortedBy::Command), None, who);
        }
        return Err(Refusal::RolloutRuns {
            service: name.clone(),
            canary: rollout.canary.clone(),
            state: rollout.state,
        });
    }
    let record = Record { split: in_order(service, split), ..record.clone() };
    state.take(
        Step { service: name, record, action: Action::SetWeights, verdict: None, of_rollout: false },
        who,
    )
}

fn start(state: &State, name: &ServiceName, action: Action, who: &Who<'_>) -> Result<Decision, Refusal> {
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
    let generation = state.plan.generation().next();
    let weights: Vec<Weight> = service.rollout.steps.iter().map(|step| step.weight).collect();
    let begun = match weights.first() {
        Some(weight) if *weight < Weight::WHOLE => rollout::State::Running { step: 0 },
        _ => rollout::State::Promoted { why: rollout::PromotedBy::Command },
    };
    let split =
        Split::canary_and_stable(canary.clone(), begun.canary_weight(&weights), service.stable.clone());
    let rollout = Rollout {
        id: state.next_rollout,
        service: name.clone(),
        canary,
        stable: service.stable.clone(),
        rules: reload::rules(service),
        weights,
        before: Some(record.split.clone()),
        state: begun,
        halvings: 0,
        start_generation: generation,
        step_generation: generation,
        share_generation: generation,
        started_ms: who.now_ms,
        step_began_ms: who.now_ms,
        ended_ms: (!begun.is_live()).then_some(who.now_ms),
        course: Course::default(),
        verdict: None,
    };
    let record = Record { split, rollout: Some(rollout), ..record.clone() };
    let mut decision =
        state.take(Step { service: name, record, action, verdict: None, of_rollout: true }, who)?;
    decision.state.next_rollout += 1;
    Ok(decision)
}

/// Lets an event happen to the rollout of a service, and moves the weights to where its new state wants them.
fn steer(
    state: &State,
    name: &ServiceName,
    event: Event,
    verdict: Option<&Verdict>,
    who: &Who<'_>,
) -> Result<Decision, Refusal> {
    let (service, record) = find(state, name)?;
    let before = record.rollout.as_ref().ok_or_else(|| Refusal::NoRollout(name.clone()))?;
    let after = before
        .state
        .on(event, &before.weights)
        .map_err(|error: StateError| Refusal::Rollout { service: name.clone(), error })?;
    let generation = state.plan.generation().next();
    let moved = after.step() != before.state.step();
    let halvings = before.halvings_after(event, after);
    if halvings == before.halvings && matches!(event, Event::Mounting | Event::Subsided) {
        return Err(Refusal::Rollout { service: name.clone(), error: StateError::Unmoved(after) });
    }
    let rollout = Rollout {
        state: after,
        halvings,
        step_generation: if moved { generation } else { before.step_generation },
        step_began_ms: if moved { who.now_ms } else { before.step_began_ms },
        ended_ms: (!after.is_live()).then_some(who.now_ms),
        verdict: verdict.or(before.verdict.as_ref()).cloned(),
        ..before.clone()
    };
    let share_generation =
        if rollout.canary_weight() == before.canary_weight() { before.share_generation } else { generation };
    let rollout = Rollout { share_generation, ..rollout };
    // An undone rollout brings back a split from before it; the file may have given other roles since.
    let split = in_order(service, &rollout.split());
    let record = Record { split, rollout: Some(rollout), ..record.clone() };
    let action = match event {
        Event::Pass => Action::Pass,
        Event::Fail | Event::Trip(_) => Action::RollBack,
        Event::TimedOutWithoutTraffic | Event::Doubt => Action::Hold,
        Event::Mounting => Action::Lower,
        Event::Subsided => Action::Raise,
        Event::TimedOut(_) => match after {
            rollout::State::Held { .. } => Action::Hold,
            rollout::State::RolledBack { .. } => Action::RollBack,
            _ => Action::Promote,
        },
        Event::TrafficSeen | Event::Cleared | Event::Resume => Action::Resume,
        Event::Pause => Action::Pause,
        Event::Promote { .. } => Action::Promote,
        Event::Skip => Action::Skip,
        Event::Undo => Action::Undo,
        Event::Abort(_) => Action::Abort,
    };
    state.take(Step { service: name, record, action, verdict, of_rollout: true }, who)
}

/// One service's change.
struct Step<'a> {
    service: &'a ServiceName,
    record: Record,
    action: Action,
    verdict: Option<&'a Verdict>,
    of_rollout: bool,
}

impl State {
    /// The only place where a split changes between two loads of the file.
    fn take(&self, step: Step<'_>, who: &Who<'_>) -> Result<Decision, Refusal> {
        let mut state = self.clone();
        let old = self.services.get(step.service).map(|record| record.split.clone());
        state.plan = Arc::new(self.plan.with_split(step.service.as_str(), step.record.split.clone())?);
        let rollout = step.record.rollout.as_ref().filter(|_| step.of_rollout);
        let protects = match step.action {
            Action::RollBack | Action::Abort | Action::Lower => true,
            // After a promotion; after an abort it may give the canary back what it had before.
            Action::Undo => again::lowers(rollout, old.as_ref(), &step.record.split),
            _ => false,
        };
        let entry = Entry {
            sequence: state.next_entry,
            at_ms: who.now_ms,
            actor: who.actor,
            who: who.caller.cloned(),
            service: Some(step.service.clone()),
            action: step.action,
            from: old,
            to: Some(step.record.split.clone()),
            generation: state.plan.generation(),
            reason: who.reason.to_owned(),
            rollout: rollout.map(|rollout| rollout.id),
            state: rollout.map(|rollout| rollout.state),
            verdict: step.verdict.cloned(),
        };
        state.next_entry += 1;
        state.services.insert(step.service.clone(), Arc::new(step.record));
        Ok(Decision {
            state,
            touched: vec![step.service.clone()],
            entries: vec![entry],
            facts: FactChanges::new(),
            protects,
        })
    }
}

/// The split in the order in which versions claim buckets: the canary first, then as the file lists them.
/// Versions without weight are left out, except the two that have a role.
fn in_order(service: &Service, split: &Split) -> Split {
    let others = service.versions.iter().map(|version| &version.name);
    let mut weights: Vec<(VersionName, Weight)> = Vec::new();
    for version in service.canary.iter().chain(others) {
        let weight = split.of(version);
        let has_role = *version == service.stable || service.canary.as_ref() == Some(version);
        if (weight > Weight::ZERO || has_role) && weights.iter().all(|(name, _)| name != version) {
            weights.push((version.clone(), weight));
        }
    }
    Split::try_new(weights).unwrap_or_else(|_| split.clone())
}

/// Whether both give every version the same share, in whatever order.
fn same_weights(a: &Split, b: &Split) -> bool {
    a.iter().chain(b.iter()).all(|(version, _)| a.of(version) == b.of(version))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
#[cfg(test)]
#[path = "trip_tests.rs"]
mod trip_tests;
