//! The closed set of requests. Whoever asks (the API, a changed file, a test) says it with one of these;
//! there is no other way to move a weight by hand.
//!
//! Each request carries who asked and why: both end up in the journal, beside what became of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serin_config::{Catalogue, Generation, ServiceName, Split, VersionName, limits::REASON_CHARS_MAX};

/// Who asked for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A person or program that used the API.
    Api,
    /// The configuration file.
    File,
    /// The judge: evidence, or the time limit of a step.
    Judge,
    /// A proxy whose trip-wire took the canary out.
    Proxy,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::File => "file",
            Self::Judge => "judge",
            Self::Proxy => "proxy",
        })
    }
}

/// One request to the planner.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked for.
    pub command: Command,
    /// Who asks.
    pub actor: Actor,
    /// Why, in the words of whoever asks; may be empty. Kept to [`REASON_CHARS_MAX`] characters.
    pub reason: String,
}

impl Request {
    /// A request by `actor`; a longer reason is cut. It is shown on terminals and in logs, so what steers
    /// these (line ends, escapes) becomes a space.
    pub fn new(command: Command, actor: Actor, reason: &str) -> Self {
        Self {
            command,
            actor,
            reason: reason
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(REASON_CHARS_MAX)
                .collect(),
        }
    }
}

/// What can be asked for.
#[derive(Debug, Clone)]
pub enum Command {
    /// Sets the split of a service by hand.
    SetWeights {
        /// The service.
        service: ServiceName,
        /// The split that it shall have; versions that it leaves out get nothing.
        split: Split,
        /// The plan on which the caller's choice rests: refused if another one is in force.
        if_generation: Generation,
    },
    /// Starts or steers the rollout of a service.
    Rollout {
        /// The service.
        service: ServiceName,
        /// What to do.
        action: Action,
        /// As for [`Command::SetWeights`], but only where the caller gives it.
        if_generation: Option<Generation>,
    },
    /// Takes back what the last rollout of a service did: the split from before it comes back.
    Undo {
        /// The service.
        service: ServiceName,
        /// As for [`Command::Rollout`].
        if_generation: Option<Generation>,
        /// Versions that no proxy can send a request to. Whoever carries the command to the planner fills it in:
        /// it is what the proxies say at that moment.
        unready: Vec<VersionName>,
    },
    /// Takes the routes and services of a changed file.
    Reload(Arc<Catalogue>),
}

/// What can be done with a rollout by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Begins the canary's rollout at the policy's first step.
    Start,
    /// Stays at this weight until resumed. Guards are watched on: a failing canary is still taken out.
    Pause,
    /// Goes on after a pause, or gives a step that ran out of time its time again.
    Resume,
    /// Goes to the next step now, without waiting for evidence.
    Promote {
        /// Straight to 100 %.
        full: bool,
    },
    /// Leaves the present step out, and goes to the next one. Never ends the rollout: that is to promote it.
    Skip,
    /// Takes the canary out.
    Abort,
    /// Begins the last rollout again, from its first step, if it did not end in a promotion.
    Retry,
}
