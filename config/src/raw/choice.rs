//! One of a few words, for rollouts: how each is read, and what is said of a word that is none of them.

use serde_json::{Value, json};

use super::{
    decode::{Fault, Leaf},
    leaf::choice_leaf,
};
use crate::{
    outcome::Outcome,
    policy::{BothWorse, CountedBy, Direction, Mounting, OnNewCanary, Preset, Strategy, Until},
    problem::{nearest, shown},
};

/// The name of a mode; what more there is to it stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeName {
    /// All evidence together.
    Evidence,
    /// One guard is enough.
    Any,
    /// Every guard must prove it.
    All,
    /// Points.
    Score,
}

choice_leaf!(
    Preset,
    "cautious, balanced or fast",
    "a set of defaults",
    [("cautious", Self::Cautious), ("balanced", Self::Balanced), ("fast", Self::Fast)]
);
choice_leaf!(
    ModeName,
    "evidence, any, all or score",
    "a way to judge",
    [("evidence", Self::Evidence), ("any", Self::Any), ("all", Self::All), ("score", Self::Score)]
);
choice_leaf!(Direction, "more or fewer", "a direction", [("more", Self::More), ("fewer", Self::Fewer)]);
choice_leaf!(CountedBy, "proxy or push", "who counts it", [("proxy", Self::Proxy), ("push", Self::Push)]);
choice_leaf!(
    Mounting,
    "hold or lower",
    "what can be done while evidence mounts",
    [("hold", Self::Hold), ("lower", Self::Lower)]
);
choice_leaf!(
    BothWorse,
    "hold or rollback",
    "what can be done when both versions are worse",
    [("hold", Self::Hold), ("rollback", Self::Rollback)]
);
choice_leaf!(
    Strategy,
    "canary, blue_green or ab",
    "a strategy",
    [("canary", Self::Canary), ("blue_green", Self::BlueGreen), ("ab", Self::Ab)]
);
choice_leaf!(Until, "pass or time", "what can end a step", [("pass", Self::Pass), ("time", Self::Time)]);
choice_leaf!(
    OnNewCanary,
    "refuse or supersede",
    "what can be done with a new canary",
    [("refuse", Self::Refuse), ("supersede", Self::Supersede)]
);

/// The kinds of failure that can be a version's fault, and a 4xx, which a policy may count.
fn weighable() -> impl Iterator<Item = Outcome> {
    Outcome::ALL.into_iter().filter(|outcome| outcome.counts() && *outcome != Outcome::Ok)
}

/// The kind of a failure that a policy may weigh.
impl Leaf for Outcome {
    const EXPECTED: &'static str = "a kind of failure such as http_5xx";
    fn read(text: &str) -> Result<Self, Fault> {
        if let Some(outcome) = weighable().find(|outcome| outcome.label() == text) {
            return Ok(outcome);
        }
        let words: Vec<_> = weighable().map(Self::label).collect();
        if Self::ALL.iter().any(|outcome| outcome.label() == text) {
            let wrong = format!("\"{text}\" is no failure that a version can cause");
            return Err(Fault::new(wrong, format!("write {}", words.join(", "))));
        }
        let right = match nearest(text, words.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("write {}", words.join(", ")),
        };
        Err(Fault::new(format!("\"{}\" is no kind of failure", shown(text)), right))
    }
    fn schema() -> Value {
        json!({ "enum": weighable().map(Self::label).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_version_can_not_cause_can_not_be_weighed() {
        for text in ["ok", "client_cancel", "overload_local"] {
            assert!(Outcome::read(text).unwrap_err().wrong.contains("can cause"), "{text}");
        }
        assert_eq!(Outcome::read("http_4xx"), Ok(Outcome::Http4xx));
        assert!(Outcome::read("http_5x").unwrap_err().right.contains("http_5xx"));
        assert_eq!(weighable().count(), 13);
    }
}
