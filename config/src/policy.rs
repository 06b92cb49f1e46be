//! How a rollout proceeds: its steps, the guards on the canary, and what evidence is enough.

use std::time::Duration;

use serde::Serialize;

use crate::weight::Weight;

/// The way from the canary's first share to all of the traffic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RolloutPolicy {
    /// The steps in order: weights rise, the last is 100 %.
    pub steps: Vec<Step>,
    /// What is done when a step has lasted its `max_duration` on insufficient evidence.
    pub on_timeout: OnTimeout,
    /// The conditions on the canary.
    pub guards: Guards,
    /// The promised bound on the chance that a healthy canary is ever rolled back by its guards.
    pub false_alarm: f64,
    /// The accepted chance that a canary outside the promotion margin is passed.
    pub false_pass: f64,
}

/// One weight, and what must be seen at it before the next.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The canary's share during the step.
    pub weight: Weight,
    /// Requests of the canary that must have been judged in this step.
    pub min_requests: u64,
    /// The step lasts at least this long.
    pub min_duration: Duration,
    /// After this, [`RolloutPolicy::on_timeout`] says what is done.
    pub max_duration: Duration,
}

/// What is done when a step ran out of time without a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// Stay at this weight and say so; a late `pass` still moves on, a late `fail` still rolls back.
    Hold,
    /// Go on to the next step.
    Promote,
    /// Take the canary out.
    Rollback,
}

/// Conditions on the canary. Each that is present is watched all the time, paused or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Guards {
    /// The canary must not fail more than the stable version does in the same seconds.
    pub errors: Option<ErrorComparison>,
    /// The canary's error rate must stay below this share of its requests, as parts per million.
    pub max_error_rate: Option<Weight>,
    /// 99 of 100 requests of the canary must have response headers within this time.
    pub max_p99: Option<Duration>,
}

/// The tolerances of the comparison of error rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ErrorComparison {
    /// Harmless: the canary's error rate up to `ratio` × the stable version's + `margin`. At least 1.
    pub ratio: f64,
    /// See `ratio`.
    pub margin: Weight,
    /// Promotion needs proof that the canary's error rate is below `pass_ratio` × stable's + `pass_margin`.
    pub pass_ratio: f64,
    /// See `pass_ratio`.
    pub pass_margin: Weight,
}
