//! What is asked for by hand, and the audit log of it.
//!
//! An entry of what is done stands in the transaction that does it. Of what is refused nothing hangs, so it waits
//! for the next transaction, or for the next second.

use std::collections::BTreeMap;

use tracing::warn;

use super::Keeper;
use crate::{
    access::{Answer, CommandError},
    audit::{Note, Refused},
    command::{Command, Request},
    planner,
    store::{Commit, StoreError},
};

impl Keeper {
    /// Decides on a request and does what was decided.
    pub(super) fn take_order(&mut self, request: &Request, now_ms: u64) -> Result<Answer, CommandError> {
        if let Command::Heard { question, said } = &request.command {
            return Ok(self.hear(question, said.clone(), now_ms));
        }
        match planner::repeated(&self.state, request, now_ms) {
            Ok(Some(generation)) => return Ok(Answer { repeats: Some(generation), ..self.answer() }),
            Ok(None) => {}
            Err(refusal) => return self.refuse(request, refusal.into(), now_ms),
        }
        let mut decision = match planner::decide(&self.state, request, now_ms) {
            Ok(Some(decision)) => decision,
            Ok(None) => return Ok(self.answer()),
            Err(refusal) => return self.refuse(request, refusal.into(), now_ms),
        };
        // Bookkeeping is no change that somebody asked for.
        if matches!(request.command, Command::Told { .. }) {
            return Ok(self.carry_out(decision, now_ms)?);
        }
        let note = Note::done(request, decision.state.plan.generation());
        let (entry, facts) = self.audit.about_to(note, now_ms);
        decision.facts.extend(facts);
        match self.carry_out(decision, now_ms) {
            Ok(answer) => {
                self.audit.done(entry);
                Ok(answer)
            }
            // Whoever gives this answer tells the audit log of whoever leads now; this one's own is no more than a copy.
            Err(StoreError::Deposed) => Err(StoreError::Deposed.into()),
            Err(error) => self.refuse(request, error.into(), now_ms),
        }
    }

    fn refuse(
        &mut self,
        request: &Request,
        error: CommandError,
        now_ms: u64,
    ) -> Result<Answer, CommandError> {
        let note = Note::refused(request, &error, self.state.plan.generation());
        self.audit.refused(Refused { note, times: 1, at_ms: now_ms }, now_ms);
        Err(error)
    }

    /// Starts what has superseded something else and may be started now; `at_once` also what was not due a second ago, since
    /// all that a changed file says is known. What stands against it is said once.
    pub(super) fn begin_next(&mut self, at_once: bool, now_ms: u64) {
        let due = planner::next::due(&self.state);
        self.not_begun.retain(|name, _| due.contains(name));
        for name in due {
            if !at_once && !self.not_begun.contains_key(&name) {
                self.not_begun.insert(name, String::new());
                continue;
            }
            match planner::next::begin(&self.state, &name, now_ms) {
                // A write that failed is logged and counted where it fails; the next second tries again.
                Ok(decision) => drop(self.carry_out(decision, now_ms)),
                Err(refusal) => {
                    let why = refusal.to_string();
                    if self.not_begun.get(&name) != Some(&why) {
                        warn!(service = %name, "the new canary is not started yet: {why}");
                        self.not_begun.insert(name, why);
                    }
                }
            }
        }
        self.waiting = planner::next::waiting(&self.state, now_ms);
    }

    /// Notes requests that an API refused: this one's, or that of a control plane which follows.
    pub(super) fn note_refused(&mut self, refused: Refused, now_ms: u64) {
        self.audit.refused(refused, now_ms);
    }

    /// Stores what the audit log has and the store has not; at the `end`, sums that are still open, too.
    pub(super) fn keep_audit(&mut self, now_ms: u64, end: bool) {
        self.audit.tick(now_ms, end);
        let facts = self.audit.changes();
        if facts.is_empty() || self.failing || self.unsaved.is_some() {
            return;
        }
        let nothing = Commit::of_evidence(self.stored, self.state.next_rollout, BTreeMap::new());
        // A failure is logged and counted where it happens; the entries wait for the next second.
        match self.write(&Commit { facts, ..nothing }) {
            Ok(()) => self.audit.written(),
            Err(_) if end => warn!("entries of the audit log could not be stored before the end"),
            Err(_) => {}
        }
    }
}
