//! What a store promises: whole decisions, in order, over crashes and full disks.

use redb::TableDefinition;

use super::{
    contract::{Ground, PROMISES},
    fault::Disk,
    *,
};
use crate::{
    command::{Action, Actor, Command, Request},
    fixtures::{catalogue, name, shop},
    planner::{decide, start_up},
    state::{Decision, State},
};

pub(super) fn commit_of(decision: &Decision) -> Commit {
    let state = &decision.state;
    let records = state.services.iter().map(|(name, record)| (name.clone(), Some(record.clone())));
    Commit {
        expected: state.plan.parent(),
        generation: state.plan.generation(),
        next_rollout: state.next_rollout,
        records: records.collect(),
        evidence: BTreeMap::new(),
        history: BTreeMap::new(),
        ended: Vec::new(),
        entries: decision.entries.clone(),
        facts: decision.facts.clone(),
        restores_from: None,
    }
}

pub(super) fn first() -> Decision {
    start_up(&Stored::default(), &catalogue(vec![shop()]), 1).unwrap()
}

pub(super) fn rolling(state: &State) -> Decision {
    let command = Command::Rollout { service: name("shop"), action: Action::Start, if_generation: None };
    decide(state, &Request::new(command, Actor::Api, "go"), 2).unwrap().unwrap()
}

impl Ground for Disk {
    fn begin(&self) -> Box<dyn Engine> {
        Box::new(self.store())
    }

    fn found(&self) -> Box<dyn Engine> {
        Box::new(self.after_a_crash().store())
    }
}

#[test]
fn the_embedded_store_keeps_what_a_store_promises() {
    for (promise, keep) in PROMISES {
        println!("{promise}");
        keep(&Disk::default());
    }
}

#[test]
fn a_full_disk_writes_nothing_and_is_a_passing_trouble() {
    let disk = Disk::default();
    let mut store = disk.store();
    let begun = first();
    store.write(&commit_of(&begun)).unwrap();
    let decision = rolling(&begun.state);
    let commit = commit_of(&decision);
    disk.be_full(true);
    for _ in 0..3 {
        let error = store.write(&commit).unwrap_err();
        assert!(matches!(error, StoreError::Full(_)), "{error}");
    }
    let meanwhile = disk.after_a_crash().store().load().unwrap();
    assert_eq!(meanwhile.stored.generation, Generation(1));
    assert_eq!(meanwhile.entries, begun.entries);
    disk.be_full(false);
    store.write(&commit.restoring(&decision.state, BTreeMap::new(), &Facts::new())).unwrap();
    assert_eq!(store.load().unwrap().stored.generation, Generation(2));
}

#[test]
fn what_is_stored_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    drop(Store::open(&path).unwrap());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_store_of_a_newer_program_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let database = redb::Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    let meta: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    write.open_table(meta).unwrap().insert("schema", 99).unwrap();
    write.commit().unwrap();
    drop(database);
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn what_stands_against_opening_is_one_line_that_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);

    let missing = Store::open(&path("missing/state.redb")).unwrap_err();
    assert!(matches!(missing, OpenError::Missing { .. }), "{missing}");
    let folder = Store::open(directory.path()).unwrap_err();
    assert!(matches!(folder, OpenError::Directory(_)), "{folder}");

    std::fs::write(path("text"), "this is not a database, but long enough to be read as one. ".repeat(100))
        .unwrap();
    let text = Store::open(&path("text")).unwrap_err();
    assert!(matches!(text, OpenError::NotAStore { .. }), "{text:?}");

    let held = Store::open(&path("state.redb")).unwrap();
    let locked = Store::open(&path("state.redb")).unwrap_err();
    assert!(matches!(locked, OpenError::Locked(_)), "{locked:?}");
    drop(held);
    Store::open(&path("state.redb")).unwrap();

    for error in [missing, folder, text, locked] {
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
}
