//! What every engine promises, tried on each of them.

use serin_config::limits::{JOURNAL_ENTRIES_MAX, ROLLOUTS_KEPT_MAX};

use super::{
    tests::{commit_of, first, rolling},
    *,
};
use crate::{
    fixtures::{name, shop},
    rollout::Rollout,
    watch::Watch,
};

/// Where a store stands.
pub(super) trait Ground {
    /// The store that is written, empty.
    fn begin(&self) -> Box<dyn Engine>;
    /// What would be found after a crash right now.
    fn found(&self) -> Box<dyn Engine>;
}

type Promise = fn(&dyn Ground);

/// Each needs a ground of its own.
pub(super) const PROMISES: [(&str, Promise); 7] = [
    ("what is written is read back", read_back),
    ("a writer that was away can't go back", no_way_back),
    ("facts go with their decision", facts),
    ("what a failed write left is taken back", taken_back),
    ("journal and ended rollouts are bounded", bounded),
    ("windows are kept, grow, and go with their rollout", windows),
    ("a service that is gone leaves nothing but its journal", gone),
];

fn read_back(ground: &dyn Ground) {
    let mut store = ground.begin();
    assert_eq!(store.load().unwrap().stored.generation, Generation::NONE);
    let begun = first();
    store.write(&commit_of(&begun)).unwrap();
    let decision = rolling(&begun.state);
    let rollout = decision.state.live("shop").unwrap().clone();
    let checkpoint = Watch::begin(&rollout, &shop(), &[], 2).checkpoint().clone();
    let mut commit = commit_of(&decision);
    commit.evidence.insert(name("shop"), Some(checkpoint.clone()));
    store.write(&commit).unwrap();

    let loaded = ground.found().load().unwrap();
    assert_eq!(loaded.stored.generation, decision.state.plan.generation());
    assert_eq!(loaded.stored.services, decision.state.services);
    assert_eq!(loaded.stored.next_entry, decision.state.next_entry);
    assert_eq!(loaded.stored.next_rollout, 2);
    assert_eq!(loaded.evidence[&name("shop")], checkpoint);
    let sequences: Vec<u64> = loaded.entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    assert_eq!(loaded.entries.last(), decision.entries.last());
}

fn no_way_back(ground: &dyn Ground) {
    let mut store = ground.begin();
    let begun = first();
    store.write(&commit_of(&begun)).unwrap();
    let decision = rolling(&begun.state);
    store.write(&commit_of(&decision)).unwrap();
    let error = store.write(&commit_of(&decision)).unwrap_err();
    let (expected, found) = (Generation(1), Generation(2));
    assert!(
        matches!(error, StoreError::Conflict { expected: e, found: f } if (e, f) == (expected, found)),
        "{error}"
    );
    assert_eq!(ground.found().load().unwrap().entries.len(), 3, "nothing of a refused commit is written");
    store.write(&Commit::of_evidence(found, 2, BTreeMap::new())).unwrap();
}

fn facts(ground: &dyn Ground) {
    let mut store = ground.begin();
    let fact = |text: &str| Some(Value::from(text));
    let begun = first();
    let facts = BTreeMap::from([("token/a".to_owned(), fact("1")), ("token/b".to_owned(), fact("2"))]);
    store.write(&Commit { facts, ..commit_of(&begun) }).unwrap();
    let before = ground.found().load().unwrap().facts;
    assert_eq!(before, BTreeMap::from([("token/a".into(), "1".into()), ("token/b".into(), "2".into())]));

    let decision = rolling(&begun.state);
    let large = "x".repeat(2_000_000);
    let changes = BTreeMap::from([("token/a".to_owned(), None), ("freeze/c".to_owned(), fact(&large))]);
    store.write(&Commit { facts: changes, ..commit_of(&decision) }).unwrap();
    let after = ground.found().load().unwrap().facts;
    let expected = BTreeMap::from([("freeze/c".into(), large.into()), ("token/b".into(), Value::from("2"))]);
    assert!(after == expected, "a large one is whole, one is gone: {:?}", after.keys());

    let nothing = Commit::of_evidence(decision.state.plan.generation(), 2, BTreeMap::new());
    store.write(&nothing.restoring(&decision.state, BTreeMap::new(), &before)).unwrap();
    assert_eq!(
        ground.found().load().unwrap().facts,
        before,
        "what was left is removed, what was removed is back"
    );
}

fn taken_back(ground: &dyn Ground) {
    let mut store = ground.begin();
    let begun = first();
    store.write(&commit_of(&begun)).unwrap();
    // A decision whose write counted as failed, and that is there all the same.
    let failed = rolling(&begun.state);
    let mut commit = commit_of(&failed);
    commit.ended = vec![Arc::new(failed.state.live("shop").unwrap().clone())];
    commit.history = BTreeMap::from([(1, vec![Chunk { number: 0, bytes: vec![1; 9] }])]);
    store.write(&commit).unwrap();
    store.doubt(failed.state.plan.generation());

    let back = Commit::of_evidence(begun.state.plan.generation(), 1, BTreeMap::new());
    store.write(&back.restoring(&begun.state, BTreeMap::new(), &Facts::new())).unwrap();
    let mut found = ground.found();
    let loaded = found.load().unwrap();
    assert_eq!(loaded.stored.generation, begun.state.plan.generation());
    assert_eq!(loaded.stored.services, begun.state.services);
    assert_eq!(loaded.entries, begun.entries);
    assert!(loaded.ended.is_empty() && loaded.evidence.is_empty());
    assert!(found.history(1).unwrap().is_empty());
    store.write(&commit_of(&rolling(&begun.state))).unwrap();
}

fn bounded(ground: &dyn Ground) {
    let mut store = ground.begin();
    let decision = rolling(&first().state);
    let rollout = decision.state.live("shop").unwrap().clone();
    let entry = decision.entries[0].clone();
    let surplus = 7;
    let ended =
        (1..=ROLLOUTS_KEPT_MAX as u64 + surplus).map(|id| Arc::new(Rollout { id, ..rollout.clone() }));
    let commit = Commit {
        expected: Generation::NONE,
        ended: ended.collect(),
        entries: (1..=JOURNAL_ENTRIES_MAX + surplus)
            .map(|sequence| Entry { sequence, ..entry.clone() })
            .collect(),
        ..commit_of(&decision)
    };
    store.write(&commit).unwrap();
    let one_more = Entry { sequence: JOURNAL_ENTRIES_MAX + surplus + 1, ..entry };
    let nothing = Commit::of_evidence(commit.generation, 2, BTreeMap::new());
    store.write(&Commit { entries: vec![one_more], ..nothing }).unwrap();
    let loaded = ground.found().load().unwrap();
    assert_eq!(loaded.entries.len() as u64, JOURNAL_ENTRIES_MAX);
    assert_eq!(loaded.entries[0].sequence, surplus + 2);
    let ended = &loaded.ended[&name("shop")];
    assert_eq!((ended.len(), ended[0].id), (ROLLOUTS_KEPT_MAX, surplus + 1));
}

fn windows(ground: &dyn Ground) {
    let mut store = ground.begin();
    let decision = rolling(&first().state);
    let rollout = decision.state.live("shop").unwrap().clone();
    store.write(&Commit { expected: Generation::NONE, ..commit_of(&decision) }).unwrap();
    let generation = decision.state.plan.generation();
    let nothing = || Commit::of_evidence(generation, 2, BTreeMap::new());
    for (number, bytes) in [(0, 10), (0, 700_000), (1, 5)] {
        let history = BTreeMap::from([(1, vec![Chunk { number, bytes: vec![7; bytes] }])]);
        store.write(&Commit { history, ..nothing() }).unwrap();
    }
    let mut found = ground.found();
    assert_eq!(found.load().unwrap().chunks, BTreeMap::from([(1, 2)]), "the next one is number 2");
    let lengths: Vec<usize> = found.history(1).unwrap().iter().map(Vec::len).collect();
    assert_eq!(lengths, [700_000, 5]);
    assert!(found.history(2).unwrap().is_empty());
    let later = (1..=ROLLOUTS_KEPT_MAX as u64 + 1).map(|id| Arc::new(Rollout { id, ..rollout.clone() }));
    store.write(&Commit { ended: later.collect(), ..nothing() }).unwrap();
    let mut found = ground.found();
    assert!(found.history(1).unwrap().is_empty(), "they go with the rollout");
    assert!(found.load().unwrap().chunks.is_empty());
}

fn gone(ground: &dyn Ground) {
    let mut store = ground.begin();
    let decision = rolling(&first().state);
    let ended = Arc::new(decision.state.live("shop").unwrap().clone());
    store.write(&Commit { expected: Generation::NONE, ended: vec![ended], ..commit_of(&decision) }).unwrap();
    assert_eq!(ground.found().load().unwrap().ended.len(), 1);
    let records = BTreeMap::from([(name("shop"), None)]);
    let generation = decision.state.plan.generation();
    let commit = Commit::of_evidence(generation, 2, BTreeMap::from([(name("shop"), None)]));
    store.write(&Commit { records, ..commit }).unwrap();
    let loaded = ground.found().load().unwrap();
    assert!(loaded.ended.is_empty() && loaded.stored.services.is_empty() && loaded.evidence.is_empty());
    assert!(!loaded.entries.is_empty());
}
