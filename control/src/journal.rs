//! What was decided, by whom, on what evidence: every decision is an entry, written in the transaction that
//! makes it true.
//!
//! The newest [`JOURNAL_ENTRIES_MAX`] entries are also kept here in memory. So reading them never waits for a
//! disk, and an entry that can't be stored yet can be read all the same.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Deserialize, Deserializer, Serialize};
use serin_config::{Generation, GroupName, ServiceName, Split, Weight, limits::JOURNAL_ENTRIES_MAX};
use serin_judge::Verdict;

use crate::{
    command::{Actor, Caller},
    rollout::State,
};

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in this journal, from 1, without gaps.
    pub sequence: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What kind of somebody asked for it.
    pub actor: Actor,
    /// Who asked for it, and from where; none where nobody in particular did. Entries of older releases have none.
    #[serde(default)]
    pub who: Option<Caller>,
    /// The service; none where the decision concerns all.
    pub service: Option<ServiceName>,
    /// The services, where the decision concerns several and not all; else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceName>,
    /// The group with which the service is rolled out, where it is in one. Entries of older releases have none.
    #[serde(default)]
    pub group: Option<GroupName>,
    /// What was done.
    pub action: Action,
    /// The split before.
    pub from: Option<Split>,
    /// The split after.
    pub to: Option<Split>,
    /// The share of the stable version's requests that the canary gets copies of, after it; zero nearly always.
    #[serde(default = "nothing", skip_serializing_if = "is_nothing")]
    pub mirror: Weight,
    /// The plan that the decision made.
    pub generation: Generation,
    /// Why, in words.
    pub reason: String,
    /// The service of its group because of which this happened here: the reason names it, and has its reason too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<ServiceName>,
    /// The rollout that it belongs to.
    pub rollout: Option<u64>,
    /// What became of that rollout.
    pub state: Option<State>,
    /// The verdict at that moment, where a rollout was judged or ended.
    #[serde(default, deserialize_with = "verdict_or_none")]
    pub verdict: Option<Verdict>,
}

impl Entry {
    /// What it left, for people: the split, and of what the canary gets copies.
    pub fn left(&self) -> Option<String> {
        let split = self.to.as_ref()?;
        Some(match self.mirror {
            Weight::ZERO => split.to_string(),
            mirror => format!("{split} · copies of {mirror}"),
        })
    }

    /// The services that it concerns; none where it concerns all.
    pub fn about(&self) -> impl Iterator<Item = &ServiceName> {
        self.service.iter().chain(&self.services)
    }

    /// Whether it concerns this service: for itself, among others, or as all do.
    pub fn concerns(&self, service: &str) -> bool {
        self.about().next().is_none() || self.about().any(|name| name.as_str() == service)
    }
}

/// What entries of older releases copied.
fn nothing() -> Weight {
    Weight::ZERO
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over as it is")]
fn is_nothing(share: &Weight) -> bool {
    *share == Weight::ZERO
}

/// Reads a stored verdict. One that an older release wrote in another form is left out: what was decided still
/// stands, and a store must not be unreadable for what it says in passing.
pub(crate) fn verdict_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Verdict>, D::Error> {
    let stored = Option::<serde_json::Value>::deserialize(from)?;
    Ok(stored.and_then(|stored| serde_json::from_value(stored).ok()))
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A file was taken, at start-up or by a reload.
    Load,
    /// Weights were set, by hand or by a changed file.
    SetWeights,
    /// A rollout began.
    Start,
    /// It stays at its weight.
    Pause,
    /// It goes on.
    Resume,
    /// It went to its next step by hand, or on timeout.
    Promote,
    /// It left a step out, by hand.
    Skip,
    /// The last rollout, which had not been promoted, began again.
    Retry,
    /// What the last rollout did was taken back, by hand.
    Undo,
    /// It went to its next step, or to its end, on evidence.
    Pass,
    /// It ran out of time, or is in doubt, and stays at its weight.
    Hold,
    /// It ended without promotion, by hand or by a changed file.
    Abort,
    /// A canary that only waited to take the place of another one does not begin by itself any more, by hand.
    CallOff,
    /// The judge took the canary out.
    RollBack,
    /// The canary's share was halved, since evidence mounts against it.
    Lower,
    /// It was doubled again.
    Raise,
    /// Somebody approved a step that was passed.
    Approve,
    /// Somebody froze services: nothing goes forward there.
    Freeze,
    /// A freeze was lifted.
    Thaw,
    /// Numbers of plans go on beyond one of another history, which a proxy has.
    Renumber,
    /// No decision: proxies that had not put a plan in force in time, which takes a canary out or lowers its share.
    Unacknowledged,
    /// No decision: a proxy is refused, since another one has its name.
    Duplicate,
}

impl Action {
    /// The word in journal, log and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::SetWeights => "set_weights",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Skip => "skip",
            Self::Retry => "retry",
            Self::Undo => "undo",
            Self::Pass => "pass",
            Self::Hold => "hold",
            Self::Abort => "abort",
            Self::CallOff => "call_off",
            Self::RollBack => "roll_back",
            Self::Lower => "lower",
            Self::Raise => "raise",
            Self::Approve => "approve",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Renumber => "renumber",
            Self::Unacknowledged => "unacknowledged",
            Self::Duplicate => "duplicate",
        }
    }
}

/// The newest entries; cheap to clone, all clones are one journal.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<RwLock<VecDeque<Arc<Entry>>>>);

impl Journal {
    /// Adds entries, in rising sequence; the oldest beyond the bound are forgotten.
    pub fn extend(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            kept.push_back(Arc::new(entry));
            if kept.len() as u64 > JOURNAL_ENTRIES_MAX {
                kept.pop_front();
            }
        }
    }

    /// At most `limit` entries after the sequence `after`, the oldest first.
    pub fn after(&self, after: u64, limit: usize) -> Vec<Arc<Entry>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let from = kept.partition_point(|entry| entry.sequence <= after);
        kept.range(from..).take(limit).cloned().collect()
    }

    /// The sequence of the newest entry; 0 while there is none.
    pub fn last(&self) -> u64 {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.back().map_or(0, |entry| entry.sequence)
    }

    /// Forgets what there is, and keeps these, in rising sequence; of them the newest.
    pub fn replace(&self, entries: impl IntoIterator<Item = Entry>) {
        let entries: VecDeque<Arc<Entry>> = entries.into_iter().map(Arc::new).collect();
        let most = usize::try_from(JOURNAL_ENTRIES_MAX).unwrap_or(usize::MAX);
        let surplus = entries.len().saturating_sub(most);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = entries.into_iter().skip(surplus).collect();
    }

    /// The newest `limit` entries, newest first: those of one service if given (entries that concern all
    /// services are among them), and only those below the sequence `before` if given.
    pub fn newest(&self, service: Option<&str>, before: Option<u64>, limit: usize) -> Vec<Arc<Entry>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = |entry: &&Arc<Entry>| {
            service.is_none_or(|name| entry.concerns(name))
                && before.is_none_or(|before| entry.sequence < before)
        };
        kept.iter().rev().filter(wanted).take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, service: Option<&str>) -> Entry {
        Entry {
            sequence,
            at_ms: 0,
            actor: Actor::Api,
            who: None,
            service: service.map(|name| ServiceName::try_new(name).unwrap()),
            services: Vec::new(),
            group: None,
            action: Action::SetWeights,
            from: None,
            to: None,
            mirror: Weight::ZERO,
            generation: Generation(sequence),
            reason: String::new(),
            with: None,
            rollout: None,
            state: None,
            verdict: None,
        }
    }

    fn sequences(entries: &[Arc<Entry>]) -> Vec<u64> {
        entries.iter().map(|entry| entry.sequence).collect()
    }

    #[test]
    fn the_newest_entries_come_first_and_can_be_paged_and_filtered() {
        let journal = Journal::default();
        journal.extend([entry(1, Some("a")), entry(2, Some("b")), entry(3, None), entry(4, Some("a"))]);
        assert_eq!(sequences(&journal.newest(None, None, 2)), [4, 3]);
        assert_eq!(sequences(&journal.newest(None, Some(3), 9)), [2, 1]);
        assert_eq!(sequences(&journal.newest(Some("a"), None, 9)), [4, 3, 1]);
        assert_eq!(sequences(&journal.after(1, 2)), [2, 3]);
        assert_eq!(sequences(&journal.after(4, 2)), [] as [u64; 0]);
        assert_eq!((journal.last(), Journal::default().last()), (4, 0));
    }

    #[test]
    fn a_journal_that_is_replaced_holds_nothing_of_the_one_before() {
        let journal = Journal::default();
        journal.extend([entry(1, None), entry(2, None), entry(3, None)]);
        journal.replace((2..=JOURNAL_ENTRIES_MAX + 3).map(|sequence| entry(sequence, None)));
        let all = journal.newest(None, None, usize::MAX);
        assert_eq!((all.len() as u64, all.last().unwrap().sequence), (JOURNAL_ENTRIES_MAX, 4));
    }

    #[test]
    fn the_journal_is_bounded() {
        let journal = Journal::default();
        journal.extend((1..=JOURNAL_ENTRIES_MAX + 5).map(|sequence| entry(sequence, None)));
        let all = journal.newest(None, None, usize::MAX);
        assert_eq!(all.len() as u64, JOURNAL_ENTRIES_MAX);
        assert_eq!(all.last().unwrap().sequence, 6);
    }

    #[test]
    fn an_entry_of_an_older_release_is_read_and_names_nobody() {
        let mut old = serde_json::to_value(entry(1, None)).unwrap();
        for newer in ["who", "group"] {
            old.as_object_mut().unwrap().remove(newer);
        }
        assert_eq!(serde_json::from_value::<Entry>(old).unwrap(), entry(1, None));
    }

    #[test]
    fn an_action_serialises_as_its_label() {
        for action in [
            Action::Load,
            Action::SetWeights,
            Action::RollBack,
            Action::Pass,
            Action::Lower,
            Action::Raise,
            Action::Skip,
            Action::Retry,
            Action::Undo,
            Action::CallOff,
            Action::Approve,
            Action::Renumber,
        ] {
            assert_eq!(serde_json::to_string(&action).unwrap(), format!("\"{}\"", action.label()));
        }
    }
}
