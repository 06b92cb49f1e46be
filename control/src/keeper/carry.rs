//! Carrying a decision out: store, adopt, push, in the order that its kind asks for.

use std::{collections::BTreeMap, sync::Arc};

use serin_config::{
    Generation, ServiceName,
    limits::{ROLLOUTS_KEPT_MAX, STORE_RETRY},
};
use tracing::{error, info, warn};

use super::Keeper;
use crate::{
    access::Answer,
    history::Chunk,
    journal::{Action, Entry},
    metrics, planner,
    rollout::State,
    settled,
    state::{Decision, Record},
    store::{self, Commit, StoreError, Written},
    watch::{Checkpoint, Watch},
};

/// What must be written of a decision, but for evidence.
pub(super) fn commit(
    before: &BTreeMap<ServiceName, Arc<Record>>,
    decision: &Decision,
    expected: Generation,
) -> Commit {
    let state = &decision.state;
    let records = decision.touched.iter().map(|name| (name.clone(), state.services.get(name).cloned()));
    let ended = decision.touched.iter().filter_map(|name| {
        let rollout = state.services.get(name)?.rollout.as_ref()?;
        let was = before.get(name).and_then(|record| record.rollout.as_ref());
        // One that had ended may be undone, and is written again then.
        (!rollout.state.is_live() && was != Some(rollout)).then(|| Arc::new(rollout.clone()))
    });
    Commit {
        expected,
        generation: state.plan.generation(),
        next_rollout: state.next_rollout,
        records: records.collect(),
        evidence: BTreeMap::new(),
        history: BTreeMap::new(),
        ended: ended.collect(),
        entries: decision.entries.clone(),
        facts: decision.facts.clone(),
        restores_from: None,
    }
}

impl Keeper {
    /// Makes a decision true. On an error nothing has changed, but for what takes a canary out where another control plane
    /// leads: that has reached the proxies that are still here, until they hear of the one who leads.
    pub(super) fn carry_out(&mut self, mut decision: Decision, now_ms: u64) -> Result<Answer, StoreError> {
        if !decision.protects {
            self.settle()?;
        }
        self.end_rollouts(&mut decision, now_ms);
        let watches = self.next_watches(&decision, now_ms);
        let mut commit = commit(&self.state.services, &decision, self.stored);
        for (name, watch) in &watches {
            commit.evidence.insert(name.clone(), watch.as_ref().map(|watch| watch.checkpoint().clone()));
            // Those of a rollout that ends are in the watch that it had.
            let watch = watch.as_ref().or_else(|| self.watches.get(name));
            commit.history.extend(watch.map(|watch| (watch.rollout(), watch.unstored())));
        }
        if !watches.is_empty() {
            self.settle_windows(&mut commit);
        }
        if decision.protects {
            self.adopt(decision, watches, &commit, now_ms);
            self.unsaved = Some(match self.unsaved.take() {
                Some(earlier) => earlier.then(commit),
                None => commit,
            });
            if let Err(failure) = self.settle() {
                self.retry_due_ms = now_ms.saturating_add(RETRY_MS);
                // It will never be stored, and is in force nowhere before long.
                if matches!(failure, StoreError::Deposed) {
                    return Err(failure);
                }
            }
        } else {
            self.write(&commit)?;
            self.adopt(decision, watches, &commit, now_ms);
        }
        Ok(self.answer())
    }

    /// The plan in force, and whether it is stored.
    pub(crate) fn answer(&self) -> Answer {
        Answer { plan: self.state.plan.clone(), stored: self.unsaved.is_none(), repeats: None }
    }

    fn next_watches(&self, decision: &Decision, now_ms: u64) -> Vec<(ServiceName, Option<Watch>)> {
        let next = |name: &ServiceName| {
            let after = decision.state.live(name.as_str())?;
            let service = decision.state.plan.catalogue().service(name.as_str())?;
            let before = self.state.live(name.as_str()).filter(|before| before.id == after.id);
            match (self.watches.get(name).filter(|watch| watch.rollout() == after.id), before) {
                (Some(watch), Some(before)) => {
                    let mut watch = watch.clone();
                    watch.follow(before, after, now_ms);
                    Some(watch)
                }
                _ => {
                    let weights = &service.rollout.error_weights;
                    let past = self.past.of(&after.service, &after.stable, weights);
                    Some(Watch::begin(after, service, &past, now_ms))
                }
            }
        };
        decision.touched.iter().map(|name| (name.clone(), next(name))).collect()
    }

    fn adopt(
        &mut self,
        decision: Decision,
        watches: Vec<(ServiceName, Option<Watch>)>,
        commit: &Commit,
        now_ms: u64,
    ) {
        let moved = |entry: &&Entry| decision.protects && entry.action != Action::CallOff;
        let out = decision.entries.iter().filter(moved).filter_map(|entry| entry.service.clone());
        let out: Vec<ServiceName> = out.collect();
        let old = std::mem::replace(&mut self.state, decision.state);
        self.shares.follow(Some(&old.plan), &self.state.plan);
        if self.state.plan.generation() > old.plan.generation() {
            (self.push)(self.state.plan.clone());
            if let Some(seat) = &self.seat {
                seat.ask_for_beats(self.state.is_rolling());
                seat.publish(self.state.plan.clone(), &out, now_ms);
            }
        }
        for (name, watch) in watches {
            match watch {
                Some(watch) => drop(self.watches.insert(name, watch)),
                None => {
                    self.watches.remove(&name);
                    self.verdicts.remove(&name);
                }
            }
        }
        if !Arc::ptr_eq(old.plan.catalogue(), self.state.plan.catalogue()) {
            let services = &self.state.services;
            self.collector.keep_only(|name| services.contains_key(name));
            self.ended.retain(|name, _| services.contains_key(name));
            self.settled.keep_only(|name| services.contains_key(name));
        }
        planner::follow_hooks(&mut self.state, now_ms);
        self.remember(commit);
        metrics::state(Some(&old), &self.state);
    }

    /// Tells journal, log and metrics of a decision that holds.
    pub(super) fn remember(&mut self, commit: &Commit) {
        for rollout in &commit.ended {
            let kept = self.ended.entry(rollout.service.clone()).or_default();
            kept.retain(|kept| kept.id != rollout.id);
            kept.push(rollout.clone());
            let surplus = kept.len().saturating_sub(ROLLOUTS_KEPT_MAX);
            kept.drain(..surplus);
        }
        for entry in &commit.entries {
            metrics::decided(entry);
            if entry.state.is_some_and(State::wants_attention) && entry.action == Action::Hold {
                warn!(
                    service = entry.service.as_ref().map(tracing::field::display),
                    "a rollout is held, please look: {}", entry.reason
                );
            }
            info!(
                service = entry.service.as_ref().map(tracing::field::display),
                action = entry.action.label(),
                actor = %entry.actor,
                who = entry.who.as_ref().map(tracing::field::display),
                generation = entry.generation.0,
                split = entry.left().map(tracing::field::display),
                rollout = entry.state.as_ref().map(tracing::field::display),
                reason = %entry.reason,
                "decided"
            );
        }
        self.journal.extend(commit.entries.iter().cloned());
    }

    /// Tries again to store what could not be stored, if it is time.
    pub(super) fn retry(&mut self, now_ms: u64) {
        if now_ms >= self.retry_due_ms {
            self.retry_due_ms = now_ms.saturating_add(RETRY_MS);
            // A failure is logged and counted where it happens, and the next second tries again.
            let _ = self.settle();
        }
    }

    /// Brings the store to the present state: what could not be stored is, and what a write left that failed
    /// is taken back.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        let mut commit = match self.unsaved.take() {
            Some(commit) => commit,
            None if self.failing => {
                Commit::of_evidence(self.stored, self.state.next_rollout, BTreeMap::new())
            }
            None => return Ok(()),
        };
        let decides = commit.generation > self.stored || !commit.entries.is_empty();
        if self.failing {
            commit = commit.restoring(&self.state, self.evidence(), &self.facts);
            self.settle_windows(&mut commit);
            for (rollout, chunks) in self.unstored() {
                commit.history.entry(rollout).or_default().extend(chunks);
            }
        }
        self.write(&commit).inspect_err(|_| self.unsaved = Some(commit).filter(|_| decides))
    }

    /// The evidence of all rollouts in progress, to be stored.
    pub(super) fn evidence(&self) -> BTreeMap<ServiceName, Option<Checkpoint>> {
        let kept = self.watches.iter();
        kept.map(|(name, watch)| (name.clone(), Some(watch.checkpoint().clone()))).collect()
    }

    /// Writes with the evidence of which windows it is.
    pub(super) fn settle_windows(&self, commit: &mut Commit) {
        // It is maps of names and numbers, which JSON has.
        if let Ok(seen) = serde_json::to_value(&self.settled) {
            commit.facts.insert(settled::FACT.into(), Some(seen));
        }
    }

    /// Windows of all rollouts in progress that are not stored yet.
    pub(super) fn unstored(&self) -> BTreeMap<u64, Vec<Chunk>> {
        let watches = self.watches.values().map(|watch| (watch.rollout(), watch.unstored()));
        watches.filter(|(_, chunks)| !chunks.is_empty()).collect()
    }

    /// Writes a commit. The first failure of a row is logged, and the first success after it.
    pub(super) fn write(&mut self, commit: &Commit) -> Result<(), StoreError> {
        match self.store.write(commit) {
            Ok(Written { rest_ms }) => {
                self.rest_ms = rest_ms;
                self.stored = commit.generation;
                store::apply(&mut self.facts, &commit.facts);
                if let Some(seat) = self.seat.as_ref().filter(|_| commit.facts.contains_key(settled::FACT)) {
                    seat.mark(self.settled.marks());
                }
                for watch in self.watches.values_mut() {
                    if let Some(chunks) = commit.history.get(&watch.rollout()) {
                        watch.stored(chunks);
                    }
                }
                if std::mem::take(&mut self.failing) {
                    info!(generation = commit.generation.0, "the store can be written again");
                }
                Ok(())
            }
            Err(failure) => {
                metrics::store_failed();
                if !std::mem::replace(&mut self.failing, true) {
                    error!(
                        generation = commit.generation.0,
                        "{failure}; no weight is raised before it can be written"
                    );
                }
                Err(failure)
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a second")]
const RETRY_MS: u64 = STORE_RETRY.as_millis() as u64;
