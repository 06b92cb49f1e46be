//! What a follower has refused and the one who leads does not know yet: summed up, bounded, and told in batches.
//!
//! The first refusal of a kind is told at once, those of the next minute as one with their number, just as the one who
//! leads sums up its own. What finds no place is given back as a number. A batch stays the same, number included, until it
//! is known to have come, so that one whose answer was lost is not counted twice.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serin_config::limits::{AUDIT_BATCH_MAX, AUDIT_KEPT_MAX};

use crate::audit::{Refused, Sums};

/// Refusals that are told together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// When the follower's process began, in milliseconds since 1970.
    pub(crate) epoch: u64,
    /// Its number in this process, from 1.
    pub(crate) sequence: u64,
    pub(crate) refusals: Vec<Refused>,
}

pub(super) struct Outbox {
    epoch: u64,
    sums: Sums,
    waiting: VecDeque<Refused>,
    /// The one that is on its way.
    out: Option<Batch>,
    sequence: u64,
}

impl Outbox {
    /// An empty one, of a process that began then.
    pub(super) fn new(epoch: u64) -> Self {
        Self { epoch, sums: Sums::default(), waiting: VecDeque::new(), out: None, sequence: 0 }
    }

    /// Takes refusals; gives how many are lost for it.
    pub(super) fn take(&mut self, refused: Refused, now_ms: u64) -> u64 {
        let Refused { note, times, at_ms } = refused;
        match self.sums.take(note.short(), times, now_ms) {
            Some(note) => self.add(Refused { note, times, at_ms }),
            None => 0,
        }
    }

    /// Takes sums whose time is over as they are, all of them where `all` says so; gives how many are lost for it.
    pub(super) fn tick(&mut self, now_ms: u64, all: bool) -> u64 {
        let due = self.sums.due(now_ms, all);
        due.into_iter().map(|(note, times)| self.add(Refused { note, times, at_ms: now_ms })).sum()
    }

    /// What is to be told next: the same again until it has [`Self::arrived`].
    pub(super) fn batch(&mut self) -> Option<Batch> {
        if self.out.is_none() && !self.waiting.is_empty() {
            self.sequence += 1;
            let refusals = self.waiting.drain(..self.waiting.len().min(AUDIT_BATCH_MAX)).collect();
            self.out = Some(Batch { epoch: self.epoch, sequence: self.sequence, refusals });
        }
        self.out.clone()
    }

    /// What was to be told is known there.
    pub(super) fn arrived(&mut self) {
        self.out = None;
    }

    /// How many refusals are not known to have come.
    pub(super) fn times(&self) -> u64 {
        let out = self.out.iter().flat_map(|batch| &batch.refusals);
        out.chain(&self.waiting).map(|refused| refused.times).sum()
    }

    /// How many entries wait.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.waiting.len() + self.out.as_ref().map_or(0, |batch| batch.refusals.len())
    }

    fn add(&mut self, refused: Refused) -> u64 {
        if self.waiting.len() >= AUDIT_KEPT_MAX {
            return refused.times;
        }
        self.waiting.push_back(refused);
        0
    }
}

#[cfg(test)]
mod tests {
    use serin_config::limits::{AUDIT_SUM, AUDIT_SUMS_MAX};

    use super::*;
    use crate::{
        audit::{Fate, Note},
        command::{Actor, Caller},
    };

    fn refused(name: &str, at_ms: u64) -> Refused {
        let note = Note {
            who: Some(Caller::new(name, "10.0.0.7")),
            actor: Actor::Api,
            what: "start".into(),
            detail: "start".into(),
            service: Some("shop".into()),
            group: None,
            reason: "x".repeat(10_000),
            urgent: false,
            fate: Fate::Refused,
            refusal: Some(("forbidden".into(), "no".into())),
            generation: None,
        };
        Refused { note, times: 1, at_ms }
    }

    #[test]
    fn the_first_of_a_kind_is_told_at_once_and_the_rest_of_the_minute_as_one() {
        let mut outbox = Outbox::new(7);
        for at_ms in 0..100 {
            assert_eq!(outbox.take(refused("ci", at_ms), at_ms), 0);
        }
        let batch = outbox.batch().unwrap();
        assert_eq!((batch.epoch, batch.sequence, batch.refusals.len()), (7, 1, 1));
        assert_eq!((batch.refusals[0].times, batch.refusals[0].at_ms), (1, 0));
        outbox.arrived();
        assert_eq!(outbox.batch(), None);
        let over = u64::try_from(AUDIT_SUM.as_millis()).unwrap();
        assert_eq!(outbox.tick(over, false), 0);
        let batch = outbox.batch().unwrap();
        assert_eq!((batch.sequence, batch.refusals[0].times), (2, 99));
    }

    #[test]
    fn a_batch_is_the_same_until_it_is_known_to_have_come() {
        let mut outbox = Outbox::new(7);
        outbox.take(refused("a", 1), 1);
        let first = outbox.batch();
        outbox.take(refused("b", 2), 2);
        assert_eq!(outbox.batch(), first);
        outbox.arrived();
        let second = outbox.batch().unwrap();
        assert_eq!((second.sequence, second.refusals[0].at_ms), (2, 2));
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_lost_is_counted() {
        let mut outbox = Outbox::new(7);
        let mut lost = 0;
        let callers = 3 * AUDIT_KEPT_MAX as u64;
        for n in 0..callers {
            lost += outbox.take(refused(&format!("caller {n}"), n), n);
        }
        lost += outbox.tick(callers, true);
        assert_eq!(outbox.len(), AUDIT_KEPT_MAX);
        assert_eq!(lost + AUDIT_KEPT_MAX as u64, callers);
        let mut told = 0;
        while let Some(batch) = outbox.batch() {
            assert!(batch.refusals.len() <= AUDIT_BATCH_MAX);
            let bytes = serde_json::to_vec(&batch).unwrap().len();
            assert!(bytes <= serin_config::limits::AUDIT_BATCH_BYTES_MAX, "{bytes}");
            told += batch.refusals.iter().map(|refused| refused.times).sum::<u64>();
            outbox.arrived();
        }
        assert_eq!(told + lost, callers);
    }

    #[test]
    fn one_caller_takes_few_places_however_often_it_is_refused() {
        let mut outbox = Outbox::new(7);
        for n in 0..100_000 {
            assert_eq!(outbox.take(refused(&format!("caller {}", n % 10), n), n), 0);
            outbox.tick(n, false);
        }
        assert!(outbox.len() <= 2 * 10 * 2 && outbox.len() <= AUDIT_SUMS_MAX, "{}", outbox.len());
    }
}
