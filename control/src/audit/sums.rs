//! Refusals of the same kind, counted until they become one entry.

use serin_config::limits::{AUDIT_SUM, AUDIT_SUMS_MAX};

use super::Note;
use crate::tokens::STRANGER;

#[expect(clippy::cast_possible_truncation, reason = "a minute")]
const SUM_MS: u64 = AUDIT_SUM.as_millis() as u64;

#[derive(Debug)]
struct Sum {
    /// The newest of its kind.
    note: Note,
    /// How many there were since the first, which is an entry already.
    times: u64,
    since_ms: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Sums(Vec<Sum>);

impl Sums {
    /// Counts refusals of a kind. Gives them back where they are the first, and are to become an entry.
    pub(crate) fn take(&mut self, note: Note, times: u64, now_ms: u64) -> Option<Note> {
        if let Some(sum) = self.0.iter_mut().find(|sum| sum.is_like(&note)) {
            sum.note = note;
            sum.times = sum.times.saturating_add(times);
            return None;
        }
        if self.0.len() < AUDIT_SUMS_MAX {
            self.0.push(Sum { note: note.clone(), times: 0, since_ms: now_ms });
            return Some(note);
        }
        // Whoever asks for that many different things is counted whatever they ask for.
        match self.0.iter_mut().find(|sum| sum.is_of_the_same(&note)) {
            Some(sum) => {
                sum.note = note;
                sum.times = sum.times.saturating_add(times);
                None
            }
            None => Some(note),
        }
    }

    /// Those whose time is over, with how many more there were; all of them where `all` says so.
    pub(crate) fn due(&mut self, now_ms: u64, all: bool) -> Vec<(Note, u64)> {
        let is_due = |sum: &mut Sum| all || now_ms >= sum.since_ms.saturating_add(SUM_MS);
        let due = self.0.extract_if(.., is_due).filter(|sum| sum.times > 0);
        due.map(|sum| (sum.note, sum.times)).collect()
    }
}

impl Sum {
    fn is_like(&self, note: &Note) -> bool {
        // What strangers ask for is theirs to choose: told apart, it would wash the log out within hours.
        let is_stranger = note.who.as_ref().is_some_and(|who| who.name == STRANGER);
        self.is_of_the_same(note)
            && (is_stranger
                || (&self.note.what, &self.note.service, &self.note.group)
                    == (&note.what, &note.service, &note.group))
    }

    /// From wherever it comes: an attacker has many addresses.
    fn is_of_the_same(&self, note: &Note) -> bool {
        let name = |note: &Note| note.who.as_ref().map(|who| who.name.clone());
        let kind = |note: &Note| note.refusal.as_ref().map(|(kind, _)| kind.clone());
        name(&self.note) == name(note) && kind(&self.note) == kind(note)
    }
}
