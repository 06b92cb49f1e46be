//! What is done short of a verdict, and what the canary may cost until there is one.

use std::time::Duration;

use serde::Serialize;

/// The beginning of a rollout: a version that is broken outright shows it in its first requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Requests a second at most, evenly spaced.
    pub rate: u32,
    /// For so long after the canary first got weight.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub duration: Duration,
}

impl Default for Probe {
    /// 20 a second for 10 s: a dead canary costs some six users at any traffic.
    fn default() -> Self {
        Self { rate: 20, duration: Duration::from_secs(10) }
    }
}

/// What is done on evidence that is not yet a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Actions {
    /// While there is serious evidence against the canary, short of the threshold.
    pub mounting: Mounting,
    /// Where both versions are worse than a limit allows.
    pub both_worse: BothWorse,
}

impl Default for Actions {
    fn default() -> Self {
        Self { mounting: Mounting::Lower, both_worse: BothWorse::Hold }
    }
}

/// See [`Actions::mounting`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mounting {
    /// The canary's weight stays, and does not rise.
    Hold,
    /// It is halved, again and again while evidence mounts, and comes back when the evidence has gone.
    Lower,
}

/// See [`Actions::both_worse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BothWorse {
    /// Hold, and tell somebody.
    Hold,
    /// Take the canary out all the same.
    Rollback,
}

/// What a canary may cost at most during one rollout. None is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct BlastRadius {
    /// Requests of the canary that may fail.
    pub failed_requests: Option<u64>,
    /// Latency that the canary may add to its users' requests beyond the stable version's mean, in sum.
    #[serde(serialize_with = "crate::duration::serialize_any")]
    pub added_latency: Option<Duration>,
}
