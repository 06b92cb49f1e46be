//! The canary that waits to take the place of another one, as it is shown: for what, and since when. That one waits is no
//! state of its own (see `planner/next.rs`), so nobody would see it if it were not looked at.

use std::fmt;

use serde::{Deserialize, Serialize};
use serin_config::{VersionName, moment};

use crate::refusal::Refusal;

/// A new canary whose rollout is to begin by itself, and does not yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The canary of the file.
    pub canary: VersionName,
    /// Since when, in milliseconds since 1970: the end of the rollout that it superseded.
    pub since_ms: u64,
    /// What stands against it, by the word that the API has for such a refusal.
    pub kind: String,
    /// The same in words.
    pub why: String,
    /// The same as data, for those who may not see all the services that it names; it is known where this was made.
    #[serde(skip)]
    pub refusal: Option<Refusal>,
}

impl Waiting {
    /// Since then, for that reason.
    pub fn new(canary: VersionName, since_ms: u64, refusal: Refusal) -> Self {
        let (kind, why) = (refusal.kind().into(), refusal.to_string());
        Self { canary, since_ms, kind, why, refusal: Some(refusal) }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { canary, since_ms, why, .. } = self;
        write!(f, "{canary} waits to take its place since {}: {why}", moment::rfc3339_seconds(*since_ms))
    }
}
