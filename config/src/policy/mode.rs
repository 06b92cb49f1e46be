//! How evidence becomes one verdict, and what a failure counts.

use serde::Serialize;

use crate::outcome::{Outcome, OutcomeCounts};

/// The default of [`Mode::Score::fail_below`], where others who judge by points have it.
pub const SCORE_FAIL_BELOW_DEFAULT: u8 = 50;
/// The default of [`Mode::Score::pass_from`].
pub const SCORE_PASS_FROM_DEFAULT: u8 = 75;

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

    /// What one of them counts, in thousandths.
    pub const fn of(&self, outcome: Outcome) -> u16 {
        self.0[outcome.index()]
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
    fn by_default_each_failure_counts_one_and_nothing_else_counts() {
        let mut counts = OutcomeCounts::default();
        Outcome::ALL.into_iter().for_each(|outcome| counts.add(outcome));
        assert_eq!(ErrorWeights::default().charge(&counts), 1000 * counts.failed());
    }
}
