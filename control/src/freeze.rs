//! Freezes by hand: somebody says "stop the line", for some services or for all, until a time or until it is lifted.
//!
//! The calendar's freezes stand in the file, these are state: each is stored as a fact of its own, and each ends with a
//! decision in the journal or by the clock. One whose time is over is no longer asked about and is dropped with the
//! next change of the set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serin_config::{ServiceName, terms::Terms};

use crate::store::{FactChanges, Facts};

/// The beginning of the names of the stored facts that are freezes.
const FACTS: &str = "freeze/";

/// One freeze by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Where; everywhere if empty.
    pub services: Vec<ServiceName>,
    /// When it began, in milliseconds since 1970.
    pub since_ms: u64,
    /// When it is over; when it is lifted if absent.
    pub until_ms: Option<u64>,
    /// Why, in words.
    pub reason: String,
}

impl Freeze {
    /// Whether it holds a service at that time.
    pub fn holds(&self, service: &str, now_ms: u64) -> bool {
        let covers = self.services.is_empty() || self.services.iter().any(|name| name.as_str() == service);
        covers && self.is_in_force(now_ms)
    }

    /// Whether its time is not over.
    pub fn is_in_force(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }
}

/// All of them, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Freezes(pub BTreeMap<u64, Freeze>);

impl Freezes {
    /// One that holds a service at that time, with its number.
    pub fn on(&self, service: &str, now_ms: u64) -> Option<(u64, &Freeze)> {
        self.0
            .iter()
            .find(|(_, freeze)| freeze.holds(service, now_ms))
            .map(|(number, freeze)| (*number, freeze))
    }

    /// What must be stored where these were before; none removes a fact.
    pub fn facts_since(&self, before: &Self) -> FactChanges {
        let gone =
            before.0.keys().filter(|number| !self.0.contains_key(number)).map(|number| (*number, None));
        let new = self.0.iter().filter(|(number, freeze)| before.0.get(number) != Some(freeze));
        // What was read from JSON, or is made of names and numbers, can be written as JSON.
        let new = new.map(|(number, freeze)| (*number, serde_json::to_value(freeze).ok()));
        gone.chain(new).map(|(number, value)| (format!("{FACTS}{number}"), value)).collect()
    }

    /// Those among the stored facts. One that can't be read is left out, and named.
    pub fn of_facts(facts: &Facts) -> (Self, Vec<String>) {
        let (mut freezes, mut unread) = (Self::default(), Vec::new());
        for (key, value) in facts {
            let Some(number) = key.strip_prefix(FACTS) else { continue };
            match (number.parse(), Freeze::deserialize(value)) {
                (Ok(number), Ok(freeze)) => drop(freezes.0.insert(number, freeze)),
                _ => unread.push(key.clone()),
            }
        }
        (freezes, unread)
    }
}

/// What keeps a service from going forward at that time, in words: a freeze of the file, or one by hand.
pub fn frozen(terms: &Terms, by_hand: &Freezes, service: &str, now_ms: u64) -> Option<String> {
    let of_file = terms.freeze(service, now_ms).map(ToString::to_string);
    of_file.or_else(|| {
        let (number, freeze) = by_hand.on(service, now_ms)?;
        let until = freeze.until_ms.map_or_else(
            || "until it is lifted".to_owned(),
            |until| format!("for another {} s", until.saturating_sub(now_ms).div_ceil(1_000)),
        );
        let why = if freeze.reason.is_empty() { "by hand" } else { &freeze.reason };
        Some(format!("freeze {number}, {until}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::fixtures::name;

    fn freeze(services: &[&str], until_ms: Option<u64>) -> Freeze {
        let services = services.iter().map(|text| name(text)).collect();
        Freeze { services, since_ms: 0, until_ms, reason: "audit".into() }
    }

    #[test]
    fn a_freeze_holds_its_services_until_its_time_is_over() {
        let some = freeze(&["shop"], Some(10));
        assert!(some.holds("shop", 9) && !some.holds("shop", 10) && !some.holds("blog", 9));
        assert!(freeze(&[], None).holds("blog", u64::MAX));
    }

    #[test]
    fn what_is_stored_reads_back_and_what_is_gone_is_removed() {
        let before = Freezes(BTreeMap::from([(3, freeze(&[], None)), (4, freeze(&["shop"], Some(5)))]));
        let after = Freezes(BTreeMap::from([(4, freeze(&["shop"], Some(5))), (9, freeze(&["blog"], None))]));
        let facts = after.facts_since(&before);
        assert_eq!(facts.keys().collect::<Vec<_>>(), ["freeze/3", "freeze/9"]);
        assert_eq!(facts["freeze/3"], None);
        let mut stored = Freezes::default().facts_since(&Freezes::default());
        assert!(stored.is_empty());
        stored.extend(after.facts_since(&Freezes::default()));
        let stored: Facts = stored.into_iter().map(|(k, v)| (k, v.unwrap())).collect();
        assert_eq!(Freezes::of_facts(&stored), (after, vec![]));
    }

    #[test]
    fn other_facts_are_left_alone_and_a_broken_freeze_is_named() {
        let stored = BTreeMap::from([
            ("token/1".to_owned(), Value::Null),
            ("freeze/2".to_owned(), Value::Bool(true)),
            ("freeze/x".to_owned(), serde_json::to_value(freeze(&[], None)).unwrap()),
        ]);
        let (read, unread) = Freezes::of_facts(&stored);
        assert_eq!((read, unread), (Freezes::default(), vec!["freeze/2".into(), "freeze/x".into()]));
    }
}
