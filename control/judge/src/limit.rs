//! Does the canary have more bad requests than a fixed limit allows?
//!
//! There is no stable version in this question, so it is a plain likelihood ratio of shares: against p ≤ p*, the factor
//! of a window with x bad of n requests is, for an alternative share p > p*,
//!
//! ```text
//! ln S = x·ln(p/p*) + (n − x)·ln((1 − p)/(1 − p*))
//! ```
//!
//! which rises with x and has an expectation of at most one up to p*. The same mixture over alternatives and starting
//! times as in the comparison finds late breaches, and the same cap per window keeps one pause of a
//! second, in which every request of a process is bad for one common reason, from deciding alone.

use serde::{Deserialize, Serialize};

use crate::{
    block::Trials,
    exact,
    mixture::{Cap, Mixture, Restarts},
};

/// Alternative shares as multiples of the limit. The first finds a canary that sits just above it.
const MULTIPLES: [f64; 5] = [1.25, 2.0, 5.0, 20.0, 50.0];
/// The largest alternative share: next to everything is bad.
const SHARE_MAX: f64 = 0.9;
/// A limit of 0 % or 100 % is moved inside by this, the smallest step of a percentage: one bad request in a
/// million is then within the limit, and no logarithm is infinite.
const STEP: f64 = 1e-6;

/// ln S of a window for the alternative share `p`.
pub(crate) fn ln_factor(trials: Trials, limit: f64, p: f64) -> f64 {
    let good = trials.requests.saturating_sub(trials.bad);
    trials.bad as f64 * (p / limit).ln() + good as f64 * ((-p).ln_1p() - (-limit).ln_1p())
}

/// The evidence that the share of bad requests is above the limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Limit {
    #[serde(with = "exact")]
    share: f64,
    #[serde(with = "exact::many")]
    alternatives: Vec<f64>,
    cap: Cap,
    /// What the logarithm of each factor is divided by.
    #[serde(with = "exact")]
    clump: f64,
    mixture: Mixture,
}

impl Limit {
    /// Against a limit of `share` of the requests, 0 to 1.
    pub(crate) fn new(share: f64, cap: Cap) -> Self {
        let share = share.clamp(STEP, 1.0 - STEP);
        let largest = if share < SHARE_MAX { SHARE_MAX } else { (1.0 + share) / 2.0 };
        let below = MULTIPLES.into_iter().map(|multiple| multiple * share).filter(|p| *p < largest);
        let alternatives: Vec<f64> = below.chain([largest]).collect();
        let mixture = Mixture::new(alternatives.len(), Restarts::default());
        Self { share, alternatives, cap, clump: 1.0, mixture }
    }

    /// Forgets all evidence; from now on the logarithm of each factor is divided by `clump`.
    pub(crate) fn restart(&mut self, clump: f64) {
        self.clump = clump;
        self.mixture.restart();
    }

    /// Takes window number `window`; one without requests says nothing.
    pub(crate) fn observe(&mut self, window: u64, trials: Trials) {
        if trials.requests == 0 {
            return;
        }
        let cap = self.cap.of(trials.requests, trials.bad);
        let (share, alternatives, clump) = (self.share, &self.alternatives, self.clump);
        self.mixture
            .multiply(window, |template| (ln_factor(trials, share, alternatives[template]) / clump).min(cap));
    }

    pub(crate) fn ln_e(&self) -> f64 {
        self.mixture.ln_e()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: Cap = Cap { nats: 2.0, lifted_by_majority: false };

    fn after(limit: f64, windows: u64, trials: Trials) -> f64 {
        let mut evidence = Limit::new(limit, CAP);
        (0..windows).for_each(|window| evidence.observe(window, trials));
        evidence.ln_e()
    }

    #[test]
    fn one_bad_second_never_decides() {
        assert!(after(0.01, 1, Trials { requests: 10_000, bad: 10_000 }) <= 2.0);
    }

    #[test]
    fn a_share_within_the_limit_gathers_no_evidence_and_one_above_it_does() {
        assert!(after(0.01, 600, Trials { requests: 100, bad: 1 }) < 3.0);
        assert!(after(0.01, 10, Trials { requests: 100, bad: 20 }) > 9.3);
        assert!(after(0.10, 600, Trials { requests: 1000, bad: 130 }) > 9.3);
    }

    #[test]
    fn limits_at_both_ends_stay_finite() {
        for limit in [0.0, 1e-6, 0.5, 0.95, 1.0] {
            for bad in [0, 1, 50, 100] {
                let ln_e = after(limit, 3, Trials { requests: 100, bad });
                assert!(ln_e.is_finite(), "{limit} {bad} {ln_e}");
            }
        }
    }
}
