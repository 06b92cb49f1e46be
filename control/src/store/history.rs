//! The table of rollouts' windows: chunks by rollout and number, within their bounds.
//!
//! Rollouts are numbered in the order in which they began, over all services, so the first key is that of the oldest, and what has
//! to go first is found without a search. The sum of all sizes is kept beside the table and moves with each
//! chunk, in the same transaction.

use std::collections::BTreeMap;

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    TableError, WriteTransaction,
};
use serin_config::limits::{HISTORY_BYTES_MAX, HISTORY_TOTAL_BYTES_MAX};

use super::Commit;

const HISTORY: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("history");
const SIZE: TableDefinition<'_, (), u64> = TableDefinition::new("history_size");

type Chunks<'a> = Table<'a, (u64, u32), &'static [u8]>;
type StoredChunks = ReadOnlyTable<(u64, u32), &'static [u8]>;

/// Adds the chunks of a commit, and removes what is too much.
pub(super) fn write(write: &WriteTransaction, commit: &Commit) -> Result<(), redb::Error> {
    if commit.history.is_empty() && commit.restores_from.is_none() {
        return Ok(());
    }
    let mut chunks = write.open_table(HISTORY)?;
    let mut size = write.open_table(SIZE)?;
    let mut total = size.get(())?.map_or(0, |size| size.value());
    if commit.restores_from.is_some() {
        // Of a rollout whose start was taken back.
        let left: Vec<u32> =
            numbers(&chunks, commit.next_rollout)?.into_iter().map(|(number, _)| number).collect();
        for number in left {
            total = total.saturating_sub(take(&mut chunks, (commit.next_rollout, number))?);
        }
    }
    for (rollout, added) in &commit.history {
        for chunk in added {
            let before = chunks.insert((*rollout, chunk.number), chunk.bytes.as_slice())?;
            let before = before.map_or(0, |before| before.value().len() as u64);
            total = total.saturating_sub(before).saturating_add(chunk.bytes.len() as u64);
        }
        let kept = numbers(&chunks, *rollout)?;
        let mut of_rollout: u64 = kept.iter().map(|(_, bytes)| bytes).sum();
        for (number, bytes) in kept.iter().take(kept.len().saturating_sub(1)) {
            if of_rollout <= HISTORY_BYTES_MAX {
                break;
            }
            chunks.remove((*rollout, *number))?;
            of_rollout -= bytes;
            total = total.saturating_sub(*bytes);
        }
    }
    while total > HISTORY_TOTAL_BYTES_MAX {
        let Some((_, oldest)) =
            chunks.pop_first()?.map(|(key, bytes)| (key.value(), bytes.value().len() as u64))
        else {
            break;
        };
        total = total.saturating_sub(oldest);
    }
    size.insert((), total)?;
    Ok(())
}

/// Removes all windows of these rollouts.
pub(super) fn remove(write: &WriteTransaction, rollouts: &[u64]) -> Result<(), redb::Error> {
    if rollouts.is_empty() {
        return Ok(());
    }
    let mut chunks = write.open_table(HISTORY)?;
    let mut size = write.open_table(SIZE)?;
    let mut total = size.get(())?.map_or(0, |size| size.value());
    for rollout in rollouts {
        for (number, _) in numbers(&chunks, *rollout)? {
            total = total.saturating_sub(take(&mut chunks, (*rollout, number))?);
        }
    }
    size.insert((), total)?;
    Ok(())
}

/// All chunks of a rollout, in order.
pub(super) fn read(database: &Database, rollout: u64) -> Result<Vec<Vec<u8>>, redb::Error> {
    let read = database.begin_read()?;
    let Some(chunks) = table(&read)? else { return Ok(Vec::new()) };
    let rows = chunks.range((rollout, 0)..=(rollout, u32::MAX))?;
    Ok(rows.map(|row| row.map(|(_, bytes)| bytes.value().to_vec())).collect::<Result<_, _>>()?)
}

/// For each rollout, the number after its last chunk.
pub(super) fn next_chunks(read: &ReadTransaction) -> Result<BTreeMap<u64, u32>, redb::Error> {
    let mut next = BTreeMap::new();
    let Some(chunks) = table(read)? else { return Ok(next) };
    for row in chunks.iter()? {
        let (rollout, number) = row?.0.value();
        next.insert(rollout, number.saturating_add(1));
    }
    Ok(next)
}

/// The table; none in a store of an older release.
fn table(read: &ReadTransaction) -> Result<Option<StoredChunks>, redb::Error> {
    match read.open_table(HISTORY) {
        Ok(chunks) => Ok(Some(chunks)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The numbers of a rollout's chunks, and their sizes.
fn numbers(chunks: &Chunks<'_>, rollout: u64) -> Result<Vec<(u32, u64)>, redb::Error> {
    let rows = chunks.range((rollout, 0)..=(rollout, u32::MAX))?;
    Ok(rows
        .map(|row| row.map(|(key, bytes)| (key.value().1, bytes.value().len() as u64)))
        .collect::<Result<_, _>>()?)
}

/// Removes a chunk; gives its size.
fn take(chunks: &mut Chunks<'_>, key: (u64, u32)) -> Result<u64, redb::Error> {
    Ok(chunks.remove(key)?.map_or(0, |bytes| bytes.value().len() as u64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serin_config::{Generation, limits::HISTORY_CHUNK_BYTES};

    use super::{
        super::{Commit, Engine as _, fault::Disk},
        *,
    };
    use crate::history::Chunk;

    fn commit(rollout: u64, number: u32, bytes: usize) -> Commit {
        let chunk = Chunk { number, bytes: vec![7; bytes] };
        let history = BTreeMap::from([(rollout, vec![chunk])]);
        Commit { history, ..Commit::of_evidence(Generation::NONE, 99, BTreeMap::new()) }
    }

    #[test]
    fn a_rollout_keeps_its_newest_windows_and_all_together_are_bounded() {
        let disk = Disk::default();
        let mut store = disk.store();
        let most = u32::try_from(HISTORY_BYTES_MAX).unwrap() / u32::try_from(HISTORY_CHUNK_BYTES).unwrap();
        let commits: Vec<Chunk> =
            (0..most + 5).map(|number| Chunk { number, bytes: vec![1; HISTORY_CHUNK_BYTES] }).collect();
        let rollouts = u64::from(u32::try_from(HISTORY_TOTAL_BYTES_MAX / HISTORY_BYTES_MAX).unwrap()) + 2;
        for rollout in 1..=rollouts {
            let mut commit = commit(rollout, 0, 1);
            commit.history.insert(rollout, commits.clone());
            store.write(&commit).unwrap();
        }
        let last = store.history(rollouts).unwrap();
        assert_eq!(last.len() as u64 * HISTORY_CHUNK_BYTES as u64, HISTORY_BYTES_MAX);
        assert!(store.history(1).unwrap().is_empty(), "the oldest rollout went first");
        let loaded = store.load().unwrap();
        assert_eq!(loaded.chunks[&rollouts], most + 5, "numbers go on though the first are gone");
        let all: usize = (1..=rollouts).map(|rollout| store.history(rollout).unwrap().len()).sum();
        assert!(all * HISTORY_CHUNK_BYTES <= usize::try_from(HISTORY_TOTAL_BYTES_MAX).unwrap());
    }

    #[test]
    fn a_chunk_that_grew_takes_the_place_of_what_it_was() {
        let mut store = Disk::default().store();
        store.write(&commit(3, 0, 10)).unwrap();
        store.write(&commit(3, 0, 30)).unwrap();
        store.write(&commit(3, 1, 5)).unwrap();
        let lengths: Vec<usize> = store.history(3).unwrap().iter().map(Vec::len).collect();
        assert_eq!(lengths, [30, 5]);
        assert!(store.history(4).unwrap().is_empty());
    }
}
