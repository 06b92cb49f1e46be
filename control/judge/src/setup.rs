//! The constants of one comparison: what the policy sets, and what experience has set.
//!
//! The caps, the bins and the rhythm were chosen by simulation of healthy canaries under rough conditions (pauses of
//! processes, noise between pods, shared outages, errors in clumps): none of them is a matter of taste, so none is in
//! the policy.

use serde::{Deserialize, Serialize};
use serin_config::policy::{LatencyComparison, RolloutPolicy};

use crate::{
    error_rate::Tolerance,
    exact,
    limit_guard::ERROR_CAP,
    mixture::{Cap, Restarts},
    scheme::Scheme,
    thresholds::Shifts,
};

/// The most that a block's latencies may add, in nats: one pause of a process makes hundreds of requests slow.
const LATENCY_CAP_NATS: f64 = 2.5;
/// Windows between two renewals of the cuts.
const REFRESH: u64 = 10;
/// Windows of a generation of what is remembered of the stable version.
const GENERATION: u64 = 120;

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// What is no regression of errors; none if they are not compared.
    pub(crate) harmless: Option<Tolerance>,
    pub(crate) error_cap: Cap,
    /// Whether latencies are compared.
    pub(crate) latency: bool,
    #[serde(with = "exact")]
    pub(crate) latency_cap: f64,
    pub(crate) shifts: Shifts,
    /// Windows from the first during which the wide tolerance holds.
    pub(crate) warm_up: u64,
    /// Whether it is to be proven that the canary is not slower.
    pub(crate) proves_latency: bool,
    pub(crate) restarts: Restarts,
    pub(crate) refresh: u64,
    pub(crate) generation: u64,
    /// Errors that one client may contribute.
    #[serde(with = "exact")]
    pub(crate) clump: f64,
    /// Routes that are compared each for itself.
    pub(crate) strata: usize,
}

impl Setup {
    pub(crate) fn new(policy: &RolloutPolicy, scheme: Scheme) -> Self {
        let guards = &policy.guards;
        let errors = guards.errors.as_ref();
        let latency = guards.latency.unwrap_or_default();
        Self {
            harmless: errors.map(|e| Tolerance { ratio: e.ratio, margin: e.margin.fraction() }),
            error_cap: ERROR_CAP,
            latency: guards.latency.is_some(),
            latency_cap: LATENCY_CAP_NATS,
            shifts: shifts(&latency, scheme),
            warm_up: policy.warm_up.as_secs(),
            proves_latency: guards.latency.is_some_and(|latency| latency.proof),
            restarts: Restarts::default(),
            refresh: REFRESH,
            generation: GENERATION,
            clump: 1.0,
            strata: policy.strata.max(1),
        }
    }
}

/// The tolerance doubles at the 99th percentile and trebles at the 99.9th, where equal versions differ more. During a
/// warm-up latencies may double. The proof leaves room for two to four tolerances, and never for less than
/// two to four of the default one: that two versions are exactly alike can't be proven.
fn shifts(policy: &LatencyComparison, scheme: Scheme) -> Shifts {
    let one = scheme.shift(policy.tolerance);
    let proof = one.max(scheme.shift(LatencyComparison::default().tolerance));
    Shifts {
        tight: [1, 1, 1, 1, 2, 3].map(|times| one.saturating_mul(times)),
        loose: scheme.shift(1.0).max(one),
        proof: [2, 3, 4].map(|times| proof.saturating_mul(times)),
        min_us: policy.min_difference.as_secs_f64() * 1e6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_tolerances_are_the_documented_ones_on_both_scales() {
        let production = Setup::new(&RolloutPolicy::default(), Scheme::PRODUCTION).shifts;
        assert_eq!(
            (production.tight, production.loose, production.proof),
            ([2, 2, 2, 2, 4, 6], 32, [4, 6, 8])
        );
        let coarse = Setup::new(&RolloutPolicy::default(), Scheme::new(500.0, 16, 240).unwrap()).shifts;
        assert_eq!((coarse.tight, coarse.loose, coarse.proof), ([1, 1, 1, 1, 2, 3], 16, [2, 3, 4]));
        assert_eq!(coarse.min_us, 1_000.0);
    }
}
