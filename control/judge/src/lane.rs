//! The fast lane: is the canary dead?
//!
//! The comparison of errors takes whole seconds, because a pause of a process or a hiccup of one machine lasts about
//! that long, and pieces of it must not pass for separate proofs. A canary that fails outright need not wait
//! for that. So beats, a quarter of a second each, run through a comparison of their own that sees nothing but
//! outages: a block's factor S counts in full, without a cap, where at least half of the canary's requests failed,
//! and as min(S, 1) otherwise. That is never more than S, whose expectation is at most one, so the lane is an
//! e-process as well. It holds a fixed part of the promise, and it has its own small blocks: beats are merged
//! until the canary has twenty requests, or five while a probe keeps its traffic low.
//!
//! Beats know nothing of clients. Where the split is sticky, one client with a broken session may be most of a quiet
//! canary's traffic; so there the lane rests as soon as a window tells of failing clients, and the comparison of errors
//! goes on alone, which counts each of them once.
//!
//! Where beats begin to come after the rollout began, the lane begins with no more capital than the other
//! guards have kept of theirs; so their sum is an e-process from the first window to the last.

use serde::{Deserialize, Serialize};
use serin_config::{
    Outcome,
    policy::{ErrorComparison, ErrorWeights},
};

use crate::{
    block::Pair,
    error_rate::{Counts, TEMPLATES, Tolerance},
    exact,
    mixture::{Mixture, Restarts},
};

/// Requests of the canary that make a block.
const REQUESTS: u64 = 20;
/// The same while a probe limits the canary to a few requests a second.
const REQUESTS_PROBING: u64 = 5;

/// The evidence that the canary fails outright.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lane {
    tolerance: Tolerance,
    /// What a failure counts at least, 0 to 1. Beats don't tell kinds of failures apart, so each of the canary's counts
    /// that much and each of the stable version's in full, which can only lower S.
    #[serde(with = "exact")]
    worth: f64,
    begun: bool,
    #[serde(with = "exact")]
    ln_capital: f64,
    /// Whether failures are a matter of clients.
    rests: bool,
    waiting: Pair,
    mixture: Mixture,
    /// The blocks of the outage that goes on, if one does.
    outage: Pair,
}

impl Lane {
    pub(crate) fn new(policy: &ErrorComparison, weights: &ErrorWeights) -> Self {
        let least = Outcome::ALL.iter().zip(weights.0).filter(|(outcome, _)| outcome.is_failure());
        let least = least.map(|(_, weight)| weight).min().unwrap_or(0);
        Self {
            tolerance: Tolerance { ratio: policy.ratio, margin: policy.margin.fraction() },
            worth: (f64::from(least) / 1000.0).min(1.0),
            begun: false,
            ln_capital: 0.0,
            rests: false,
            waiting: Pair::default(),
            mixture: Mixture::new(TEMPLATES.len(), Restarts::default()),
            outage: Pair::default(),
        }
    }

    /// Whether a beat ever came.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Before the first beat: the evidence that the other guards have at this moment.
    pub(crate) fn begin(&mut self, ln_others: f64) {
        let capital = if ln_others == f64::NEG_INFINITY { 0.0 } else { ln_others.min(0.0) };
        (self.begun, self.ln_capital) = (true, capital);
    }

    /// Takes a beat in the second `second` of the rollout. `clump`: as in the comparison of errors.
    pub(crate) fn observe(&mut self, second: u64, beat: Pair, probing: bool, clump: f64) {
        if self.rests {
            return;
        }
        self.waiting.add(beat.plausible());
        let enough = if probing { REQUESTS_PROBING } else { REQUESTS };
        if self.waiting.canary.requests < enough || self.waiting.stable.requests == 0 {
            return;
        }
        let block = std::mem::take(&mut self.waiting);
        let failed = block.canary.bad as f64 * self.worth;
        let outage = 2.0 * failed >= block.canary.requests as f64;
        if outage {
            self.outage.add(block);
        } else {
            self.outage = Pair::default();
        }
        let most = if outage { f64::INFINITY } else { 0.0 };
        let counts = Counts { canary_bad: failed, ..Counts::from(&block) };
        let factors = self.tolerance.ln_factors(&counts, &TEMPLATES, clump);
        self.mixture.multiply(second, |template| factors[template].min(most));
    }

    /// Forgets all evidence, and keeps the capital.
    pub(crate) fn restart(&mut self) {
        self.mixture = Mixture::new(TEMPLATES.len(), Restarts::default());
        (self.waiting, self.outage) = (Pair::default(), Pair::default());
    }

    /// Says nothing from now on.
    pub(crate) fn rest(&mut self) {
        if !self.rests {
            self.rests = true;
            self.restart();
        }
    }

    pub(crate) fn ln_e(&self) -> f64 {
        self.ln_capital + self.mixture.ln_e()
    }

    /// The requests of the outage that goes on; none if the last block was none.
    pub(crate) fn outage(&self) -> Pair {
        self.outage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Trials;

    fn lane() -> Lane {
        let mut lane = Lane::new(&ErrorComparison::default(), &ErrorWeights::default());
        lane.begin(f64::NEG_INFINITY);
        lane
    }

    fn beat(canary: (u64, u64), stable: (u64, u64)) -> Pair {
        let trials = |(requests, bad)| Trials { requests, bad };
        Pair { canary: trials(canary), stable: trials(stable) }
    }

    #[test]
    fn a_dead_canary_is_proven_within_half_a_second() {
        let mut lane = lane();
        let beats = (1..).find(|_| {
            lane.observe(0, beat((12, 12), (238, 0)), false, 1.0);
            lane.ln_e() >= (10.0_f64 / 1e-4).ln()
        });
        assert_eq!(beats, Some(2));
        assert_eq!(lane.outage().canary, Trials { requests: 24, bad: 24 });
    }

    #[test]
    fn a_probe_shows_a_dead_canary_in_its_first_requests() {
        let mut lane = lane();
        lane.observe(0, beat((5, 5), (250, 0)), true, 1.0);
        assert!(lane.ln_e() >= (10.0_f64 / 1e-4).ln(), "{}", lane.ln_e());
    }

    #[test]
    fn less_than_half_is_not_its_business() {
        let mut lane = lane();
        (0..400).for_each(|i| lane.observe(i / 4, beat((20, 9), (230, 0)), false, 1.0));
        assert!(lane.ln_e() <= 0.0);
        assert_eq!(lane.outage(), Pair::default());
    }

    #[test]
    fn an_outage_that_both_share_proves_nothing() {
        let mut lane = lane();
        (0..400).for_each(|i| lane.observe(i / 4, beat((20, 16), (230, 184)), false, 1.0));
        assert!(lane.ln_e() <= 0.0, "{}", lane.ln_e());
    }

    #[test]
    fn failures_that_count_for_less_prove_less_and_those_that_count_for_nothing_prove_nothing() {
        let dead = |weight: u16| {
            let weights = ErrorWeights(Outcome::ALL.map(|o| if o.is_failure() { weight } else { 0 }));
            let mut lane = Lane::new(&ErrorComparison::default(), &weights);
            lane.begin(0.0);
            lane.observe(0, beat((40, 40), (400, 0)), false, 1.0);
            lane.ln_e()
        };
        assert!(dead(1000) > dead(600) && dead(600) > 0.0);
        assert!(dead(499) <= 0.0 && dead(0) <= 0.0);
    }

    #[test]
    fn a_lane_that_begins_late_begins_with_what_the_others_have_kept() {
        for (others, capital) in [(f64::NEG_INFINITY, 0.0), (-3.0, -3.0), (5.0, 0.0)] {
            let mut late = Lane::new(&ErrorComparison::default(), &ErrorWeights::default());
            late.begin(others);
            let mut prompt = lane();
            for lane in [&mut late, &mut prompt] {
                lane.observe(0, beat((20, 20), (200, 0)), false, 1.0);
            }
            assert!((late.ln_e() - prompt.ln_e() - capital).abs() < 1e-12);
        }
    }
}
