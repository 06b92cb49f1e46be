//! Does the canary fail more than the stable version does in the same seconds?
//!
//! Within a block the canary made n_c requests of which x_c failed, the stable version n_b and x_b. The null
//! hypothesis has a tolerance inside: p_c ≤ ρ₀·p_b + a₀, because no two sets of processes are exactly equal and a test
//! that asks for equality convicts every healthy canary in the end. For an alternative ratio ρ > ρ₀ the factor is
//!
//! ```text
//! ln B = ln((ρ₀·n_c + n_b) / (ρ·n_c + n_b))     ln A = ln(ρ/ρ₀) + ln B
//! ln S = (x_c·ln A + x_b·ln B − n_c·a₀·(A − 1)) / m
//! ```
//!
//! Its expectation is at most one: (1 + p_c(A−1))^n_c · (1 + p_b(B−1))^n_b ≤ exp(n_c·p_c(A−1) + n_b·p_b(B−1)), and
//! n_b(1−B) = n_c·ρ₀(A−1) by construction, so the exponent is at most n_c·a₀(A−1), which the last term takes away.
//! This holds for any p, also one that differs from request to request and moves in time. With a₀ = 0 it is the
//! canary's share of all errors that is tested, so an outage which both arms share can't fire it.
//! m is the number of errors that one client may contribute where a client is what is randomised; 1 switches it off.

use serde::{Deserialize, Serialize};

use crate::{
    block::Pair,
    elementary::ln_all,
    exact,
    mixture::{Cap, Mixture, Restarts},
};

/// Alternative ratios as multiples of the tolerated one, from a quarter worse to everything failing.
pub(crate) const TEMPLATES: [f64; 10] = [1.25, 1.6, 2.2, 3.2, 5.0, 8.0, 16.0, 40.0, 150.0, 1000.0];

/// What is harmless: p_c ≤ ratio·p_b + margin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tolerance {
    #[serde(with = "exact")]
    pub(crate) ratio: f64,
    #[serde(with = "exact")]
    pub(crate) margin: f64,
}

impl Default for Tolerance {
    /// A fifth more, and one in 20 000: below what pods of one version differ by.
    fn default() -> Self {
        Self { ratio: 1.2, margin: 5e-5 }
    }
}

/// What both arms did in a block, as numbers: bad requests may count in parts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Counts {
    /// Requests of the canary.
    pub(crate) canary: f64,
    /// The bad ones of them, at most all.
    pub(crate) canary_bad: f64,
    /// Requests of the stable version.
    pub(crate) stable: f64,
    /// The bad ones of them, at most all.
    pub(crate) stable_bad: f64,
}

impl From<&Pair> for Counts {
    fn from(pair: &Pair) -> Self {
        Self {
            canary: pair.canary.requests as f64,
            canary_bad: pair.canary.bad as f64,
            stable: pair.stable.requests as f64,
            stable_bad: pair.stable.bad as f64,
        }
    }
}

impl Tolerance {
    /// [`Self::ln_factors`] for one alternative.
    #[cfg(test)]
    pub(crate) fn ln_factor(&self, block: &Pair, multiple: f64, clump: f64) -> f64 {
        self.ln_factors(&block.into(), &[multiple], clump)[0]
    }

    /// ln S of a block for several alternative ratios, each a multiple of the tolerated one. A multiple below one turns
    /// the question round: then the factor grows where the canary is better than the tolerance.
    pub(crate) fn ln_factors<const N: usize>(
        &self,
        block: &Counts,
        multiples: &[f64; N],
        clump: f64,
    ) -> [f64; N] {
        // A − 1 and (1 − B)/B as fractions of the counts: exact where both are next to nothing. Without any request they
        // are nothing.
        let Counts { canary, canary_bad, stable, stable_bad } = *block;
        let tolerated = (self.ratio * canary + stable).max(f64::MIN_POSITIVE);
        let (scale, compared) = (-canary * self.margin * stable / clump, self.ratio * canary);
        let drift =
            |multiple: f64| scale * (multiple - 1.0) / (multiple * compared + stable).max(f64::MIN_POSITIVE);
        let mut factors = multiples.map(drift);
        if canary_bad > 0.0 || stable_bad > 0.0 {
            let part = compared / tolerated;
            let mut ln = multiples.map(|multiple| 1.0 + (multiple - 1.0) * part);
            ln_all(&mut ln);
            let mut ln_multiples = *multiples;
            ln_all(&mut ln_multiples);
            let (mine, all) = (canary_bad / clump, (canary_bad + stable_bad) / clump);
            for ((factor, ln), ln_multiple) in factors.iter_mut().zip(ln).zip(ln_multiples) {
                *factor += mine * ln_multiple - all * ln;
            }
        }
        factors
    }
}

/// The evidence that the canary's rate of bad requests is above the tolerance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ErrorRate {
    tolerance: Tolerance,
    cap: Cap,
    #[serde(with = "exact")]
    clump: f64,
    mixture: Mixture,
}

impl ErrorRate {
    pub(crate) fn new(tolerance: Tolerance, cap: Cap) -> Self {
        Self::with(tolerance, cap, 1.0, Restarts::default())
    }

    pub(crate) fn with(tolerance: Tolerance, cap: Cap, clump: f64, restarts: Restarts) -> Self {
        Self { tolerance, cap, clump, mixture: Mixture::new(TEMPLATES.len(), restarts) }
    }

    /// Forgets all evidence; from now on the logarithm of each factor is divided by `clump`.
    pub(crate) fn restart(&mut self, clump: f64) {
        self.clump = clump;
        self.mixture.restart();
    }

    /// Takes a block that closed in window number `window`.
    pub(crate) fn observe(&mut self, window: u64, block: &Pair) {
        let cap = self.cap.of(block.canary.requests, block.canary.bad);
        let factors = self.tolerance.ln_factors(&block.into(), &TEMPLATES, self.clump);
        self.mixture.multiply(window, |template| factors[template].min(cap));
    }

    pub(crate) fn ln_e(&self) -> f64 {
        self.mixture.ln_e()
    }
}
