//! How a rollout proceeds: its steps, the guards on the canary, and what evidence is enough.
//!
//! A file may say every part of it, or choose a [`Preset`] and say nothing; what is left out comes from the preset.

mod actions;
mod copying;
mod guards;
mod mode;
mod preset;
pub(crate) mod step;
mod strategy;

use std::time::Duration;

use serde::Serialize;

pub use self::{
    actions::{Actions, BlastRadius, BothWorse, Mounting, Probe},
    copying::{COPIED_METHODS_DEFAULT, Copying},
    guards::{
        CountedBy, Direction, EVENT_RATIO_DEFAULT, ErrorComparison, EventGuard, Guards, LatencyComparison,
    },
    mode::{ErrorWeights, Mode, SCORE_FAIL_BELOW_DEFAULT, SCORE_PASS_FROM_DEFAULT},
    preset::{Preset, STRATA_DEFAULT},
    step::{
        Margin, STEP_MAX_DURATION_DEFAULT, STEP_MIN_DURATION_DEFAULT, STEP_MIN_REQUESTS_DEFAULT, Step, Until,
        share_text,
    },
    strategy::{BAKE_DEFAULT, OnFail, OnNewCanary, Strategy},
};

/// The way from the canary's first share to all of the traffic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RolloutPolicy {
    /// Where the values come from that the file leaves out.
    pub preset: Preset,
    /// The steps in order: first those that copy requests, whose shares rise, then those with users, whose weights
    /// rise. The last is 100 %.
    pub steps: Vec<Step>,
    /// How requests are copied, in steps that do.
    #[serde(skip_serializing_if = "Copying::is_default")]
    pub mirror: Copying,
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
    /// How the canary gets its traffic.
    #[serde(skip_serializing_if = "Strategy::is_default")]
    pub strategy: Strategy,
    /// For so long the canary is watched once it has everything, against its limits; the steps hold it as one at 100 %
    /// that is not the last. Zero for none.
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "crate::duration::serialize")]
    pub bake: Duration,
    /// What is done when a guard fails.
    #[serde(skip_serializing_if = "OnFail::is_default")]
    pub on_fail: OnFail,
    /// What a file means that names another canary while this rollout is in progress.
    #[serde(skip_serializing_if = "OnNewCanary::is_default")]
    pub on_new_canary: OnNewCanary,
}

impl RolloutPolicy {
    /// Whether the canary is judged by copies before it has a user.
    pub fn copies_first(&self) -> bool {
        self.steps.iter().any(|step| step.mirror.is_some())
    }
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Preset::default().policy()
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
