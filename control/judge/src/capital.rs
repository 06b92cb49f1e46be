//! The capital of one e-process, spread over a fixed set of templates and over starting times.
//!
//! It is the mixture of [`crate::mixture`], laid out for the comparison, which runs one for each question and stratum:
//! a plain array, no allocation, and one capital for each template that need not be the same.

use serde::{Deserialize, Serialize};

use crate::{
    elementary::{ln_add_exp_all, ln_mix_exp},
    exact,
    mixture::Restarts,
};

/// The running capital of each of `N` templates, relative to its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Capital<const N: usize> {
    /// The last boundary whose capital is set out; none before the first block.
    boundary: Option<u64>,
    #[serde(with = "exact::array")]
    ln: [f64; N],
    #[serde(with = "exact")]
    ln_e: f64,
}

impl<const N: usize> Capital<N> {
    pub(crate) fn new() -> Self {
        Self { boundary: None, ln: [f64::NEG_INFINITY; N], ln_e: f64::NEG_INFINITY }
    }

    /// Takes a block that closed in window number `window`, counted from the process's beginning: sets out the capital
    /// that is due, then multiplies each template's by its factor, cut at `cap` nats.
    pub(crate) fn multiply(
        &mut self,
        restarts: &Restarts,
        window: u64,
        ln_factors: &[f64; N],
        cap: f64,
        weights: &[f64; N],
    ) {
        let boundary = restarts.boundary(window);
        let before = self.boundary.unwrap_or_else(|| {
            self.ln.fill(0.5_f64.ln());
            0
        });
        if boundary > before {
            let due = restarts.ln_due(before, boundary);
            ln_add_exp_all(&mut self.ln, due);
        }
        self.boundary = Some(boundary.max(before));
        for (ln, factor) in self.ln.iter_mut().zip(ln_factors) {
            *ln += factor.min(cap);
        }
        self.ln_e = ln_mix_exp(&self.ln, weights);
    }

    /// The logarithm of the evidence; −∞ before the first block.
    pub(crate) fn ln_e(&self) -> f64 {
        self.ln_e
    }
}
