//! Who asked for what: every request for a change, done or refused.
//!
//! The journal says what was decided, by whomever; this says what was asked for, by people and programs, and what
//! became of it. What was done is written in the transaction that made it true. What was refused follows within a
//! second: nothing hangs on it, and nobody who is refused may make the store slow. So nobody can wash the log out
//! either, refusals of the same kind are summed up: the first is an entry, those of the next minute are one more,
//! with their number.
//!
//! Entries are never changed, and only the oldest beyond [`AUDIT_ENTRIES_MAX`] are removed. They are kept in facts
//! of [`PAGE`] entries each, `audit/N`: one fact for each would be many, and one for all would be written anew with
//! each entry.

mod entry;
mod sums;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, PoisonError, RwLock},
};

use serin_config::limits::AUDIT_ENTRIES_MAX;

pub(crate) use entry::Refused;
pub use entry::{AuditEntry, Fate, Note};
pub(crate) use sums::Sums;

use crate::store::{FactChanges, Facts};

/// Entries in one fact.
const PAGE: u64 = 64;
const PREFIX: &str = "audit/";

/// The newest entries, to be read; all clones are one log.
#[derive(Debug, Clone, Default)]
pub struct Audit(Arc<RwLock<VecDeque<Arc<AuditEntry>>>>);

impl Audit {
    /// The newest `limit` of the entries that are wanted, newest first.
    pub fn newest(&self, wanted: impl Fn(&AuditEntry) -> bool, limit: usize) -> Vec<Arc<AuditEntry>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().filter(|entry| wanted(entry)).take(limit).cloned().collect()
    }

    /// All entries that are kept, the oldest first.
    pub fn all(&self) -> Vec<Arc<AuditEntry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Forgets what there is, and reads the facts of a store. An entry that can't be read is passed over. Gives the
    /// sequence of the newest; 0 while there is none.
    pub(crate) fn read(&self, facts: &Facts) -> u64 {
        let pages = facts.range(PREFIX.to_owned()..).take_while(|(name, _)| name.starts_with(PREFIX));
        let mut entries: Vec<Arc<AuditEntry>> = pages
            .flat_map(|(_, fact)| fact.as_array().cloned().unwrap_or_default())
            .filter_map(|entry| serde_json::from_value(entry).ok())
            .map(Arc::new)
            .collect();
        entries.sort_by_key(|entry| entry.sequence);
        let newest = entries.last().map_or(0, |entry| entry.sequence);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = entries.into();
        newest
    }

    fn push(&self, entry: Arc<AuditEntry>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push_back(entry);
    }

    /// Removes the oldest whole pages beyond the bound, and gives their numbers.
    fn cut(&self) -> Vec<u64> {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut gone = Vec::new();
        while kept.len() as u64 > AUDIT_ENTRIES_MAX {
            let Some(page) = kept.front().map(|entry| entry.sequence / PAGE) else { break };
            while kept.front().is_some_and(|entry| entry.sequence / PAGE == page) {
                kept.pop_front();
            }
            gone.push(page);
        }
        gone
    }

    fn page(&self, page: u64) -> Vec<Arc<AuditEntry>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .rev()
            .skip_while(|entry| entry.sequence / PAGE > page)
            .take_while(|entry| entry.sequence / PAGE == page)
            .cloned()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect()
    }
}

/// The log as the keeper writes it.
#[derive(Debug, Default)]
pub(crate) struct AuditLog {
    kept: Audit,
    next: u64,
    /// From which entry on the store may have none.
    stored_to: u64,
    sums: Sums,
    /// Pages that the store does not have as they are now.
    unwritten: BTreeSet<u64>,
    /// Pages that it still has and that are to go.
    gone: BTreeSet<u64>,
}

impl AuditLog {
    /// The log as the facts of a store have it; it is read through `kept`.
    pub(crate) fn from_facts(facts: &Facts, kept: Audit) -> Self {
        let next = kept.read(facts) + 1;
        Self { kept, next, stored_to: next, ..Self::default() }
    }

    /// The way to read it.
    pub(crate) fn reader(&self) -> Audit {
        self.kept.clone()
    }

    /// What belongs into the transaction that does what is asked for: everything that the store does not have yet,
    /// and this as the next entry. It becomes one by [`Self::done`], if the transaction succeeds.
    pub(crate) fn about_to(&self, note: Note, at_ms: u64) -> (Arc<AuditEntry>, FactChanges) {
        let entry = Arc::new(AuditEntry::new(self.next, at_ms, 1, note));
        let mut changes = self.changes();
        let mut page = self.kept.page(self.next / PAGE);
        page.push(entry.clone());
        changes.insert(fact_name(self.next / PAGE), serde_json::to_value(page).ok());
        (entry, changes)
    }

    /// The transaction has succeeded, or will be tried until it does.
    pub(crate) fn done(&mut self, entry: Arc<AuditEntry>) {
        self.written();
        self.push(entry);
    }

    /// Adds what was asked for and refused, here or where another control plane tells of it, or sums it up.
    pub(crate) fn refused(&mut self, refused: Refused, now_ms: u64) {
        let Refused { note, times, at_ms } = refused;
        if let Some(note) = self.sums.take(note, times, now_ms) {
            self.add(note, times, at_ms);
        }
    }

    /// Makes entries of sums whose time is over; of all of them where `all` says so.
    pub(crate) fn tick(&mut self, now_ms: u64, all: bool) {
        for (note, times) in self.sums.due(now_ms, all) {
            self.add(note, times, now_ms);
        }
    }

    /// What the store does not have yet.
    pub(crate) fn changes(&self) -> FactChanges {
        let gone = self.gone.iter().map(|page| (fact_name(*page), None));
        let changed = self
            .unwritten
            .iter()
            .map(|page| (fact_name(*page), serde_json::to_value(self.kept.page(*page)).ok()));
        gone.chain(changed).collect()
    }

    /// Refusals that the store does not have, for whoever can still tell of them.
    pub(crate) fn unstored(&self) -> Vec<Refused> {
        let kept = self.kept.0.read().unwrap_or_else(PoisonError::into_inner);
        let newest = kept.iter().rev().take_while(|entry| entry.sequence >= self.stored_to);
        let mut refused: Vec<Refused> = newest.filter_map(|entry| entry.refused()).collect();
        refused.reverse();
        refused
    }

    /// The store has, or will be given, all that [`Self::changes`] said.
    pub(crate) fn written(&mut self) {
        self.stored_to = self.next;
        self.unwritten.clear();
        self.gone.clear();
    }

    fn add(&mut self, note: Note, times: u64, at_ms: u64) {
        self.unwritten.insert(self.next / PAGE);
        self.push(Arc::new(AuditEntry::new(self.next, at_ms, times, note)));
    }

    fn push(&mut self, entry: Arc<AuditEntry>) {
        self.next = entry.sequence + 1;
        self.kept.push(entry);
        for page in self.kept.cut() {
            self.unwritten.remove(&page);
            self.gone.insert(page);
        }
    }
}

/// Twenty digits, so that the names sort as the numbers do.
fn fact_name(page: u64) -> String {
    format!("{PREFIX}{page:020}")
}

#[cfg(test)]
mod tests;
