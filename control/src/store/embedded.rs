//! The embedded store: one redb file.
//!
//! redb refuses everything after an I/O error, since what it holds in memory may not be what is on the disk.
//! So the handle is dropped then, and the next write opens the file again, which repairs it if need be. That
//! is what makes a full disk a passing trouble.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};
use serin_config::{
    Generation, ServiceName,
    limits::{JOURNAL_ENTRIES_MAX, ROLLOUTS_KEPT_MAX},
};

use super::{
    Commit, Loaded,
    engine::{Engine, Written},
    error::{OpenError, StoreError, StoreName, io_cause},
    history,
};
use crate::state::Record;

/// The layout of the tables below.
const SCHEMA: u64 = 1;
/// Pages that redb may keep in memory; the whole state is a few megabytes, and read once.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const EVIDENCE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("evidence");
const ENDED: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("ended");
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send>;

/// The embedded store.
pub struct Store {
    path: PathBuf,
    opener: Opener,
    database: Option<Database>,
    /// The newest generation of the writes that failed since the last success: it may be what is stored.
    doubt: Generation,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in this file, and makes it if it is new; its directory must be there.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if path.is_dir() {
            return Err(OpenError::Directory(path.into()));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
            return Err(OpenError::Missing { file: path.into(), directory: directory.into() });
        }
        let file = path.to_path_buf();
        let opener = Box::new(move || {
            // The audit log is in it, which is for those who may administrate.
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&file)?;
            Database::builder().set_cache_size(CACHE_BYTES).create(&file)
        });
        Self::with_opener(path.into(), opener)
    }

    /// A store over whatever the opener opens; the path is for messages.
    pub(super) fn with_opener(path: PathBuf, opener: Opener) -> Result<Self, OpenError> {
        let database = opener().map_err(|error| open_error(&path, &error.into()))?;
        let store = Self { path, opener, database: Some(database), doubt: Generation::NONE };
        store.check_schema()?;
        Ok(store)
    }

    fn opened(&mut self) -> Result<&Database, redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.opener)()?,
        };
        Ok(self.database.insert(database))
    }

    fn check_schema(&self) -> Result<(), OpenError> {
        let found = match &self.database {
            Some(database) => schema(database).map_err(|error| open_error(&self.path, &error))?,
            None => None,
        };
        match found {
            Some(found) if found > SCHEMA => {
                Err(OpenError::Newer { path: self.path.clone(), found, known: SCHEMA })
            }
            _ => Ok(()),
        }
    }

    fn store_error(&self, error: &redb::Error) -> StoreError {
        match io_cause(error).map(io::Error::kind) {
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                StoreError::Full(self.path.clone())
            }
            _ => StoreError::Io { path: self.path.clone(), why: error.to_string() },
        }
    }
}

impl Engine for Store {
    fn load(&mut self) -> Result<Loaded, OpenError> {
        let Some(database) = &self.database else { return Ok(Loaded::default()) };
        load(database).map_err(|error| open_error(&self.path, &error))
    }

    fn write(&mut self, commit: &Commit) -> Result<Written, StoreError> {
        let doubt = self.doubt;
        match self.opened().and_then(|database| write(database, commit, doubt)) {
            Ok(None) => {
                self.doubt = Generation::NONE;
                Ok(Written::default())
            }
            Ok(Some(found)) => Err(StoreError::Conflict { expected: commit.expected, found }),
            Err(error) => {
                self.database = None;
                self.doubt = self.doubt.max(commit.generation);
                Err(self.store_error(&error))
            }
        }
    }

    fn history(&mut self, rollout: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        history::read(database, rollout).map_err(|error| self.store_error(&error))
    }

    fn doubt(&mut self, generation: Generation) {
        self.doubt = self.doubt.max(generation);
    }

    fn name(&self) -> StoreName {
        StoreName::File(self.path.clone())
    }
}

fn open_error(path: &Path, error: &redb::Error) -> OpenError {
    let path = path.to_path_buf();
    match (error, io_cause(error).map(io::Error::kind)) {
        (redb::Error::DatabaseAlreadyOpen, _) => OpenError::Locked(path),
        (_, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)) => {
            OpenError::Denied(path)
        }
        (_, Some(io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof))
        | (
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted
            | redb::Error::TableTypeMismatch { .. },
            _,
        ) => OpenError::NotAStore { path, why: error.to_string() },
        _ => OpenError::Io { path, why: error.to_string() },
    }
}

fn schema(database: &Database) -> Result<Option<u64>, redb::Error> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get("schema")?.map(|value| value.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn load(database: &Database) -> Result<Loaded, redb::Error> {
    let mut loaded = Loaded::default();
    if schema(database)?.is_none() {
        return Ok(loaded);
    }
    let read = database.begin_read()?;
    let meta = read.open_table(META)?;
    let number = |key| meta.get(key).map(|value| value.map(|value| value.value()));
    loaded.stored.generation = Generation(number("generation")?.unwrap_or_default());
    loaded.stored.next_rollout = number("next_rollout")?.unwrap_or(1);
    for row in read.open_table(RECORDS)?.iter()? {
        let (name, record) = row?;
        loaded.stored.services.insert(service(name.value())?, Arc::new(from_json(record.value())?));
    }
    for row in read.open_table(EVIDENCE)?.iter()? {
        let (name, checkpoint) = row?;
        // Evidence that an older release wrote in another form is begun anew: a rollout goes on, judged more carefully.
        if let Ok(checkpoint) = from_json(checkpoint.value()) {
            loaded.evidence.insert(service(name.value())?, checkpoint);
        }
    }
    for row in read.open_table(ENDED)?.iter()? {
        let (key, rollout) = row?;
        let of_service = loaded.ended.entry(service(key.value().0)?).or_default();
        of_service.push(Arc::new(from_json(rollout.value())?));
    }
    for row in read.open_table(JOURNAL)?.iter()? {
        loaded.entries.push(from_json(row?.1.value())?);
    }
    match read.open_table(FACTS) {
        Ok(facts) => {
            for row in facts.iter()? {
                let (name, fact) = row?;
                loaded.facts.insert(name.value().to_owned(), from_json(fact.value())?);
            }
        }
        // A store of an older release.
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    loaded.chunks = history::next_chunks(&read)?;
    loaded.stored.next_entry = loaded.entries.last().map_or(1, |entry| entry.sequence + 1);
    Ok(loaded)
}

/// Gives the generation that stands in the way, if there is one.
fn write(database: &Database, commit: &Commit, doubt: Generation) -> Result<Option<Generation>, redb::Error> {
    let write = database.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        let found = Generation(meta.get("generation")?.map_or(0, |value| value.value()));
        // A file that was taken away is made anew, empty, when it is opened after an error.
        let left_by_failure = commit.restores_from.is_some()
            && (found == Generation::NONE || (commit.expected..=doubt).contains(&found));
        if found != commit.expected && !left_by_failure {
            drop(meta);
            write.abort()?;
            return Ok(Some(found));
        }
        meta.insert("schema", SCHEMA)?;
        meta.insert("generation", commit.generation.0)?;
        meta.insert("next_rollout", commit.next_rollout)?;
    }
    write_records(&write, commit)?;
    write_ended(&write, commit)?;
    history::write(&write, commit)?;
    write_facts(&write, commit)?;
    write_journal(&write, commit)?;
    write.commit()?;
    Ok(None)
}

fn write_records(write: &WriteTransaction, commit: &Commit) -> Result<(), redb::Error> {
    let mut records = write.open_table(RECORDS)?;
    let mut evidence = write.open_table(EVIDENCE)?;
    if commit.restores_from.is_some() {
        records.retain(|_, _| false)?;
        evidence.retain(|_, _| false)?;
    }
    for (name, record) in &commit.records {
        match record {
            Some(record) => records.insert(name.as_str(), to_json(record.as_ref())?.as_slice())?,
            None => records.remove(name.as_str())?,
        };
    }
    for (name, checkpoint) in &commit.evidence {
        match checkpoint {
            Some(checkpoint) => evidence.insert(name.as_str(), to_json(checkpoint)?.as_slice())?,
            None => evidence.remove(name.as_str())?,
        };
    }
    Ok(())
}

fn write_ended(write: &WriteTransaction, commit: &Commit) -> Result<(), redb::Error> {
    let mut ended = write.open_table(ENDED)?;
    let mut gone = Vec::new();
    for (name, _) in commit.records.iter().filter(|(_, record)| record.is_none()) {
        ended.retain_in((name.as_str(), 0)..=(name.as_str(), u64::MAX), |(_, id), _| {
            gone.push(id);
            false
        })?;
    }
    if commit.restores_from.is_some() {
        ended.retain(|(name, id), _| {
            let record = commit.records.get(name).and_then(Option::as_ref);
            let has_ended = |record: &Arc<Record>| record.live().is_none_or(|rollout| rollout.id != id);
            id < commit.next_rollout && record.is_some_and(has_ended)
        })?;
    }
    for rollout in &commit.ended {
        let name = rollout.service.as_str();
        ended.insert((name, rollout.id), to_json(rollout.as_ref())?.as_slice())?;
        let ids = ended.range((name, 0)..=(name, u64::MAX))?;
        let ids = ids.map(|row| row.map(|(key, _)| key.value().1)).collect::<Result<Vec<u64>, _>>()?;
        for id in ids.iter().take(ids.len().saturating_sub(ROLLOUTS_KEPT_MAX)) {
            ended.remove((name, *id))?;
            gone.push(*id);
        }
    }
    history::remove(write, &gone)
}

fn write_facts(write: &WriteTransaction, commit: &Commit) -> Result<(), redb::Error> {
    let mut facts = write.open_table(FACTS)?;
    if commit.restores_from.is_some() {
        facts.retain(|_, _| false)?;
    }
    for (name, fact) in &commit.facts {
        match fact {
            Some(fact) => facts.insert(name.as_str(), to_json(fact)?.as_slice())?,
            None => facts.remove(name.as_str())?,
        };
    }
    Ok(())
}

fn write_journal(write: &WriteTransaction, commit: &Commit) -> Result<(), redb::Error> {
    let mut journal = write.open_table(JOURNAL)?;
    if let Some(first) = commit.restores_from {
        journal.retain_in(first.., |_, _| false)?;
    }
    for entry in &commit.entries {
        journal.insert(entry.sequence, to_json(entry)?.as_slice())?;
    }
    if let Some(last) = commit.entries.last() {
        let kept_from = (last.sequence + 1).saturating_sub(JOURNAL_ENTRIES_MAX);
        journal.retain_in(..kept_from, |_, _| false)?;
    }
    Ok(())
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(value).map_err(|error| redb::Error::Corrupted(error.to_string()))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(bytes).map_err(|error| redb::Error::Corrupted(error.to_string()))
}

fn service(name: &str) -> Result<ServiceName, redb::Error> {
    ServiceName::try_new(name).map_err(|error| redb::Error::Corrupted(error.to_string()))
}
