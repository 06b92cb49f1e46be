//! What is kept of a rollout that ends: what its steps took, and what was known of the canary by then.
//!
//! The judge's own decision brings its verdict along. Everything else ends a rollout without asking: a person, a file, a
//! group, a webhook. What the evidence said at that moment stands in the record and in the journal all the same, of the step
//! that it was at; a verdict that an earlier step rested on says nothing of this one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serin_config::{
    Service, ServiceName, Weight,
    policy::{Step, Until},
};
use serin_judge::Verdict;

use super::Keeper;
use crate::{
    planner::Stored,
    rollout::Rollout,
    state::{Decision, Record},
    watch::{Checkpoint, Watch, course::Course},
};

impl Keeper {
    /// Writes into each rollout that a decision ends what is known of it.
    pub(super) fn end_rollouts(&self, decision: &mut Decision, now_ms: u64) {
        for name in &decision.touched.clone() {
            let (Some(watch), Some(before)) = (self.watches.get(name), self.state.live(name.as_str())) else {
                continue;
            };
            let Some(after) = ended(before, decision, name).filter(|_| watch.rollout() == before.id) else {
                continue;
            };
            let course = course_of(watch.clone(), before, &after, now_ms);
            note(decision, after, course, self.known(name, now_ms));
        }
    }

    /// What the evidence says of a rollout in progress at this moment.
    pub(super) fn known(&self, name: &ServiceName, now_ms: u64) -> Option<Verdict> {
        let (watch, rollout) = (self.watches.get(name)?, self.state.live(name.as_str())?);
        // Where nothing was judged there is nothing to know.
        if rollout.has_not_begun() {
            return None;
        }
        let service = self.state.plan.catalogue().service(name.as_str())?;
        let step = service.rollout.steps.get(rollout.state.step()?)?;
        Some(watch.known(rollout, step, now_ms))
    }
}

/// The same for those that the file ends at a start: what the last checkpoint had is all that is known.
pub(super) fn end_at_start(
    stored: &Stored,
    decision: &mut Decision,
    evidence: &BTreeMap<ServiceName, Checkpoint>,
    now_ms: u64,
) {
    for (name, record) in &stored.services {
        let Some((before, after)) =
            record.live().and_then(|before| Some((before, ended(before, decision, name)?)))
        else {
            continue;
        };
        let Some(service) = decision.state.plan.catalogue().service(name.as_str()) else { continue };
        let watch = Watch::resume(before, service, evidence.get(name).cloned(), 0, now_ms);
        let step = step_of(before, service).filter(|_| !before.has_not_begun());
        let known = step.map(|step| watch.known(before, &step, now_ms));
        let course = course_of(watch, before, &after, now_ms);
        note(decision, after, course, known);
    }
}

/// The step of a rollout whose rules the file may not have any more: whether it would have been passed can't be told then.
fn step_of(rollout: &Rollout, service: &Service) -> Option<Step> {
    let number = rollout.state.step()?;
    let weight = *rollout.weights.get(number)?;
    let mirror = rollout.mirrors.get(number).copied().filter(|share| *share > Weight::ZERO);
    let same = |step: &&Step| step.weight == weight && step.mirror == mirror;
    Some(service.rollout.steps.get(number).filter(same).cloned().unwrap_or_else(|| Step {
        mirror,
        until: Until::Time,
        min_duration: Duration::MAX,
        ..Step::at(weight)
    }))
}

/// The rollout as a decision has ended it; none if it goes on.
fn ended(before: &Rollout, decision: &Decision, name: &ServiceName) -> Option<Rollout> {
    let after = decision.state.services.get(name)?.rollout.as_ref()?;
    (after.id == before.id && !after.state.is_live()).then(|| after.clone())
}

fn course_of(mut watch: Watch, before: &Rollout, after: &Rollout, now_ms: u64) -> Course {
    watch.follow(before, after, now_ms);
    watch.checkpoint().course.clone()
}

fn note(decision: &mut Decision, after: Rollout, course: Course, known: Option<Verdict>) {
    let own = |entry: &&mut crate::journal::Entry| entry.rollout == Some(after.id) && entry.verdict.is_none();
    decision.entries.iter_mut().filter(own).for_each(|entry| entry.verdict.clone_from(&known));
    let verdict = after.verdict.clone().or(known);
    if let Some(record) = decision.state.services.get_mut(&after.service) {
        let rollout = Some(Rollout { course, verdict, ..after });
        *record = Arc::new(Record { rollout, ..record.as_ref().clone() });
    }
}
