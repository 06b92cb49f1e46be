//! How a rollout proceeds: its steps, the guards on the canary, and what evidence is enough.

use std::time::Duration;

use serde::Serialize;

use crate::{
    name::EventName,
    outcome::{Outcome, OutcomeCounts},
    weight::Weight,
};

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
/// The default of [`RolloutPolicy::soak`].
pub const SOAK_DEFAULT: Duration = Duration::from_secs(300);
/// The default of [`RolloutPolicy::strata`].
pub const STRATA_DEFAULT: usize = 20;
/// The default of [`RolloutPolicy::false_pass`].
pub const FALSE_PASS_DEFAULT: f64 = 0.05;

/// The way from the canary's first share to all of the traffic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RolloutPolicy {
    /// Where the values come from that the file leaves out.
    pub preset: Preset,
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
    /// The whole rollout is watched at least this long before the canary gets everything.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub soak: Duration,
    /// For so long a fresh canary (cold caches, compilation) is granted a wider tolerance in latency; errors
    /// are judged from the first request on. Zero for none.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub warm_up: Duration,
    /// Routes that are compared each for itself, the busiest ones; the others are pooled. From 1.
    pub strata: usize,
    /// How few requests a version gets that is new to users; none where it gets its share at once.
    pub probe: Option<Probe>,
    /// What is done on evidence that is not yet a verdict.
    pub actions: Actions,
    /// What the canary may cost at most, whatever the statistics say.
    pub blast_radius: BlastRadius,
    /// How the guards' evidence becomes one verdict.
    pub mode: Mode,
    /// What each kind of failure counts.
    pub error_weights: ErrorWeights,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self {
            preset: Preset::Balanced,
            steps: STEP_WEIGHTS_DEFAULT.into_iter().filter_map(Weight::from_ppm).map(Step::at).collect(),
            on_timeout: OnTimeout::Hold,
            guards: Guards::default(),
            false_alarm: FALSE_ALARM_DEFAULT,
            false_pass: FALSE_PASS_DEFAULT,
            soak: SOAK_DEFAULT,
            warm_up: Duration::ZERO,
            strata: STRATA_DEFAULT,
            probe: Some(Probe::default()),
            actions: Actions::default(),
            blast_radius: BlastRadius::default(),
            mode: Mode::Evidence,
            error_weights: ErrorWeights::default(),
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
    /// What the canary must be proven to be better than before the next step; none for the margins of
    /// [`ErrorComparison`]. Early steps may ask for less: what comes next exposes few users.
    pub pass: Option<Margin>,
}

/// Not inferior: an error rate below `ratio` × the stable version's + `margin`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Margin {
    /// At least 1.
    pub ratio: f64,
    /// A share of the requests.
    pub margin: Weight,
}

impl Step {
    /// A step at `weight` with the default conditions.
    pub const fn at(weight: Weight) -> Self {
        Self {
            weight,
            min_requests: STEP_MIN_REQUESTS_DEFAULT,
            min_duration: STEP_MIN_DURATION_DEFAULT,
            max_duration: STEP_MAX_DURATION_DEFAULT,
            pass: None,
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
    /// It must not be slower than the stable version is in the same seconds.
    pub latency: Option<LatencyComparison>,
    /// The canary's error rate must stay below this share of its requests, as parts per million.
    pub max_error_rate: Option<Weight>,
    /// 99 of 100 requests of the canary must have response headers within this time.
    #[serde(serialize_with = "crate::duration::serialize_any")]
    pub max_p99: Option<Duration>,
    /// Business events that must not come more, or less, often than with the stable version.
    pub events: Vec<EventGuard>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            errors: Some(ErrorComparison::default()),
            latency: Some(LatencyComparison::default()),
            max_error_rate: None,
            max_p99: None,
            events: Vec::new(),
        }
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

/// A set of defaults, named by how much is risked for speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Fewer false alarms still, and a longer look.
    Cautious,
    /// What suits most.
    #[default]
    Balanced,
    /// Quicker in both directions.
    Fast,
}

/// The tolerances of the comparison of latencies: a canary is slower where its distribution lies to the right
/// of the stable version's by more than this.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyComparison {
    /// Harmless up to the 95th percentile, as a part of the stable version's latency: 0.044 is 4.4 %. Twice as
    /// much is harmless at the 99th, three times at the 99.9th percentile.
    pub tolerance: f64,
    /// A difference below this is harmless everywhere.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub min_difference: Duration,
    /// Whether promotion needs proof that the canary is not slower.
    pub proof: bool,
}

impl Default for LatencyComparison {
    /// Pods of one version differ by some three per cent.
    fn default() -> Self {
        Self { tolerance: 0.044, min_difference: Duration::from_millis(1), proof: true }
    }
}

/// A condition on events that responses name in a header, or that others count.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventGuard {
    /// The event.
    pub event: EventName,
    /// Which direction is bad.
    pub bad: Direction,
    /// Harmless: up to this ratio between the versions, in the bad direction. At least 1.
    pub ratio: f64,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More events for each request.
    More,
    /// Fewer.
    Fewer,
}

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

/// How the guards' evidence becomes one verdict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Mode {
    /// All evidence together, by fixed weights that sum to one: the promised false alarm holds exactly.
    Evidence,
    /// The canary fails as soon as one guard alone proves it, each with its part of the promise (OR).
    Any,
    /// The canary fails when every guard that is on proves it (AND): slow, and of little use with many guards.
    All,
    /// Points from 0 to 100 for each guard, averaged: 100 for no evidence, 0 at the threshold.
    Score {
        /// Below this the canary fails.
        fail_below: u8,
        /// From this on it may pass.
        pass_from: u8,
    },
}

/// What each kind of failure counts, in thousandths: 1000 is a whole failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ErrorWeights(pub [u16; Outcome::COUNT]);

impl ErrorWeights {
    /// What these attempts count together, in thousandths of a failure.
    pub fn charge(&self, outcomes: &OutcomeCounts) -> u64 {
        let each = Outcome::ALL.iter().zip(self.0);
        each.fold(0, |sum, (outcome, weight)| {
            sum.saturating_add(outcomes.of(*outcome).saturating_mul(u64::from(weight)))
        })
    }
}

impl Default for ErrorWeights {
    /// One for each failure, nothing for anything else.
    fn default() -> Self {
        Self(Outcome::ALL.map(|outcome| if outcome.is_failure() { 1000 } else { 0 }))
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
