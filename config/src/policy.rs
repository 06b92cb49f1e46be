//! How a rollout proceeds: its steps, the guards on the canary, and what evidence is enough.

use std::time::Duration;

use serde::Serialize;

use crate::weight::Weight;

/// The weights of the default steps, in parts per million: evidence is cheapest in users at small shares,
/// so most of the steps are there.
pub const STEP_WEIGHTS_DEFAULT: [u32; 6] = [10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];
/// Requests of the canary that a step judges, unless it says otherwise.
pub const STEP_MIN_REQUESTS_DEFAULT: u64 = 500;
/// How long a step lasts at least, unless it says otherwise.
pub const STEP_MIN_DURATION_DEFAULT: Duration = Duration::from_secs(10);
/// How long a step waits for evidence, unless it says otherwise.
pub const STEP_MAX_DURATION_DEFAULT: Duration = Duration::from_secs(3600);
/// The default of [`RolloutPolicy::false_alarm`].
pub const FALSE_ALARM_DEFAULT: f64 = 1e-4;
/// The default of [`RolloutPolicy::false_pass`].
pub const FALSE_PASS_DEFAULT: f64 = 0.05;

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

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self {
            steps: STEP_WEIGHTS_DEFAULT.into_iter().filter_map(Weight::from_ppm).map(Step::at).collect(),
            on_timeout: OnTimeout::Hold,
            guards: Guards::default(),
            false_alarm: FALSE_ALARM_DEFAULT,
            false_pass: FALSE_PASS_DEFAULT,
        }
    }
}

/// One weight, and what must be seen at it before the next.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The canary's share during the step.
    pub weight: Weight,
    /// Requests of the canary that must have been judged in this step.
    pub min_requests: u64,
    /// The step lasts at least this long.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub min_duration: Duration,
    /// After this, [`RolloutPolicy::on_timeout`] says what is done.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub max_duration: Duration,
}

impl Step {
    /// A step at `weight` with the default conditions.
    pub const fn at(weight: Weight) -> Self {
        Self {
            weight,
            min_requests: STEP_MIN_REQUESTS_DEFAULT,
            min_duration: STEP_MIN_DURATION_DEFAULT,
            max_duration: STEP_MAX_DURATION_DEFAULT,
        }
    }
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
    #[serde(serialize_with = "crate::duration::serialize_any")]
    pub max_p99: Option<Duration>,
}

impl Default for Guards {
    fn default() -> Self {
        Self { errors: Some(ErrorComparison::default()), max_error_rate: None, max_p99: None }
    }
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

impl Default for ErrorComparison {
    /// An error rate up to a fifth and 0.005 percentage points higher is taken for noise: without that
    /// tolerance, the differences between healthy endpoints alone would roll canaries back.
    fn default() -> Self {
        let ppm = |ppm| Weight::from_ppm(ppm).unwrap_or(Weight::ZERO);
        Self { ratio: 1.2, margin: ppm(50), pass_ratio: 1.5, pass_margin: ppm(500) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_steps_rise_to_the_whole_and_the_default_margins_are_not_zero() {
        let steps = RolloutPolicy::default().steps;
        assert_eq!(steps.len(), STEP_WEIGHTS_DEFAULT.len());
        assert!(steps.is_sorted_by(|a, b| a.weight < b.weight));
        assert_eq!(steps.last().unwrap().weight, Weight::WHOLE);
        assert_eq!(ErrorComparison::default().margin.to_string(), "0.005%");
        assert_eq!(ErrorComparison::default().pass_margin.to_string(), "0.05%");
    }
}
