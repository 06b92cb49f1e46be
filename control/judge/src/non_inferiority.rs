//! Is the canary proven not to fail more than is accepted?
//!
//! Silence is not a proof: a canary that had ten requests has shown nothing. So promotion has an e-process of its
//! own, against the opposite hypothesis p_c ≥ ρ₁·p_b + a₁. The factor is the one of the error comparison with
//! alternatives below the boundary, where A < 1 < B and the drift changes its sign by itself. It has no cap (caution is
//! already what it measures) and no later starts (all of the canary's history counts, good and bad).

use serde::{Deserialize, Serialize};

use crate::{
    error_rate::{Counts, Tolerance},
    exact,
    numerics::ln_mean_exp,
};

/// Alternative ratios as multiples of the boundary's, from next to nothing to just below it.
pub(crate) const TEMPLATES: [f64; 6] = [0.02, 0.1, 0.3, 0.5, 0.7, 0.85];

/// The evidence that the canary's error rate is below the boundary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NonInferiority {
    boundary: Tolerance,
    #[serde(with = "exact::array")]
    ln: [f64; TEMPLATES.len()],
}

impl NonInferiority {
    pub(crate) fn new(boundary: Tolerance) -> Self {
        Self { boundary, ln: [0.0; TEMPLATES.len()] }
    }

    pub(crate) fn boundary(&self) -> Tolerance {
        self.boundary
    }

    /// Takes a block with at least one request of each arm. `clump` is as in the comparison of errors.
    pub(crate) fn observe(&mut self, block: &Counts, clump: f64) {
        let factors = self.boundary.ln_factors(block, &TEMPLATES, clump);
        self.ln.iter_mut().zip(factors).for_each(|(ln, factor)| *ln += factor);
    }

    /// Forgets all.
    pub(crate) fn restart(&mut self) {
        *self = Self::new(self.boundary);
    }

    pub(crate) fn ln_e(&self) -> f64 {
        ln_mean_exp(&self.ln)
    }

    /// How many more requests of the canary the proof needs, if both arms go on as in `so_far`; none if it would
    /// never come, or if an arm had no traffic. The template that arrives first decides, which is late by less
    /// than a factor of two in evidence.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and it is positive"
    )]
    pub(crate) fn requests_needed(&self, so_far: &Counts, clump: f64, ln_threshold: f64) -> Option<u64> {
        if so_far.canary == 0.0 || so_far.stable == 0.0 {
            return None;
        }
        let target = ln_threshold + (TEMPLATES.len() as f64).ln();
        let growths = self.boundary.ln_factors(so_far, &TEMPLATES, clump);
        self.ln
            .iter()
            .zip(growths)
            .filter(|(_, growth)| *growth > 0.0)
            .map(|(ln, growth)| ((target - ln) / (growth / so_far.canary)).max(0.0).ceil())
            .min_by(f64::total_cmp)
            .map(|requests| requests as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::ln_threshold;

    fn second(canary_bad: f64) -> Counts {
        Counts { canary: 100.0, canary_bad, stable: 900.0, stable_bad: 0.0 }
    }

    fn ours() -> NonInferiority {
        NonInferiority::new(Tolerance { ratio: 1.5, margin: 5e-4 })
    }

    #[test]
    fn a_flawless_canary_needs_about_eight_thousand_requests() {
        let mut proof = ours();
        let needed = proof.requests_needed(&second(0.0), 1.0, ln_threshold(0.05)).unwrap();
        let mut requests = 0;
        while proof.ln_e() < ln_threshold(0.05) {
            proof.observe(&second(0.0), 1.0);
            requests += 100;
        }
        assert!((7_900..=8_400).contains(&requests), "{requests}");
        assert!(needed >= requests - 100 && needed < requests * 3 / 2, "{needed} foreseen, {requests} came");
    }

    #[test]
    fn a_failing_canary_never_gets_its_proof() {
        let mut proof = ours();
        (0..200).for_each(|_| proof.observe(&second(1.0), 1.0));
        assert!(proof.ln_e() < 0.0);
        assert_eq!(proof.requests_needed(&second(1.0), 1.0, ln_threshold(0.05)), None);
    }
}
