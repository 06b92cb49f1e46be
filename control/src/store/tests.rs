//! What a store promises: whole decisions, in order, over crashes and full disks.

use redb::TableDefinition;
use serin_config::limits::{JOURNAL_ENTRIES_MAX, ROLLOUTS_KEPT_MAX};

use super::{fault::Disk, *};
use crate::{
    command::{Action, Actor, Command, Request},
    fixtures::{catalogue, name, shop},
    planner::{decide, start_up},
    state::{Decision, State},
    watch::Watch,
};

fn commit_of(decision: &Decision) -> Commit {
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

fn first() -> Decision {
    start_up(&Stored::default(), &catalogue(vec![shop()]), 1).unwrap()
}

fn rolling(state: &State) -> Decision {
    let command = Command::Rollout { service: name("shop"), action: Action::Start, if_generation: None };
    decide(state, &Request::new(command, Actor::Api, "go"), 2).unwrap().unwrap()
}

#[test]
fn what_is_written_is_read_back_after_a_crash() {
    let disk = Disk::default();
    let mut store = disk.store();
    let begun = first();
    store.write(&commit_of(&begun)).unwrap();
    let decision = rolling(&begun.state);
    let rollout = decision.state.live("shop").unwrap().clone();
    let checkpoint = Watch::begin(&rollout, &shop(), &[], 2).checkpoint().clone();
    let mut commit = commit_of(&decision);
    commit.evidence.insert(name("shop"), Some(checkpoint.clone()));
    store.write(&commit).unwrap();

    let loaded = disk.after_a_crash().store().load().unwrap();
    assert_eq!(loaded.stored.generation, decision.state.plan.generation());
    assert_eq!(loaded.stored.services, decision.state.services);
    assert_eq!(loaded.stored.next_entry, decision.state.next_entry);
    assert_eq!(loaded.stored.next_rollout, 2);
    assert_eq!(loaded.evidence[&name("shop")], checkpoint);
    let sequences: Vec<u64> = loaded.entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    assert_eq!(loaded.entries.last(), decision.entries.last());
}

#[test]
fn a_writer_that_was_away_can_not_go_back() {
    let disk = Disk::default();
    let mut store = disk.store();
    let begun = first();
    store.write(&commit_of(&begun)).unwrap();
    let decision = rolling(&begun.state);
    store.write(&commit_of(&decision)).unwrap();
    let error = store.write(&commit_of(&decision)).unwrap_err();
    assert!(
        matches!(error, StoreError::Conflict { expected: Generation(1), found: Generation(2) }),
        "{error}"
    );
    assert_eq!(store.load().unwrap().entries.len(), 3, "nothing of a refused commit is written");
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
fn journal_and_ended_rollouts_are_bounded() {
    let mut store = Disk::default().store();
    let decision = rolling(&first().state);
    let rollout = decision.state.live("shop").unwrap().clone();
    let entry = decision.entries[0].clone();
    let surplus = 7;
    let commit = Commit {
        expected: Generation::NONE,
        ended: (1..=ROLLOUTS_KEPT_MAX as u64 + surplus)
            .map(|id| Arc::new(Rollout { id, ..rollout.clone() }))
            .collect(),
        entries: (1..=JOURNAL_ENTRIES_MAX + surplus)
            .map(|sequence| Entry { sequence, ..entry.clone() })
            .collect(),
        ..commit_of(&decision)
    };
    store.write(&commit).unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.entries.len() as u64, JOURNAL_ENTRIES_MAX);
    assert_eq!(loaded.entries[0].sequence, surplus + 1);
    let ended = &loaded.ended[&name("shop")];
    assert_eq!((ended.len(), ended[0].id), (ROLLOUTS_KEPT_MAX, surplus + 1));
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

#[test]
fn a_service_that_is_gone_leaves_nothing_but_its_journal() {
    let mut store = Disk::default().store();
    let begun = first();
    let decision = rolling(&begun.state);
    let ended = Arc::new(decision.state.live("shop").unwrap().clone());
    store.write(&Commit { expected: Generation::NONE, ended: vec![ended], ..commit_of(&decision) }).unwrap();
    assert_eq!(store.load().unwrap().ended.len(), 1);
    let records = BTreeMap::from([(name("shop"), None)]);
    let generation = decision.state.plan.generation();
    let gone = Commit::of_evidence(generation, 2, BTreeMap::from([(name("shop"), None)]));
    store.write(&Commit { records, ..gone }).unwrap();
    let loaded = store.load().unwrap();
    assert!(loaded.ended.is_empty() && loaded.stored.services.is_empty() && loaded.evidence.is_empty());
    assert!(!loaded.entries.is_empty());
}

#[test]
fn facts_are_written_with_the_decision_and_taken_back_with_it() {
    let disk = Disk::default();
    let mut store = disk.store();
    let fact = |text: &str| Some(Value::from(text));
    let begun = first();
    let commit = commit_of(&begun);
    let facts = BTreeMap::from([("token/a".to_owned(), fact("1")), ("token/b".to_owned(), fact("2"))]);
    store.write(&Commit { facts, ..commit }).unwrap();
    let before = store.load().unwrap().facts;
    assert_eq!(before, BTreeMap::from([("token/a".into(), "1".into()), ("token/b".into(), "2".into())]));

    let decision = rolling(&begun.state);
    let changes = BTreeMap::from([("token/a".to_owned(), None), ("freeze/c".to_owned(), fact("3"))]);
    let commit = Commit { facts: changes, ..commit_of(&decision) };
    store.write(&commit).unwrap();
    let after = disk.after_a_crash().store().load().unwrap().facts;
    assert_eq!(after, BTreeMap::from([("freeze/c".into(), "3".into()), ("token/b".into(), "2".into())]));

    let generation = decision.state.plan.generation();
    let nothing = Commit::of_evidence(generation, 2, BTreeMap::new());
    store.write(&nothing.restoring(&decision.state, BTreeMap::new(), &before)).unwrap();
    assert_eq!(store.load().unwrap().facts, before, "what a failed write left is removed, what it removed is back");
}
