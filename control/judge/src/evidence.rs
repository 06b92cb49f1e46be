//! The running state of one rollout's evidence.
//!
//! One value holds everything that a verdict needs, so it can be written beside the rollout and read back: what
//! is resumed goes on with the same bits. Each second it takes one [`Window`], also one without traffic, because
//! the count of windows is its clock. A step resets its own totals and nothing else; evidence belongs to the rollout.

use serde::{Deserialize, Serialize};
use serin_config::policy::{ErrorComparison, RolloutPolicy};

use crate::{
    block::{Block, Pair},
    error_rate::{ErrorRate, Tolerance},
    exact,
    limit_guard::{ERROR_CAP, LimitGuard},
    non_inferiority::NonInferiority,
    ratio::Ratio,
    recent::Recent,
    window::{Pairing, Window},
};

/// The comparison of errors: evidence against the canary, and for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ErrorGuard {
    pub(crate) worse: ErrorRate,
    pub(crate) proof: NonInferiority,
}

impl ErrorGuard {
    fn new(policy: &ErrorComparison) -> Self {
        let harmless = Tolerance { ratio: policy.ratio, margin: policy.margin.fraction() };
        let boundary = Tolerance { ratio: policy.pass_ratio, margin: policy.pass_margin.fraction() };
        Self { worse: ErrorRate::new(harmless, ERROR_CAP), proof: NonInferiority::new(boundary) }
    }
}

/// The evidence of one rollout, from its first window to its last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    #[serde(with = "exact")]
    pub(crate) false_alarm: f64,
    #[serde(with = "exact")]
    pub(crate) false_pass: f64,
    pub(crate) windows: u64,
    pub(crate) rollout: Pairing,
    pub(crate) step: Pairing,
    pub(crate) recent: Recent,
    block: Block,
    pub(crate) ratio: Ratio,
    pub(crate) errors: Option<ErrorGuard>,
    pub(crate) limits: Vec<LimitGuard>,
}

impl Evidence {
    /// Before the first window of a rollout with these guards.
    pub fn new(policy: &RolloutPolicy) -> Self {
        let guards = &policy.guards;
        let max_error_rate = guards.max_error_rate.map(|share| LimitGuard::error_rate(share.fraction()));
        let max_p99 = guards.max_p99.map(LimitGuard::p99);
        Self {
            false_alarm: policy.false_alarm,
            false_pass: policy.false_pass,
            windows: 0,
            rollout: Pairing::default(),
            step: Pairing::default(),
            recent: Recent::new(),
            block: Block::default(),
            ratio: Ratio::new(),
            errors: guards.errors.as_ref().map(ErrorGuard::new),
            limits: max_error_rate.into_iter().chain(max_p99).collect(),
        }
    }

    /// Takes the next second. Ask for the verdict after each: the promise covers every look.
    pub fn observe(&mut self, window: &Window) {
        let number = self.windows;
        self.windows += 1;
        let total = window.total();
        self.rollout.merge(&total);
        self.step.merge(&total);
        let failures: Pair = total.failures();
        self.recent.push(failures);
        if let Some(block) = self.block.add(failures) {
            self.ratio.observe(&block);
            if let Some(errors) = &mut self.errors {
                errors.worse.observe(number, &block);
                errors.proof.observe(&block);
            }
        }
        for limit in &mut self.limits {
            limit.observe(number, &total);
        }
    }

    /// Begins a step: its totals are counted anew, all evidence stays.
    pub fn begin_step(&mut self) {
        self.step = Pairing::default();
    }

    /// Windows taken so far, which is seconds.
    pub fn windows(&self) -> u64 {
        self.windows
    }
}
