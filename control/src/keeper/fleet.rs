//! Looking after the fleet: who is there, who has not followed a rollback, who is refused for its name, and who has a plan of
//! another history.

use std::collections::BTreeMap;

use serin_config::{
    Generation, ServiceName, Weight,
    limits::{FLEET_DUPLICATE_TOLD_AGAIN, PROXIES_NAMED_MAX, ROLLBACK_ACKNOWLEDGED},
    moment,
};
use tracing::{info, warn};

use super::Keeper;
use crate::{
    command::Actor,
    fleet::{duplicates::Duplicate, registry::Overdue},
    journal::{Action, Entry},
    metrics, planner,
    store::Commit,
};

impl Keeper {
    /// Shows how many proxies there are, and names those that have not followed a rollback in time: a metric, the log
    /// and the journal have them.
    pub(super) fn look_after_fleet(&mut self, now_ms: u64) {
        let Some(seat) = &self.seat else { return };
        seat.ask_for_beats(self.state.is_rolling());
        seat.ask_others();
        metrics::proxies(seat.counts());
        let overdue = seat.overdue(now_ms);
        let rollback = seat.rollback_followed();
        let ahead = seat.ahead();
        let duplicates = seat.untold_duplicates();
        match overdue {
            Some(overdue) => {
                metrics::unacknowledged(overdue.proxies());
                let reason = words(&overdue);
                let services: Vec<ServiceName> = overdue.services.into_iter().collect();
                for service in &services {
                    let note = (Action::Unacknowledged, Some(service));
                    self.note(note, overdue.generation, reason.clone(), now_ms);
                }
            }
            None if rollback => metrics::unacknowledged(0),
            None => {}
        }
        for duplicate in duplicates {
            let (whom, reason) = refused(&duplicate);
            if !self.has_told(&whom, now_ms) {
                let (note, reason) = ((Action::Duplicate, None), format!("{whom} {reason}"));
                self.note(note, self.state.plan.generation(), reason, now_ms);
            }
        }
        if let Some((proxy, theirs)) = ahead
            && let Some(decision) = planner::go_beyond(&self.state, theirs, &proxy, now_ms)
        {
            // A write that failed is logged and counted where it fails; the next second decides again. One that no longer
            // leads fails here, and moves nobody.
            let _ = self.carry_out(decision, now_ms);
        }
    }

    /// Whether the journal has a word of those already that is not old, whoever led then.
    fn has_told(&self, whom: &str, now_ms: u64) -> bool {
        let again = u64::try_from(FLEET_DUPLICATE_TOLD_AGAIN.as_millis()).unwrap_or(u64::MAX);
        self.journal.after(0, usize::MAX).iter().any(|entry| {
            entry.action == Action::Duplicate
                && now_ms.saturating_sub(entry.at_ms) < again
                && entry.reason.starts_with(whom)
        })
    }

    /// Writes into the journal what is no decision, of a service or of none.
    fn note(
        &mut self,
        (action, service): (Action, Option<&ServiceName>),
        generation: Generation,
        reason: String,
        now_ms: u64,
    ) {
        warn!(%generation, service = service.map(tracing::field::display), "{reason}");
        let record = service.and_then(|name| self.state.services.get(name));
        let group = service.and_then(|name| self.state.terms.group(name.as_str()));
        let entry = Entry {
            sequence: self.state.next_entry,
            at_ms: now_ms,
            actor: Actor::Proxy,
            who: None,
            service: service.cloned(),
            services: Vec::new(),
            group: group.map(|group| group.name.clone()),
            action,
            from: None,
            to: None,
            mirror: Weight::ZERO,
            generation,
            reason,
            with: None,
            rollout: record.and_then(|record| record.rollout.as_ref()).map(|rollout| rollout.id),
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
fn words(Overdue { generation, silent, away, refused, .. }: &Overdue) -> String {
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
    if !refused.is_empty() {
        let and = if silent.is_empty() && away.is_empty() { "" } else { ";" };
        text.push_str(&format!(
            "{and} {}: refused, since another proxy has that name, and serving on with an earlier plan",
            named(refused)
        ));
    }
    text
}

/// Which name has two, and what becomes of the one that is refused.
fn refused(Duplicate { proxy, epoch, address, generation, .. }: &Duplicate) -> (String, String) {
    let whom = format!("two proxies are called \"{proxy}\":");
    let reason = format!(
        "the one at {address}, which started earlier ({}), is refused, and serves on with plan {generation}, whatever was \
         decided since; give each proxy a name of its own (--instance, telemetry.instance), or stop one",
        moment::rfc3339_seconds(*epoch)
    );
    (whom, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_do_not_follow_are_named_and_the_names_are_bounded() {
        let many: Vec<String> = (0..PROXIES_NAMED_MAX + 3).map(|number| format!("p{number}")).collect();
        let said = words(&Overdue {
            generation: Generation(7),
            services: Default::default(),
            silent: vec!["a".into()],
            away: many,
            refused: vec!["b at 10.0.0.2:5".into()],
        });
        assert!(
            said.contains("no answer from a; no stream to p0, p1") && said.contains("and 3 more"),
            "{said}"
        );
        assert!(said.contains("; b at 10.0.0.2:5: refused"), "{said}");
    }
}
