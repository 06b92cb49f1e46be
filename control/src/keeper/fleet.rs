//! Looking after the fleet: who is there, who has not followed a rollback, and who has a plan of another history.

use std::collections::BTreeMap;

use serin_config::{
    Weight,
    limits::{PROXIES_NAMED_MAX, ROLLBACK_ACKNOWLEDGED},
};
use tracing::{info, warn};

use super::Keeper;
use crate::{
    command::Actor,
    fleet::registry::Overdue,
    journal::{Action, Entry},
    metrics, planner,
    store::Commit,
};

impl Keeper {
    /// Shows how many proxies there are, and names those that have not followed a rollback in time: a metric, the log
    /// and the journal have them.
    pub(super) fn look_after_fleet(&mut self, now_ms: u64) {
        let Some(seat) = &self.seat else { return };
        metrics::proxies(seat.counts());
        let overdue = seat.overdue(now_ms);
        let rollback = seat.rollback_followed();
        let ahead = seat.ahead();
        match overdue {
            Some(overdue) => {
                metrics::unacknowledged(overdue.silent.len() + overdue.away.len());
                self.note(&overdue, now_ms);
            }
            None if rollback => metrics::unacknowledged(0),
            None => {}
        }
        if let Some((proxy, theirs)) = ahead
            && let Some(decision) = planner::go_beyond(&self.state, theirs, &proxy, now_ms)
        {
            // A write that failed is logged and counted where it fails; the next second decides again. One that no longer
            // leads fails here, and moves nobody.
            let _ = self.carry_out(decision, now_ms);
        }
    }

    /// Writes into the journal what is no decision.
    fn note(&mut self, overdue: &Overdue, now_ms: u64) {
        let reason = words(overdue);
        warn!(generation = %overdue.generation, "{reason}");
        let entry = Entry {
            sequence: self.state.next_entry,
            at_ms: now_ms,
            actor: Actor::Proxy,
            who: None,
            service: None,
            group: None,
            action: Action::Unacknowledged,
            from: None,
            to: None,
            mirror: Weight::ZERO,
            generation: overdue.generation,
            reason,
            rollout: None,
            state: None,
            verdict: None,
        };
        self.state.next_entry += 1;
        let evidence = Commit::of_evidence(self.stored, self.state.next_rollout, BTreeMap::new());
        let commit = Commit { entries: vec![entry], ..evidence };
        self.journal.extend(commit.entries.iter().cloned());
        // What can't be stored now is stored with what comes before it, or later.
        match self.unsaved.take() {
            Some(earlier) => {
                let generation = earlier.generation;
                self.unsaved = Some(Commit { generation, ..earlier.then(commit) });
            }
            None if self.write(&commit).is_err() => self.unsaved = Some(commit),
            None => info!("the journal has it"),
        }
    }
}

/// Who it is, for people.
fn words(Overdue { generation, silent, away }: &Overdue) -> String {
    let named = |proxies: &[String]| {
        let more = proxies.len().saturating_sub(PROXIES_NAMED_MAX);
        let names = proxies[..proxies.len() - more].join(", ");
        if more == 0 { names } else { format!("{names} and {more} more") }
    };
    let mut text = format!(
        "plan {generation} takes a canary out or lowers its share, and is not in force everywhere after {} s:",
        ROLLBACK_ACKNOWLEDGED.as_secs()
    );
    if !silent.is_empty() {
        text.push_str(&format!(" no answer from {}", named(silent)));
    }
    if !away.is_empty() {
        let and = if silent.is_empty() { "" } else { ";" };
        text.push_str(&format!(
            "{and} no stream to {}, which may serve on with an earlier plan",
            named(away)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use serin_config::Generation;

    use super::*;

    #[test]
    fn those_who_do_not_follow_are_named_and_the_names_are_bounded() {
        let many: Vec<String> = (0..PROXIES_NAMED_MAX + 3).map(|number| format!("p{number}")).collect();
        let said = words(&Overdue { generation: Generation(7), silent: vec!["a".into()], away: many });
        assert!(
            said.contains("no answer from a; no stream to p0, p1") && said.contains("and 3 more"),
            "{said}"
        );
    }
}
