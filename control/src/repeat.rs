//! Changes that are sent twice: a client that got no answer sends the same again, and it must not be done again.
//!
//! A change may carry a key that its client chose. The planner remembers, in the transaction of the decision
//! itself, that this key's change is done and which plan it made; the same change with the same key is then
//! answered from memory. Another change with that key is refused. What was refused is not remembered: nothing was
//! done, so to ask again is to ask anew. Keys are each caller's own, and only their hashes are kept.
//!
//! Each is a fact of the store, `repeat/HASH`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serin_config::{
    Generation,
    limits::{REPEAT_LIFE, REPEATS_MAX},
};

use crate::store::{FactChanges, Facts};

/// The key of a change, and what change it is; both hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatKey {
    /// Of the caller and the key.
    pub key: String,
    /// Of the method, the path and the body.
    pub change: String,
}

/// A change that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    change: String,
    /// The plan in force when it was done.
    pub generation: Generation,
    at_ms: u64,
}

/// Another change has that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTaken;

/// The changes that are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repeats(BTreeMap<String, Done>);

const PREFIX: &str = "repeat/";

#[expect(clippy::cast_possible_truncation, reason = "a day")]
const LIFE_MS: u64 = REPEAT_LIFE.as_millis() as u64;

impl Repeats {
    /// Those among the facts of a store.
    pub fn from_facts(facts: &Facts) -> Self {
        let of = |(name, fact): (&String, &serde_json::Value)| {
            let key = name.strip_prefix(PREFIX)?.to_owned();
            Some((key, serde_json::from_value(fact.clone()).ok()?))
        };
        Self(
            facts
                .range(PREFIX.to_owned()..)
                .take_while(|(name, _)| name.starts_with(PREFIX))
                .filter_map(of)
                .collect(),
        )
    }

    /// What became of this change, if it was done.
    pub fn find(&self, key: &RepeatKey, now_ms: u64) -> Result<Option<&Done>, KeyTaken> {
        match self.0.get(&key.key).filter(|done| !done.is_over(now_ms)) {
            Some(done) if done.change == key.change => Ok(Some(done)),
            Some(_) => Err(KeyTaken),
            None => Ok(None),
        }
    }

    /// Remembers a change that is done, and forgets what is over, or too much.
    pub(crate) fn remember(&mut self, key: &RepeatKey, generation: Generation, now_ms: u64) -> FactChanges {
        let done = Done { change: key.change.clone(), generation, at_ms: now_ms };
        let mut gone: Vec<String> =
            self.0.iter().filter(|(_, done)| done.is_over(now_ms)).map(|(key, _)| key.clone()).collect();
        if self.0.len() - gone.len() >= REPEATS_MAX {
            let oldest =
                self.0.iter().filter(|(key, _)| !gone.contains(key)).min_by_key(|(_, done)| done.at_ms);
            gone.extend(oldest.map(|(key, _)| key.clone()));
        }
        gone.iter().for_each(|key| drop(self.0.remove(key)));
        let mut changes: FactChanges = gone.iter().map(|key| (format!("{PREFIX}{key}"), None)).collect();
        changes.insert(format!("{PREFIX}{}", key.key), serde_json::to_value(&done).ok());
        self.0.insert(key.key.clone(), done);
        changes
    }
}

impl Done {
    fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.at_ms.saturating_add(LIFE_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str, change: &str) -> RepeatKey {
        RepeatKey { key: key.into(), change: change.into() }
    }

    #[test]
    fn a_change_is_remembered_for_a_day_and_its_key_is_for_no_other() {
        let mut repeats = Repeats::default();
        assert_eq!(repeats.find(&key("a", "x"), 5), Ok(None));
        let changes = repeats.remember(&key("a", "x"), Generation(7), 5);
        assert!(changes["repeat/a"].is_some());
        assert_eq!(repeats.find(&key("a", "x"), 5 + LIFE_MS - 1).unwrap().unwrap().generation, Generation(7));
        assert_eq!(repeats.find(&key("a", "y"), 6), Err(KeyTaken));
        assert_eq!(repeats.find(&key("a", "y"), 5 + LIFE_MS), Ok(None));
        let facts: Facts = changes.into_iter().map(|(name, fact)| (name, fact.unwrap())).collect();
        assert_eq!(Repeats::from_facts(&facts), repeats);
        let changes = repeats.remember(&key("b", "z"), Generation(8), 5 + LIFE_MS);
        assert_eq!(changes["repeat/a"], None, "what is over goes");
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered_and_the_oldest_goes_first() {
        let mut repeats = Repeats::default();
        for n in 0..=REPEATS_MAX as u64 {
            repeats.remember(&key(&n.to_string(), "x"), Generation(n), n);
        }
        let now = REPEATS_MAX as u64;
        assert_eq!(repeats.0.len(), REPEATS_MAX);
        assert_eq!(repeats.find(&key("0", "x"), now), Ok(None));
        assert!(repeats.find(&key("1", "x"), now).unwrap().is_some());
    }
}
