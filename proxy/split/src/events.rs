//! Business events that an answer names in a header: an order, a login that failed.
//!
//! A header names what it will, so only the events that the configuration lists are looked for, and each counts once
//! for an answer. What an answer named is a few bits; names are looked up again when the attempt is counted.

use http::{HeaderMap, HeaderName};
use serin_config::{EventName, service::Events as Listed};

/// The events of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    header: HeaderName,
    names: Vec<EventName>,
}

/// Which events an answer named: bits in the order of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named(u32);

impl Events {
    /// Those that the configuration lists; none if nothing could ever be seen.
    pub fn new(events: &Listed) -> Option<Self> {
        let header = HeaderName::from_bytes(events.header.as_bytes()).ok()?;
        let names = events.names.iter().take(Named::ROOM).cloned().collect::<Vec<_>>();
        (!names.is_empty()).then_some(Self { header, names })
    }

    /// What an answer with these headers names.
    pub fn named(&self, headers: &HeaderMap) -> Named {
        let mut named = Named::default();
        for value in headers.get_all(&self.header) {
            for word in value.as_bytes().split(|byte| *byte == b',') {
                let word = word.trim_ascii();
                let at = self.names.iter().position(|name| name.as_str().as_bytes() == word);
                named.0 |= at.map_or(0, |at| 1 << at);
            }
        }
        named
    }

    /// The names of those.
    pub fn names(&self, named: Named) -> impl Iterator<Item = &EventName> {
        let each = self.names.iter().enumerate();
        each.filter(move |(at, _)| named.0 & (1 << at) != 0).map(|(_, name)| name)
    }
}

impl Named {
    const ROOM: usize = serin_config::limits::EVENTS_MAX;

    /// Whether the answer named none.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(names: &[&str]) -> Option<Events> {
        let names = names.iter().map(|name| EventName::try_new(name).unwrap()).collect();
        Events::new(&Listed { header: "x-event".into(), names })
    }

    fn named(events: &Events, values: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-event", value.parse().unwrap());
        }
        events.names(events.named(&headers)).map(ToString::to_string).collect()
    }

    #[test]
    fn listed_events_are_found_once_each_in_lines_and_between_commas() {
        let events = events(&["order", "login", "refund"]).unwrap();
        assert_eq!(named(&events, &["login"]), ["login"]);
        assert_eq!(named(&events, &["refund, order", "order ,,x"]), ["order", "refund"]);
        assert_eq!(named(&events, &["orders", "", "Login"]), [""; 0]);
        assert!(events.named(&HeaderMap::new()).is_none());
    }

    #[test]
    fn the_last_of_the_most_events_has_a_bit_too_and_none_is_nothing() {
        let all: Vec<String> = (0..Named::ROOM).map(|i| format!("e{i}")).collect();
        let events = events(&all.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        let last = all.last().unwrap().clone();
        assert_eq!(named(&events, &[&last]), [last]);
        assert_eq!(super::tests::events(&[]), None);
    }
}
