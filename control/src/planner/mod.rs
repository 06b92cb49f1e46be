//! The one way to change weights: a state and a request, or a verdict, make a decision or a refusal.
//!
//! Pure: the clock comes in as `now_ms`, nothing is written here. A decision is a whole new [`State`] whose
//! plan is the child of the present one; what it takes to make it true (store, push, evidence) is the
//! keeper's work. Whatever moves a weight becomes one [`Moved`] for each service and goes through [`State::take`], which is
//! where the plan, the record and the journal entry are made, together.
//!
//! While a rollout moves the weights of a service, nobody else does: setting them by hand is refused. One
//! exception: weights that give the canary nothing and the stable version everything are what `abort` does,
//! and who is in a hurry to take a canary out must not be sent to another command.

mod again;
mod freeze;
mod group;
mod history;
mod hook;
pub mod next;
mod reload;
mod start;
mod tokens;
mod whole_group;

use std::sync::Arc;

use serin_config::{
    Generation, Service, ServiceName, Split, VersionName, Weight, limits::REASON_CHARS_MAX, problem::steers,
    terms::Terms, wire::Trip,
};
use serin_judge::Verdict;

pub use history::go_beyond;
pub use hook::{follow_hooks, heard, hooked};
pub use reload::{Stored, present, reload, start_up};

use self::start::{begin, begun, start};

use crate::{
    command::{Action as By, Actor, Caller, Command, Request},
    journal::{Action, Entry},
    refusal::Refusal,
    repeat::KeyTaken,
    rollout::{self, AbortedBy, Event, HeldFor, Rollout, StateError},
    state::{self, Decision, Record, State},
    store::FactChanges,
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
    if request.urgent && request.reason.trim().is_empty() {
        return Err(Refusal::UrgentWithoutReason);
    }
    let who = Who {
        actor: request.actor,
        caller: request.who.as_ref(),
        reason: &request.reason,
        now_ms,
        urgent: request.urgent,
    };
    match &request.command {
        Command::SetWeights { service, split, if_generation } => {
            fresh(state, Some(*if_generation))?;
            set_weights(state, service, split, &who).map(Some)
        }
        Command::Rollout { service, action, if_generation } => {
            fresh(state, *if_generation)?;
            match (action, event_of(*action)) {
                (By::Retry, _) => again::retry(state, service, &who).map(Some),
                (By::Abort, _) if next::waits(state, service) => {
                    next::call_off(state, service, &who).map(Some)
                }
                (_, Some(event)) => steer(state, service, event, None, &who).map(Some),
                (_, None) => start(state, service, Action::Start, &who).map(Some),
            }
        }
        Command::Group { group, action, if_generation } => {
            fresh(state, *if_generation)?;
            whole_group::steer(state, group, *action, &who).map(Some)
        }
        Command::UndoGroup { group, if_generation, unready } => {
            fresh(state, *if_generation)?;
            whole_group::undo(state, group, unready, &who).map(Some)
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
        Command::Terms(terms) => Ok(take_terms(state, terms)),
        Command::Told { recipient, sequence } => Ok(Some(note_told(state, recipient, *sequence))),
        // The keeper takes it with `heard`: it changes nothing that is kept.
        Command::Heard { .. } => Ok(None),
        Command::Freeze { services, until_ms } => state.freeze(services, *until_ms, &who).map(Some),
        Command::Thaw { freeze } => state.thaw(*freeze, &who).map(Some),
    }
}

/// What is asked for of a rollout that has begun; none where one is to begin.
fn event_of(by: By) -> Option<Event> {
    Some(match by {
        By::Start | By::Retry => return None,
        By::Pause => Event::Pause,
        By::Resume => Event::Resume,
        By::Promote { full } => Event::Promote { full },
        By::Skip => Event::Skip,
        By::Abort => Event::Abort(AbortedBy::Command),
        By::Approve => Event::Approve,
    })
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
    let who = Who { actor: Actor::Judge, caller: None, reason, now_ms, urgent: false };
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
    // While it is baked the stable version has nothing, and is ready all the same.
    let alone = stable == Weight::ZERO && record.live().is_none();
    if !is_canary || outdated || alone || canary == Weight::ZERO && record.mirror() == Weight::ZERO {
        return None;
    }
    let reason = format!("the proxy took {} out by itself: {}", trip.version, trip.reason);
    let reason: String = reason.chars().filter(|c| !steers(*c)).take(REASON_CHARS_MAX).collect();
    let who = Who { actor: Actor::Proxy, caller: None, reason: &reason, now_ms, urgent: false };
    if record.live().is_some() {
        return steer(state, &trip.service, Event::Trip(trip.cause), verdict, &who).ok();
    }
    let split = in_order(service, &Split::whole(service.stable.clone()));
    let record = Record { split, ..record.clone() };
    let step = Moved {
        service: trip.service.clone(),
        record,
        action: Action::RollBack,
        verdict: None,
        of_rollout: false,
        because: None,
    };
    state.take(vec![step], &who).ok()
}

/// Who asks, why, and when.
struct Who<'a> {
    actor: Actor,
    caller: Option<&'a Caller>,
    reason: &'a str,
    now_ms: u64,
    urgent: bool,
}

/// Notes how far a recipient was told of decisions: kept, and no decision itself.
fn note_told(state: &State, recipient: &str, sequence: u64) -> Decision {
    let mut state = state.clone();
    let facts = Arc::make_mut(&mut state.told).note(recipient, sequence);
    Decision { state, touched: Vec::new(), entries: Vec::new(), facts, protects: false }
}

/// Takes other terms of all rollouts. They are the file's, like the rest of it, and no decision of their own.
fn take_terms(state: &State, terms: &Arc<Terms>) -> Option<Decision> {
    (state.terms != *terms).then(|| Decision {
        state: State { terms: terms.clone(), ..state.clone() },
        touched: Vec::new(),
        entries: Vec::new(),
        facts: FactChanges::new(),
        protects: false,
    })
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
    // Whoever sets weights has taken the matter into their own hands, also where they are what they were.
    let rollout = next::called_off(state, name).or_else(|| record.rollout.clone());
    let record = Record { split: in_order(service, split), rollout, ..record.clone() };
    let action = Action::SetWeights;
    state.take(
        vec![Moved {
            service: name.clone(),
            record,
            action,
            verdict: None,
            of_rollout: false,
            because: None,
        }],
        who,
    )
}

/// Lets an event happen to the rollout of a service, and moves the weights to where its new state wants them. What that
/// means for others of its group happens in the same plan.
fn steer(
    state: &State,
    name: &ServiceName,
    event: Event,
    verdict: Option<&Verdict>,
    who: &Who<'_>,
) -> Result<Decision, Refusal> {
    let all = moves(state, name, event, verdict, who)?;
    let before = find(state, name)?.1.rollout.as_ref();
    let reason = match before.and_then(|before| state.gates(before, event)) {
        Some(gates) => format!("{}; {gates} has to allow it first", who.reason),
        None => match before.filter(|before| before.mirror() > Weight::ZERO && takes_out(event, &all)) {
            Some(before) => {
                format!("{}; it had copies only: no user got an answer of {}", who.reason, before.canary)
            }
            None => who.reason.to_owned(),
        },
    };
    state.take(all, &Who { reason: &reason, ..*who })
}

/// Whether what was asked for takes the canary out, and not by hand.
fn takes_out(event: Event, all: &[Moved]) -> bool {
    let after = all.first().and_then(|moved| moved.record.rollout.as_ref()).map(|rollout| rollout.state);
    event != Event::Abort(AbortedBy::Command) && matches!(after, Some(rollout::State::RolledBack { .. }))
}

/// What becomes of the rollout of a service, and of others of its group, by an event.
fn moves(
    state: &State,
    name: &ServiceName,
    event: Event,
    verdict: Option<&Verdict>,
    who: &Who<'_>,
) -> Result<Vec<Moved>, Refusal> {
    let (_, record) = find(state, name)?;
    let before = record.rollout.as_ref().ok_or_else(|| Refusal::NoRollout(name.clone()))?;
    let refused = |error: StateError| Refusal::Rollout { service: name.clone(), error };
    let mut event = event;
    let mut after = before.state.on(event, &before.weights).map_err(refused)?;
    if state.gates(before, event).is_some() {
        event = Event::AwaitHook;
        after = before.state.on(event, &before.weights).map_err(refused)?;
    } else if !matches!(event, Event::Promote { full: true } | Event::Admitted)
        && state.must_wait(before, after)
    {
        event = Event::AwaitGroup;
        after = before.state.on(event, &before.weights).map_err(refused)?;
    }
    let halvings = before.halvings_after(event, after);
    if halvings == before.halvings && matches!(event, Event::Mounting | Event::Subsided) {
        return Err(refused(StateError::Unmoved(after)));
    }
    let mut all = vec![moved(state, before, event, after, verdict, who)?];
    all.extend(state.follow(before, event, after, who)?);
    Ok(all)
}

/// A rollout after an event, and the split that it wants.
fn moved(
    state: &State,
    before: &Rollout,
    event: Event,
    after: rollout::State,
    verdict: Option<&Verdict>,
    who: &Who<'_>,
) -> Result<Moved, Refusal> {
    use rollout::State as S;
    let (service, record) = find(state, &before.service)?;
    let generation = state.plan.generation().next();
    let begins = |state: rollout::State| matches!(state, rollout::State::Held { why: HeldFor::Start, .. });
    let moved = after.step() != before.state.step() || begins(before.state) != begins(after);
    let rollout = Rollout {
        state: after,
        halvings: before.halvings_after(event, after),
        step_generation: if moved { generation } else { before.step_generation },
        step_began_ms: if moved { who.now_ms } else { before.step_began_ms },
        ended_ms: (!after.is_live()).then_some(who.now_ms),
        never_began: before.has_not_begun() && matches!(after, S::Aborted { .. } | S::RolledBack { .. }),
        verdict: match verdict.cloned() {
            Some(verdict) if after.is_live() => Some(verdict),
            Some(verdict) => Some(verdict.at_the_end()),
            // What ends it asked nobody: the keeper writes what was known by then.
            None if before.state.is_live() && !after.is_live() => None,
            None => before.verdict.clone(),
        },
        ..before.clone()
    };
    let share_generation =
        if rollout.canary_weight() == before.canary_weight() { before.share_generation } else { generation };
    let rollout = Rollout { share_generation, ..rollout };
    // An undone rollout brings back a split from before it; the file may have given other roles since.
    let split = in_order(service, &rollout.split());
    let record = Record { split, rollout: Some(rollout), ..record.clone() };
    let action = action(event, after);
    Ok(Moved {
        service: before.service.clone(),
        record,
        action,
        verdict: verdict.cloned(),
        of_rollout: true,
        because: None,
    })
}

/// What the journal calls it.
fn action(event: Event, after: rollout::State) -> Action {
    match event {
        Event::Pass | Event::ClockOver { .. } | Event::GroupReady | Event::Admitted => Action::Pass,
        Event::Denied if matches!(after, rollout::State::Aborted { .. }) => Action::Abort,
        Event::Fail | Event::Trip(_) | Event::GroupOut | Event::Denied => Action::RollBack,
        Event::TimedOutWithoutTraffic
        | Event::Doubt
        | Event::FailUnsafe
        | Event::AwaitApproval
        | Event::AwaitHook
        | Event::AwaitGroup => Action::Hold,
        Event::Approve => Action::Approve,
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
    }
}

/// One service's part of a decision.
struct Moved {
    service: ServiceName,
    record: Record,
    action: Action,
    verdict: Option<Verdict>,
    of_rollout: bool,
    /// Why, where that is another reason than that of the whole decision.
    because: Option<Because>,
}

/// Why something happens to a service because of another one of its group.
struct Because {
    with: ServiceName,
    reason: String,
}

impl Moved {
    /// Whether it takes a canary out, or lowers its share, and nothing else.
    fn protects(&self, before: &State) -> bool {
        match self.action {
            Action::RollBack | Action::Abort | Action::Lower => true,
            // After a promotion; after an abort it may give the canary back what it had before.
            Action::Undo => {
                let old = before.services.get(&self.service).map(|record| &record.split);
                again::lowers(self.record.rollout.as_ref(), old, &self.record.split)
            }
            _ => false,
        }
    }
}

impl State {
    /// The only place where splits change between two loads of the file; all of a decision's in one plan. So here
    /// stands what a freeze stops. The first is what was asked for.
    fn take(&self, all: Vec<Moved>, who: &Who<'_>) -> Result<Decision, Refusal> {
        let mut raises = false;
        for step in all.iter().filter(|step| !step.protects(self)) {
            let (service, before) = find(self, &step.service)?;
            let urgent = who.urgent || step.record.live().is_some_and(|rollout| rollout.urgent);
            let copies_more = step.record.mirror() > before.mirror();
            if copies_more || freeze::rises(service, &before.split, &step.record.split) {
                self.not_frozen(&step.service, urgent, who.now_ms)?;
                raises = true;
            }
        }
        let mut state = self.clone();
        let splits = all.iter().map(|step| (step.service.as_str(), step.record.split.clone()));
        let mut plan = self.plan.with_splits(splits)?;
        all.iter().for_each(|step| state::complete(&mut plan, step.service.as_str(), &step.record));
        state.plan = Arc::new(plan);
        let protects = !raises && all.first().is_some_and(|step| step.protects(self));
        let (mut touched, mut entries) = (Vec::new(), Vec::new());
        for mut step in all {
            state::remember(&state.plan, step.service.as_str(), &mut step.record);
            let rollout = step.record.rollout.as_ref().filter(|_| step.of_rollout);
            let (reason, with) = match step.because {
                Some(Because { with, reason }) => (reason, Some(with)),
                None => (who.reason.to_owned(), None),
            };
            let reason = if who.urgent { format!("urgent: {reason}") } else { reason };
            entries.push(Entry {
                sequence: state.next_entry,
                at_ms: who.now_ms,
                actor: who.actor,
                who: who.caller.cloned(),
                group: self.terms.group(step.service.as_str()).map(|group| group.name.clone()),
                service: Some(step.service.clone()),
                services: Vec::new(),
                action: step.action,
                from: self.services.get(&step.service).map(|record| record.split.clone()),
                to: Some(step.record.split.clone()),
                mirror: step.record.mirror(),
                generation: state.plan.generation(),
                reason,
                with,
                rollout: rollout.map(|rollout| rollout.id),
                state: rollout.map(|rollout| rollout.state),
                verdict: step.verdict,
            });
            state.next_entry += 1;
            state.services.insert(step.service.clone(), Arc::new(step.record));
            touched.push(step.service);
        }
        Ok(Decision { state, touched, entries, facts: FactChanges::new(), protects })
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
#[path = "mirror_tests.rs"]
mod mirror_tests;
#[cfg(test)]
#[path = "since_tests.rs"]
mod since_tests;
#[cfg(test)]
#[path = "standby_tests.rs"]
mod standby_tests;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
#[cfg(test)]
#[path = "trip_tests.rs"]
mod trip_tests;
