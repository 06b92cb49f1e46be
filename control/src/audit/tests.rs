//! What is kept, for how long, and that nobody washes it out.

use serin_config::limits::{AUDIT_SUM, AUDIT_SUMS_MAX};

use super::*;
use crate::{
    command::{Actor, Caller},
    tokens::STRANGER,
};

fn note(name: &str, from: &str, kind: Option<&str>) -> Note {
    Note {
        who: Some(Caller::new(name, from)),
        actor: Actor::Api,
        what: "set_weights".into(),
        detail: "v1 90%, v2 10%".into(),
        service: Some("shop".into()),
        group: None,
        reason: "try".into(),
        urgent: false,
        fate: if kind.is_some() { Fate::Refused } else { Fate::Done },
        refusal: kind.map(|kind| (kind.to_owned(), "no".to_owned())),
        generation: None,
    }
}

fn refused(note: Note, at_ms: u64) -> Refused {
    Refused { note, times: 1, at_ms }
}

/// Something is done, and stored with it.
fn done(facts: &mut Facts, log: &mut AuditLog, note: Note, at_ms: u64) -> FactChanges {
    let (entry, changes) = log.about_to(note, at_ms);
    crate::store::apply(facts, &changes);
    log.done(entry);
    changes
}

/// The facts that a store has after these changes.
fn apply(facts: &mut Facts, log: &mut AuditLog) {
    crate::store::apply(facts, &log.changes());
    log.written();
}

#[test]
fn what_is_written_comes_back_and_goes_on_where_it_was() {
    let mut facts = Facts::new();
    let mut log = AuditLog::from_facts(&facts, Audit::default());
    for n in 0..2 * PAGE {
        if n % 5 == 0 {
            log.refused(refused(note(&format!("ci-{n}"), "10.0.0.7", Some("rollout-state")), n), n);
        } else {
            done(&mut facts, &mut log, note("ci", "10.0.0.7", None), n);
        }
    }
    let mut again = AuditLog::from_facts(&facts, Audit::default());
    assert_eq!(again.reader().all(), log.reader().all());
    done(&mut facts, &mut again, note("ci", "10.0.0.7", None), 900);
    let newest = again.reader().newest(|_| true, 2);
    assert_eq!((newest[0].sequence, newest[1].sequence), (2 * PAGE + 1, 2 * PAGE));
    assert_eq!(again.reader().newest(|entry| entry.sequence < 2, 9).len(), 1);
}

#[test]
fn only_the_pages_that_changed_are_written() {
    let mut facts = Facts::new();
    let mut log = AuditLog::from_facts(&facts, Audit::default());
    for n in 0..3 * PAGE {
        let changes = done(&mut facts, &mut log, note("ci", "10.0.0.7", None), n);
        assert_eq!(changes.len(), 1, "{changes:?}");
    }
}

#[test]
fn what_was_to_be_done_and_failed_is_no_entry() {
    let mut facts = Facts::new();
    let mut log = AuditLog::from_facts(&facts, Audit::default());
    log.refused(refused(note("eve", "10.0.0.9", Some("forbidden")), 1), 1);
    let (_, lost) = log.about_to(note("ci", "10.0.0.7", None), 2);
    assert_eq!(lost.len(), 1);
    log.refused(refused(note("ci", "10.0.0.7", Some("store-failed")), 2), 2);
    apply(&mut facts, &mut log);
    let kept = AuditLog::from_facts(&facts, Audit::default()).reader().all();
    assert_eq!(kept.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(kept[1].problem.as_deref(), Some("store-failed"));
}

#[test]
fn refusals_of_a_kind_are_summed_up_wherever_they_come_from() {
    let mut log = AuditLog::from_facts(&Facts::new(), Audit::default());
    for n in 0..1_000_u64 {
        log.refused(
            refused(note("nobody", &format!("10.0.{}.{}", n / 250, n % 250), Some("unauthorized")), n),
            n,
        );
    }
    log.refused(refused(note("ci", "10.9.9.9", Some("stale-generation")), 1_000), 1_000);
    assert_eq!(log.reader().all().len(), 2);
    let over = u64::try_from(AUDIT_SUM.as_millis()).unwrap();
    log.tick(over - 1, false);
    assert_eq!(log.reader().all().len(), 2);
    log.tick(over + 1_000, false);
    let all = log.reader().all();
    assert_eq!(all.iter().map(|entry| entry.times).collect::<Vec<_>>(), [1, 1, 999]);
    assert_eq!(all[2].who.as_ref().unwrap().from, "10.0.3.249");
    log.refused(refused(note("nobody", "10.0.0.1", Some("unauthorized")), over + 2_000), over + 2_000);
    assert_eq!(log.reader().all().len(), 4, "a new minute begins with an entry");
}

#[test]
fn what_the_store_has_not_taken_can_be_told_elsewhere_and_is_not_told_twice() {
    let mut facts = Facts::new();
    let mut log = AuditLog::from_facts(&facts, Audit::default());
    log.refused(refused(note("ci", "a", Some("forbidden")), 1), 1);
    apply(&mut facts, &mut log);
    assert_eq!(log.unstored(), []);
    let late = refused(note("eve", "b", Some("unauthorized")), 2);
    log.refused(late.clone(), 2);
    assert_eq!(log.unstored(), [late]);
    done(&mut facts, &mut log, note("ci", "a", None), 3);
    assert_eq!(log.unstored(), [], "it was written beside");
}

#[test]
fn a_stop_loses_no_count() {
    let mut log = AuditLog::from_facts(&Facts::new(), Audit::default());
    log.refused(refused(note("ci", "a", Some("unauthorized")), 1), 1);
    log.refused(refused(note("ci", "a", Some("unauthorized")), 2), 2);
    log.tick(3, true);
    assert_eq!(log.reader().all().iter().map(|entry| entry.times).sum::<u64>(), 2);
}

#[test]
fn what_is_summed_up_is_bounded_and_nothing_falls_out_unseen() {
    let mut log = AuditLog::from_facts(&Facts::new(), Audit::default());
    let kinds = AUDIT_SUMS_MAX as u64 + 10;
    for n in 0..2 * kinds {
        log.refused(refused(note(&format!("caller {}", n % kinds), "a", Some("unauthorized")), n), n);
    }
    log.tick(1, true);
    assert_eq!(log.reader().all().iter().map(|entry| entry.times).sum::<u64>(), 2 * kinds);
}

#[test]
fn strangers_write_two_entries_a_minute_at_most_whatever_they_ask_for() {
    let mut log = AuditLog::from_facts(&Facts::new(), Audit::default());
    let minute = u64::try_from(AUDIT_SUM.as_millis()).unwrap();
    for n in 0..10 * 60 {
        let asked = note(STRANGER, &format!("10.0.0.{n}"), Some("unauthenticated"));
        let asked = Note { what: format!("operation {}", n % 26), ..asked };
        let now_ms = n * minute / 60;
        log.refused(refused(asked, now_ms), now_ms);
        log.tick(now_ms, false);
    }
    log.tick(10 * minute, true);
    let all = log.reader().all();
    assert!(all.len() <= 2 * 10, "{}", all.len());
    assert_eq!(all.iter().map(|entry| entry.times).sum::<u64>(), 10 * 60);
}

#[test]
fn who_asks_for_many_different_things_writes_no_more_entries_for_it() {
    let mut log = AuditLog::from_facts(&Facts::new(), Audit::default());
    let things = 100 * AUDIT_SUMS_MAX as u64;
    for n in 0..things {
        let asked = note("nobody", "a", Some("forbidden"));
        let asked = Note { service: Some(format!("service {n}")), ..asked };
        log.refused(refused(asked, n), n);
    }
    log.tick(things, true);
    let all = log.reader().all();
    assert!(all.len() <= 2 * AUDIT_SUMS_MAX, "{}", all.len());
    assert_eq!(all.iter().map(|entry| entry.times).sum::<u64>(), things);
}

#[test]
fn the_oldest_go_first_and_their_pages_go_from_the_store() {
    let mut facts = Facts::new();
    let mut log = AuditLog::from_facts(&facts, Audit::default());
    for n in 0..AUDIT_ENTRIES_MAX + 3 * PAGE {
        log.refused(refused(note(&format!("ci-{n}"), "10.0.0.7", Some("forbidden")), n), n);
        if n % PAGE == 0 {
            apply(&mut facts, &mut log);
        }
    }
    apply(&mut facts, &mut log);
    let kept = log.reader().all();
    assert!(kept.len() as u64 <= AUDIT_ENTRIES_MAX && kept.len() as u64 > AUDIT_ENTRIES_MAX - PAGE);
    assert_eq!(AuditLog::from_facts(&facts, Audit::default()).reader().all(), kept);
}
