//! What survives a kill: every decision, whole, in one transaction.
//!
//! A [`Commit`] names the generation that it replaces. If the store holds another one the commit is refused,
//! whoever writes it: so two writers can't both succeed, and a writer that was away can't go back. There
//! are two engines behind one trait: the embedded store, one redb file, and etcd where several control planes
//! share what was decided. What they hold is small, and all of it is read at start-up.
//!
//! A write that failed may have reached the disk all the same: a flush can report an error for bytes that are
//! found again later. So what was reported as not written is taken back, by a commit that says everything
//! ([`Commit::restoring`]), before anything else is written.

mod archive;
#[cfg(test)]
mod contract;
mod embedded;
mod engine;
mod error;
pub(crate) mod etcd;
#[cfg(test)]
pub(crate) mod fault;
mod history;
mod scribe;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use serin_config::{Generation, ServiceName};

pub use archive::{Archive, ReadError};
pub use embedded::Store;
pub use engine::{Engine, Written};
pub use error::{OpenError, StoreError, StoreName};
pub(crate) use scribe::Scribe;

use crate::{
    history::Chunk,
    journal::Entry,
    planner::Stored,
    rollout::Rollout,
    state::{Record, State},
    watch::Checkpoint,
};

/// Whatever else is to be kept, by a name such as `token/ID` or `freeze/ID`. Each part of the control plane keeps
/// its own as typed values, and makes facts of them where it commits; the store does not look into them. So a part
/// that has something new to keep needs no table of its own, and what it keeps is written with the decision that it
/// belongs to, in one transaction.
pub type Facts = BTreeMap<String, Value>;

/// Facts that change: none to remove one.
pub type FactChanges = BTreeMap<String, Option<Value>>;

/// Everything that one decision changes; written whole or not at all.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The generation that must be stored for this to be written.
    pub expected: Generation,
    /// The generation that is stored afterwards; the same where only evidence is kept.
    pub generation: Generation,
    /// The number of the next rollout.
    pub next_rollout: u64,
    /// Records to write; none to remove one.
    pub records: BTreeMap<ServiceName, Option<Arc<Record>>>,
    /// Evidence to write; none to remove it.
    pub evidence: BTreeMap<ServiceName, Option<Checkpoint>>,
    /// Windows to add to what is kept of rollouts, by the rollout's number.
    pub history: BTreeMap<u64, Vec<Chunk>>,
    /// Rollouts that ended.
    pub ended: Vec<Arc<Rollout>>,
    /// Journal entries to add.
    pub entries: Vec<Entry>,
    /// Facts to write; none to remove one.
    pub facts: FactChanges,
    /// Set after a write that failed: `records`, `evidence` and `facts` are all that there is, and journal entries
    /// from this sequence on are only those in `entries`. Whatever else the failed write left is removed.
    pub restores_from: Option<u64>,
}

impl Commit {
    /// A commit that changes nothing but evidence.
    pub fn of_evidence(
        generation: Generation,
        next_rollout: u64,
        evidence: BTreeMap<ServiceName, Option<Checkpoint>>,
    ) -> Self {
        Self {
            expected: generation,
            generation,
            next_rollout,
            records: BTreeMap::new(),
            evidence,
            history: BTreeMap::new(),
            ended: Vec::new(),
            entries: Vec::new(),
            facts: FactChanges::new(),
            restores_from: None,
        }
    }

    /// The same decision, with everything that it does not change: to be written after a write that failed.
    /// `facts` are those before the decision.
    pub fn restoring(
        self,
        state: &State,
        evidence: BTreeMap<ServiceName, Option<Checkpoint>>,
        facts: &Facts,
    ) -> Self {
        let records = state.services.iter().map(|(name, record)| (name.clone(), Some(record.clone())));
        let before = facts.iter().map(|(name, fact)| (name.clone(), Some(fact.clone())));
        let last = state.services.values().filter_map(|record| record.rollout.as_ref());
        // What became of an ended one may have been written, though it was taken back: it is written as it is.
        let last = last.filter(|rollout| !rollout.state.is_live()).cloned().map(Arc::new);
        Self {
            ended: self.ended.iter().cloned().chain(last).collect(),
            records: records.collect(),
            evidence,
            facts: before.chain(self.facts).collect(),
            restores_from: Some(self.entries.first().map_or(state.next_entry, |entry| entry.sequence)),
            ..self
        }
    }

    /// Makes one commit of two that follow each other.
    pub fn then(mut self, later: Self) -> Self {
        self.generation = later.generation;
        self.next_rollout = later.next_rollout;
        self.records.extend(later.records);
        self.evidence.extend(later.evidence);
        for (rollout, chunks) in later.history {
            self.history.entry(rollout).or_default().extend(chunks);
        }
        self.ended.extend(later.ended);
        self.entries.extend(later.entries);
        self.facts.extend(later.facts);
        self
    }
}

/// Takes changes over into what there is.
pub(crate) fn apply(facts: &mut Facts, changes: &FactChanges) {
    for (name, change) in changes {
        match change {
            Some(fact) => drop(facts.insert(name.clone(), fact.clone())),
            None => drop(facts.remove(name)),
        }
    }
}

/// Everything that a store holds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What was decided.
    pub stored: Stored,
    /// Evidence of rollouts in progress.
    pub evidence: BTreeMap<ServiceName, Checkpoint>,
    /// The number of the next chunk of each rollout whose windows are kept.
    pub chunks: BTreeMap<u64, u32>,
    /// Ended rollouts of each service, the oldest first.
    pub ended: BTreeMap<ServiceName, Vec<Arc<Rollout>>>,
    /// The journal, the oldest entry first.
    pub entries: Vec<Entry>,
    /// Whatever else is kept.
    pub facts: Facts,
}

#[cfg(test)]
mod tests;
