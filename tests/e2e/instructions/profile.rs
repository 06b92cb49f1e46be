//! Instructions by function, read from what callgrind writes.
//!
//! Its format: lines `fn=(7) name` open a function (later ones `fn=(7)` alone), lines that begin with a position say what
//! was spent there, and a line after `calls=` says what a called function spent, which is that one's own.

use std::collections::{BTreeMap, HashMap};

/// Instructions of each function itself, without those that it calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Profile(pub(super) BTreeMap<String, f64>);

impl Profile {
    /// Reads one thread's file.
    pub(super) fn parse(text: &str) -> Self {
        let (mut names, mut of) = (HashMap::new(), BTreeMap::<String, f64>::new());
        let (mut function, mut is_call) = (String::new(), false);
        for line in text.lines() {
            if let Some(named) = line.strip_prefix("fn=") {
                let (id, name) = named.split_once(' ').unwrap_or((named, ""));
                if !name.is_empty() {
                    names.insert(id.to_owned(), name.to_owned());
                }
                function = names.get(id).cloned().unwrap_or_else(|| id.to_owned());
            } else if let Some(named) = line.strip_prefix("cfn=") {
                // The first mention of a name may be a call.
                if let Some((id, name)) = named.split_once(' ') {
                    names.insert(id.to_owned(), name.to_owned());
                }
            } else if line.starts_with("calls=") {
                is_call = true;
            } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
                let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<f64>().ok()).unwrap_or(0.0);
                if !std::mem::take(&mut is_call) {
                    *of.entry(plain(&function)).or_default() += cost;
                }
            }
        }
        Self(of)
    }

    pub(super) fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// The same for one request of so many.
    pub(super) fn per(mut self, requests: f64) -> Self {
        self.0.values_mut().for_each(|cost| *cost /= requests);
        self
    }

    /// Functions that cost more than in `budget`, the most grown first: name, before, now.
    pub(super) fn grown<'a>(&'a self, budget: &Self) -> Vec<(&'a str, f64, f64)> {
        let with = |(name, now): (&'a String, &f64)| {
            (name.as_str(), budget.0.get(name).copied().unwrap_or(0.0), *now)
        };
        let mut grown: Vec<_> = self.0.iter().map(with).filter(|(_, before, now)| now > before).collect();
        grown.sort_by(|one, other| (other.2 - other.1).total_cmp(&(one.2 - one.1)));
        grown
    }
}

/// The name without what changes with each build: the disambiguators of crates and of clones.
fn plain(name: &str) -> String {
    let name = name.split("'").next().unwrap_or(name);
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        match after.split_once(']') {
            Some((hash, behind)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
                rest = behind;
            }
            _ => {
                plain.push('[');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[test]
fn what_a_called_function_spends_is_its_own() {
    let text = "events: Ir\n\nfl=(1) a.rs\nfn=(1) one\n10 5\n+2 7\ncfn=(2) two\ncalls=1 30\n12 100\n* 1\n\nfn=(2)\n30 100\n";
    let profile = Profile::parse(text);
    assert_eq!(profile.0, BTreeMap::from([("one".into(), 13.0), ("two".into(), 100.0)]));
    let mut budget = profile.clone();
    budget.0.insert("one".into(), 10.0);
    assert_eq!(profile.grown(&budget), [("one", 10.0, 13.0)]);
}
