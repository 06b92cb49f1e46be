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

impl Tolerance {
    /// ln S of a block, for the alternative ratio `multiple` × the tolerated one. A multiple below one turns the
    /// question round: then the factor grows where the canary is better than the tolerance.
    pub(crate) fn ln_factor(&self, block: &Pair, multiple: f64, clump: f64) -> f64 {
        let (ln_a, ln_b) =
            self.ln_gains(block.canary.requests as f64, block.stable.requests as f64, multiple);
        let drift = block.canary.requests as f64 * self.margin * ln_a.exp_m1();
        (block.canary.bad as f64 * ln_a + block.stable.bad as f64 * ln_b - drift) / clump
    }

    /// What one error is worth, in nats: the canary's (ln A) and the stable version's (ln B).
    pub(crate) fn ln_gains(&self, canary: f64, stable: f64, multiple: f64) -> (f64, f64) {
        let ln_b = ((self.ratio * canary + stable) / (self.ratio * multiple * canary + stable)).ln();
        (multiple.ln() + ln_b, ln_b)
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

    /// Takes a block that closed in window number `window`.
    pub(crate) fn observe(&mut self, window: u64, block: &Pair) {
        let cap = self.cap.of(block.canary.requests, block.canary.bad);
        let (tolerance, clump) = (self.tolerance, self.clump);
        self.mixture
            .multiply(window, |template| tolerance.ln_factor(block, TEMPLATES[template], clump).min(cap));
    }

    pub(crate) fn ln_e(&self) -> f64 {
        self.mixture.ln_e()
    }
}
