//! The answer of one moment in a few bytes: what is asked for every second, whereas the whole verdict, with
//! everything that it rests on, is made when somebody wants to read it.

use serde::{Deserialize, Serialize};

use crate::{guard::Guard, verdict::State};

/// What the evidence asks for. The control plane decides whether it is done: a rollout may be paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Advice {
    /// Take the canary out, at once.
    Rollback,
    /// Halve the canary's weight: evidence against it mounts. Asked for again and again while that lasts.
    Lower,
    /// Stay at this weight, even if the step has run out of its time.
    Hold {
        /// Whether somebody should look at it.
        notify: bool,
    },
    /// Stay at this weight until there is more evidence, or the step's time is over.
    #[default]
    Continue,
    /// Go on to the next step.
    Promote,
}

/// The verdict in short. Logarithms are natural.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// The answer.
    pub state: State,
    /// What it asks for.
    pub advice: Advice,
    /// The evidence against the canary as the policy's mode combines it; −∞ before there is any.
    pub ln_e: f64,
    /// The height at which the canary fails.
    pub ln_threshold: f64,
    /// What contributed most, if the answer is `fail`.
    pub culprit: Option<Guard>,
}
