//! What a commit changes in etcd, by name. Pure: what is there comes in, changes come out.
//!
//! The rules are those of the embedded store: records of services that are gone take their ended rollouts and
//! windows along, journal, ended rollouts and windows keep their bounds, and a commit that restores leaves nothing
//! of what it does not say.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serin_config::limits::{
    HISTORY_BYTES_MAX, HISTORY_TOTAL_BYTES_MAX, JOURNAL_ENTRIES_MAX, ROLLOUTS_KEPT_MAX,
};

use super::layout::{Change, Pieces, SIZES};
use crate::store::Commit;

/// The chunks of windows that are kept: rollout and number, with their bytes.
pub(crate) type Sizes = BTreeMap<(u64, u32), u64>;

pub(crate) fn record(service: &str) -> String {
    format!("data/record/{service}")
}

pub(crate) fn evidence(service: &str) -> String {
    format!("data/evidence/{service}")
}

pub(crate) fn ended(service: &str, rollout: u64) -> String {
    format!("data/ended/{service}/{rollout:016x}")
}

pub(crate) fn entry(sequence: u64) -> String {
    format!("data/journal/{sequence:016x}")
}

pub(crate) fn fact(name: &str) -> String {
    format!("data/fact/{name}")
}

pub(crate) fn chunk(rollout: u64, number: u32) -> String {
    format!("windows/{rollout:016x}/{number:08x}")
}

/// Collects changes; the last word on a name holds.
struct Draft<'a> {
    there: &'a Pieces,
    changes: BTreeMap<String, Option<Vec<u8>>>,
}

impl Draft<'_> {
    fn put<T: Serialize>(&mut self, name: String, value: &T) -> Result<(), serde_json::Error> {
        self.changes.insert(name, Some(serde_json::to_vec(value)?));
        Ok(())
    }

    fn remove(&mut self, name: String) {
        self.changes.insert(name, None);
    }

    /// The names there will be that begin so, in order.
    fn names(&self, begin: &str) -> Vec<String> {
        let begins = |name: &&String| name.starts_with(begin);
        let old = self.there.range(begin.to_owned()..).map(|(name, _)| name).take_while(begins);
        let new = self.changes.range(begin.to_owned()..).map(|(name, _)| name).take_while(begins);
        let all: BTreeSet<&String> = old.chain(new).collect();
        let stays = |name: &&String| self.changes.get(*name).is_none_or(Option::is_some);
        all.into_iter().filter(stays).cloned().collect()
    }

    fn remove_all(&mut self, begin: &str) {
        for name in self.names(begin) {
            self.remove(name);
        }
    }
}

/// What the commit changes where these values are, and these chunks of windows, which are kept up to date.
pub(crate) fn changes(
    commit: &Commit,
    there: &Pieces,
    sizes: &mut Sizes,
) -> Result<Vec<Change>, serde_json::Error> {
    let mut draft = Draft { there, changes: BTreeMap::new() };
    if commit.restores_from.is_some() {
        for begin in ["data/record/", "data/evidence/", "data/fact/"] {
            draft.remove_all(begin);
        }
    }
    for (service, given) in &commit.records {
        match given {
            Some(given) => draft.put(record(service.as_str()), given.as_ref())?,
            None => draft.remove(record(service.as_str())),
        }
    }
    for (service, given) in &commit.evidence {
        match given {
            Some(given) => draft.put(evidence(service.as_str()), given)?,
            None => draft.remove(evidence(service.as_str())),
        }
    }
    for (name, given) in &commit.facts {
        match given {
            Some(given) => draft.put(fact(name), given)?,
            None => draft.remove(fact(name)),
        }
    }
    let gone = end(commit, &mut draft)?;
    keep_windows(commit, &gone, sizes, &mut draft)?;
    keep_journal(commit, &mut draft)?;
    let wanted = |(name, value): &(String, Option<Vec<u8>>)| value.is_some() || there.contains_key(name);
    Ok(draft.changes.into_iter().filter(wanted).map(|(name, value)| Change { name, value }).collect())
}

/// Ended rollouts; gives those that are no longer kept.
fn end(commit: &Commit, draft: &mut Draft<'_>) -> Result<Vec<u64>, serde_json::Error> {
    let mut gone = Vec::new();
    let id_of = |name: &String| name.rsplit('/').next().and_then(|id| u64::from_str_radix(id, 16).ok());
    for (service, _) in commit.records.iter().filter(|(_, record)| record.is_none()) {
        for name in draft.names(&format!("data/ended/{service}/")) {
            gone.extend(id_of(&name));
            draft.remove(name);
        }
    }
    if commit.restores_from.is_some() {
        for name in draft.names("data/ended/") {
            let service = name.split('/').nth(2).unwrap_or_default();
            let record = commit.records.get(service).and_then(Option::as_ref);
            let has_ended = |id: u64| {
                let live = record.map(|record| record.live().map(|rollout| rollout.id));
                id < commit.next_rollout && live.is_some_and(|live| live != Some(id))
            };
            if !id_of(&name).is_some_and(has_ended) {
                draft.remove(name);
            }
        }
    }
    for rollout in &commit.ended {
        draft.put(ended(rollout.service.as_str(), rollout.id), rollout.as_ref())?;
        let names = draft.names(&format!("data/ended/{}/", rollout.service));
        for name in names.iter().take(names.len().saturating_sub(ROLLOUTS_KEPT_MAX)) {
            gone.extend(id_of(name));
            draft.remove(name.clone());
        }
    }
    Ok(gone)
}

fn keep_windows(
    commit: &Commit,
    gone: &[u64],
    sizes: &mut Sizes,
    draft: &mut Draft<'_>,
) -> Result<(), serde_json::Error> {
    let before = sizes.clone();
    let mut gone: BTreeSet<u64> = gone.iter().copied().collect();
    if commit.restores_from.is_some() {
        // Of a rollout whose start was taken back.
        gone.insert(commit.next_rollout);
    }
    sizes.retain(|(rollout, _), _| !gone.contains(rollout));
    for (rollout, added) in commit.history.iter().filter(|(rollout, _)| !gone.contains(*rollout)) {
        for given in added {
            sizes.insert((*rollout, given.number), given.bytes.len() as u64);
        }
        let of_rollout = |sizes: &Sizes| -> Vec<(u32, u64)> {
            let range = sizes.range((*rollout, 0)..=(*rollout, u32::MAX));
            range.map(|((_, number), bytes)| (*number, *bytes)).collect()
        };
        let kept = of_rollout(sizes);
        let mut total: u64 = kept.iter().map(|(_, bytes)| bytes).sum();
        for (number, bytes) in kept.iter().take(kept.len().saturating_sub(1)) {
            if total <= HISTORY_BYTES_MAX {
                break;
            }
            sizes.remove(&(*rollout, *number));
            total -= bytes;
        }
    }
    let mut total: u64 = sizes.values().sum();
    while total > HISTORY_TOTAL_BYTES_MAX {
        let Some((_, oldest)) = sizes.pop_first() else { break };
        total -= oldest;
    }
    for (rollout, added) in &commit.history {
        for given in added.iter().filter(|given| sizes.contains_key(&(*rollout, given.number))) {
            draft.changes.insert(chunk(*rollout, given.number), Some(given.bytes.clone()));
        }
    }
    if *sizes != before {
        for (rollout, number) in before.keys().filter(|key| !sizes.contains_key(key)) {
            draft.remove(chunk(*rollout, *number));
        }
        let listed: Vec<(u64, u32, u64)> =
            sizes.iter().map(|((rollout, number), bytes)| (*rollout, *number, *bytes)).collect();
        draft.put(SIZES.to_owned(), &listed)?;
    }
    Ok(())
}

fn keep_journal(commit: &Commit, draft: &mut Draft<'_>) -> Result<(), serde_json::Error> {
    if let Some(first) = commit.restores_from {
        let from = entry(first);
        for name in draft.names("data/journal/").into_iter().filter(|name| *name >= from) {
            draft.remove(name);
        }
    }
    for given in &commit.entries {
        draft.put(entry(given.sequence), given)?;
    }
    if let Some(last) = commit.entries.last() {
        let kept_from = entry((last.sequence + 1).saturating_sub(JOURNAL_ENTRIES_MAX));
        let old: Vec<String> =
            draft.names("data/journal/").into_iter().take_while(|name| *name < kept_from).collect();
        for name in old {
            draft.remove(name);
        }
    }
    Ok(())
}
