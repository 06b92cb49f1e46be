//! What is kept, as it is read from etcd: key by key, first all of them and then each change.
//!
//! A leader that begins reads it once; a follower keeps it up to date by what etcd tells of changes, and answers
//! reads from it. A large commit holds from the moment in which the generation says so, before all of its values are
//! in their places: so its changes are taken from the commit itself then.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use prost::Message;
use serde::de::DeserializeOwned;
use serin_config::{Generation, ServiceName};

use super::{
    commit::Sizes,
    layout::{Change, Changes, DATA, LARGE, META, Meta, Pieces, SCHEMA, SIZES, piece, whole},
};
use crate::{
    journal::Entry,
    planner::Stored,
    rollout::Rollout,
    state::Record,
    store::{Facts, Loaded},
    watch::Checkpoint,
};

/// Everything but the windows.
#[derive(Debug, Default)]
pub(crate) struct Image {
    /// By the names of pieces.
    pieces: BTreeMap<String, Vec<u8>>,
    meta: Option<Meta>,
    /// The large commit whose changes were taken already.
    taken: Option<String>,
    records: BTreeMap<ServiceName, Arc<Record>>,
    evidence: BTreeMap<ServiceName, Checkpoint>,
    ended: BTreeMap<(ServiceName, u64), Arc<Rollout>>,
    entries: BTreeMap<u64, Arc<Entry>>,
    facts: Facts,
    /// How often they changed.
    fact_changes: u64,
    sizes: Sizes,
}

/// What can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it was written by a newer serin (schema {0}, this one knows {SCHEMA}): run that version")]
    Newer(u64),
    #[error(
        "\"{name}\" is not what serin writes there ({why}): restore it from a snapshot, or set another prefix"
    )]
    Damaged { name: String, why: String },
}

impl Image {
    /// Takes changes of pieces. After an error the image is of no use: read it anew.
    pub(crate) fn take(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<(), Unreadable> {
        let mut touched = BTreeSet::new();
        self.put(changes, &mut touched);
        if touched.contains(META) {
            self.meta = self.read(META)?;
            if let Some(found) = self.meta.as_ref().map(|meta| meta.schema).filter(|found| *found > SCHEMA) {
                return Err(Unreadable::Newer(found));
            }
        }
        let large =
            self.meta.as_ref().and_then(|meta| meta.large.map(|pieces| (meta.commit.clone(), pieces)));
        if let Some((commit, pieces)) = large.filter(|(commit, _)| self.taken.as_ref() != Some(commit)) {
            let changes = self.large(&commit, pieces)?;
            self.put(changes, &mut touched);
            self.taken = Some(commit);
        }
        for name in touched {
            self.decode(&name)?;
        }
        Ok(())
    }

    fn put(&mut self, changes: impl IntoIterator<Item = Change>, touched: &mut BTreeSet<String>) {
        for Change { name, value } in changes {
            if let Some((whole, _)) = whole(&name).filter(|(whole, _)| whole.starts_with(DATA)) {
                touched.insert(whole.to_owned());
            }
            match value {
                Some(value) => drop(self.pieces.insert(name, value)),
                None => drop(self.pieces.remove(&name)),
            }
        }
    }

    /// The changes of a large commit.
    fn large(&self, commit: &str, pieces: usize) -> Result<Vec<Change>, Unreadable> {
        let name = format!("{LARGE}{commit}");
        let damaged = |why: String| Unreadable::Damaged { name: name.clone(), why };
        let mut bytes = Vec::new();
        for number in 0..pieces {
            let piece = self.pieces.get(&piece(&name, number));
            bytes.extend_from_slice(piece.ok_or_else(|| damaged(format!("piece {number} is missing")))?);
        }
        let changes = Changes::decode(bytes.as_slice()).map_err(|error| damaged(error.to_string()))?;
        // Windows are not part of the image.
        Ok(changes.changes.into_iter().filter(|change| change.name.starts_with(DATA)).collect())
    }

    /// Brings what is read in line with the pieces.
    fn decode(&mut self, name: &str) -> Result<(), Unreadable> {
        let mut parts = name.split('/').skip(1);
        let damaged = |why: &str| Unreadable::Damaged { name: name.to_owned(), why: why.to_owned() };
        let service = |part: Option<&str>| {
            ServiceName::try_new(part.unwrap_or_default()).map_err(|error| damaged(&error.to_string()))
        };
        let number = |part: Option<&str>| {
            u64::from_str_radix(part.unwrap_or_default(), 16).map_err(|error| damaged(&error.to_string()))
        };
        match parts.next().unwrap_or_default() {
            "record" => keep(&mut self.records, service(parts.next())?, read(&self.pieces, name)?),
            "evidence" => {
                // Evidence that an older release wrote in another form is begun anew.
                let value = read(&self.pieces, name).unwrap_or_default();
                keep(&mut self.evidence, service(parts.next())?, value);
            }
            "ended" => {
                let key = (service(parts.next())?, number(parts.next())?);
                keep(&mut self.ended, key, read(&self.pieces, name)?);
            }
            "journal" => keep(&mut self.entries, number(parts.next())?, read(&self.pieces, name)?),
            "fact" => {
                let fact = name.strip_prefix("data/fact/").unwrap_or_default().to_owned();
                keep(&mut self.facts, fact, read(&self.pieces, name)?);
                self.fact_changes += 1;
            }
            "sizes" => {
                let listed: Vec<(u64, u32, u64)> = read(&self.pieces, SIZES)?.unwrap_or_default();
                let sizes = listed.into_iter().map(|(rollout, number, bytes)| ((rollout, number), bytes));
                self.sizes = sizes.collect();
            }
            // What a newer release keeps beside it is none of our business.
            _ => {}
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Unreadable> {
        read(&self.pieces, name)
    }

    /// Whether something of a large commit lies about.
    #[cfg(test)]
    pub(crate) fn has_large(&self) -> bool {
        self.pieces.keys().any(|name| name.starts_with(LARGE))
    }

    /// What was decided.
    pub(crate) fn stored(&self) -> Stored {
        Stored {
            generation: self.meta.as_ref().map_or(Generation::NONE, |meta| meta.generation),
            services: self.records.clone(),
            next_entry: self.entries.last_key_value().map_or(1, |(sequence, _)| sequence + 1),
            next_rollout: self.meta.as_ref().map_or(1, |meta| meta.next_rollout),
            ..Stored::default()
        }
    }

    /// Whatever else is kept, and how often that has changed since the image was begun.
    pub(crate) fn facts(&self) -> (&Facts, u64) {
        (&self.facts, self.fact_changes)
    }

    /// The evidence of rollouts in progress.
    pub(crate) fn evidence(&self) -> &BTreeMap<ServiceName, Checkpoint> {
        &self.evidence
    }

    /// Ended rollouts of each service, the oldest first.
    pub(crate) fn ended(&self) -> BTreeMap<ServiceName, Vec<Arc<Rollout>>> {
        let mut ended: BTreeMap<ServiceName, Vec<Arc<Rollout>>> = BTreeMap::new();
        for ((service, _), rollout) in &self.ended {
            ended.entry(service.clone()).or_default().push(rollout.clone());
        }
        ended
    }

    /// The decisions after this one, the oldest first.
    pub(crate) fn entries_after(&self, sequence: u64) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.range(sequence.saturating_add(1)..).map(|(_, entry)| entry)
    }

    /// The plan that was in force before this one, by the decisions that are kept: each plan was made by one.
    pub(crate) fn generation_before(&self, generation: Generation) -> Generation {
        let mut older = self.entries.values().rev().map(|entry| entry.generation);
        older.find(|older| *older < generation).unwrap_or(Generation::NONE)
    }

    /// The newest decision.
    pub(crate) fn newest_entry(&self) -> Option<&Arc<Entry>> {
        self.entries.last_key_value().map(|(_, entry)| entry)
    }

    /// Everything.
    pub(crate) fn loaded(&self) -> Loaded {
        let mut chunks = BTreeMap::new();
        for (rollout, number) in self.sizes.keys() {
            chunks.insert(*rollout, number.saturating_add(1));
        }
        Loaded {
            stored: self.stored(),
            evidence: self.evidence.clone(),
            chunks,
            ended: self.ended(),
            entries: self.entries.values().map(|entry| entry.as_ref().clone()).collect(),
            facts: self.facts.clone(),
        }
    }
}

/// How many pieces there are of each value, by the names of all pieces; those of windows follow from their sizes.
pub(crate) fn inventory<'a>(pieces: impl Iterator<Item = &'a str>, sizes: Sizes) -> (Pieces, Sizes) {
    let mut there = Pieces::new();
    for (name, number) in pieces.filter_map(whole).filter(|(name, _)| name.starts_with(DATA) && *name != META)
    {
        let count = there.entry(name.to_owned()).or_default();
        *count = number.saturating_add(1).max(*count);
    }
    for ((rollout, number), bytes) in &sizes {
        let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX);
        let pieces = bytes.div_ceil(serin_config::limits::ETCD_PIECE_BYTES_MAX).max(1);
        there.insert(super::commit::chunk(*rollout, *number), pieces);
    }
    (there, sizes)
}

fn keep<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

/// Puts a value together and reads it; none if it is not there.
pub(crate) fn read<T: DeserializeOwned>(
    pieces: &BTreeMap<String, Vec<u8>>,
    name: &str,
) -> Result<Option<T>, Unreadable> {
    let mut bytes = Vec::new();
    let mut found = false;
    for number in 0.. {
        let Some(piece) = pieces.get(&piece(name, number)) else { break };
        bytes.extend_from_slice(piece);
        found = true;
    }
    if !found {
        return Ok(None);
    }
    let damaged =
        |error: serde_json::Error| Unreadable::Damaged { name: name.to_owned(), why: error.to_string() };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}
