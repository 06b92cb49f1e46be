//! Is the canary proven not to be slower than is accepted?
//!
//! The proof is led at three places of the stable version's latencies at once: at the cuts with half, a twentieth and a
//! hundredth of its requests above them. At each it runs against the hypothesis that the canary has at least as large a
//! share above its own cut, which lies further right by what is accepted: there are five bets on a smaller share, and
//! their mean is the evidence. The canary is proven at all three or not at all, so the smallest of the three counts, and
//! the accepted chance of an error is not divided among them.
//!
//! Where the stable version's latencies leave a gap at a cut, a shift shows nothing: it has nothing, or the same share, beyond the
//! shifted cut as well. There the share itself is compared: the hypothesis is that the canary has at least half as much again
//! beyond its cut as the stable version has beyond its own, and half of the cut's own share on top.

use serde::{Deserialize, Serialize};

use crate::{
    error_rate::{Counts, Tolerance},
    exact,
    numerics::ln_mean_exp,
    stratum_block::StratumBlock,
    templates::{PROOF_COUNT, PROOF_STEPS},
    thresholds::{Cuts, PERMILLE, PROOF_CUTS},
};

/// Half as much again beyond a cut is accepted where there is a gap.
const SHARE_RATIO: f64 = 1.5;
/// The part of the cut's own share that is accepted on top.
const SHARE_MARGIN: f64 = 0.5;
/// Alternatives there: multiples of what is accepted.
const SHARES: [f64; PROOF_STEPS.len()] = [0.1, 0.3, 0.5, 0.7, 0.85];

/// Replaces the factors of the cuts at which there is a gap.
pub(crate) fn by_share(cuts: &Cuts, block: &StratumBlock, clump: f64, ln_factors: &mut [f64; PROOF_COUNT]) {
    let (canary, stable) = block.successes();
    let at_cuts = PROOF_CUTS.iter().zip(cuts.gaps).zip(block.proof);
    for (((cut, gap), above), factors) in at_cuts.zip(ln_factors.chunks_exact_mut(SHARES.len())) {
        if !gap {
            continue;
        }
        let beyond = block.stable[cut + 1..].iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
        let margin = SHARE_MARGIN * PERMILLE[*cut] as f64 / 1e3;
        let counts = Counts {
            canary: canary as f64,
            canary_bad: above as f64,
            stable: stable as f64,
            stable_bad: beyond as f64,
        };
        let accepted = Tolerance { ratio: SHARE_RATIO, margin };
        factors.copy_from_slice(&accepted.ln_factors(&counts, &SHARES, clump));
    }
}

/// The evidence that the canary is not slower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NotSlower {
    #[serde(with = "exact::array")]
    ln: [f64; PROOF_COUNT],
    /// Requests of the canary that it rests on.
    requests: u64,
}

impl NotSlower {
    pub(crate) fn new() -> Self {
        Self { ln: [0.0; PROOF_COUNT], requests: 0 }
    }

    /// Takes the factors of a block with so many requests of the canary.
    pub(crate) fn observe(&mut self, ln_factors: &[f64; PROOF_COUNT], requests: u64) {
        self.requests = self.requests.saturating_add(requests);
        self.ln.iter_mut().zip(ln_factors).for_each(|(ln, factor)| *ln += factor);
    }

    pub(crate) fn ln_e(&self) -> f64 {
        self.ln.chunks_exact(PROOF_STEPS.len()).map(ln_mean_exp).fold(f64::INFINITY, f64::min)
    }

    /// How many more requests of the canary it takes if the evidence goes on growing as it did; none if it would never
    /// come, or if there was nothing yet to foresee it from.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and it is positive"
    )]
    pub(crate) fn requests_needed(&self, ln_threshold: f64) -> Option<u64> {
        let target = ln_threshold + (PROOF_STEPS.len() as f64).ln();
        let at_cut = |ln: &[f64]| {
            if ln_mean_exp(ln) >= ln_threshold {
                return Some(0.0);
            }
            let growing = ln.iter().filter(|ln| **ln > 0.0 && self.requests > 0);
            growing
                .map(|ln| ((target - ln) / (ln / self.requests as f64)).max(0.0).ceil())
                .min_by(f64::total_cmp)
        };
        let each: Option<Vec<f64>> = self.ln.chunks_exact(PROOF_STEPS.len()).map(at_cut).collect();
        each?.into_iter().max_by(f64::total_cmp).map(|requests| requests as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::ln_threshold;

    fn factors(at_cuts: [f64; 3]) -> [f64; PROOF_COUNT] {
        std::array::from_fn(|at| at_cuts[at / PROOF_STEPS.len()] * (1.0 + (at % PROOF_STEPS.len()) as f64))
    }

    #[test]
    fn the_slowest_of_three_proofs_decides() {
        let mut proof = NotSlower::new();
        assert_eq!((proof.ln_e(), proof.requests_needed(3.0)), (0.0, None));
        (0..10).for_each(|_| proof.observe(&factors([1.0, 0.01, 0.1]), 50));
        let least: Vec<f64> = (1..=5).map(|of| 0.1 * f64::from(of)).collect();
        assert!((proof.ln_e() - ln_mean_exp(&least)).abs() < 1e-12);
    }

    #[test]
    fn what_is_still_needed_is_foreseen_from_what_came() {
        let mut proof = NotSlower::new();
        (0..10).for_each(|_| proof.observe(&factors([1.0, 0.01, 0.1]), 50));
        let needed = proof.requests_needed(ln_threshold(0.05)).unwrap();
        let mut requests = 0;
        while proof.ln_e() < ln_threshold(0.05) {
            proof.observe(&factors([1.0, 0.01, 0.1]), 50);
            requests += 50;
        }
        assert!(needed >= requests - 50 && needed < requests * 3 / 2, "{needed} foreseen, {requests} came");
        proof.observe(&factors([0.0, -10.0, 0.0]), 50);
        assert_eq!(proof.requests_needed(ln_threshold(0.05)), None);
    }
}
