//! How many times as often does the canary fail? An estimate with an interval, for people.
//!
//! For a ratio g of error rates the canary's share of all errors in a block is g·n_c / (g·n_c + n_b); the likelihood of
//! the counts, summed over blocks on a fixed grid of g, is compared with its own average over the grid. What the
//! average beats by more than 1/a is excluded. The interval holds at every moment at once, for a ratio that is
//! constant; a rollback never rests on it alone.

use serde::{Deserialize, Serialize};

use crate::{elementary::ln_all, error_rate::Counts, exact, numerics::ln_mean_exp};

/// Points of the grid: 2^−8 to 2^8 in eighths of a doubling.
const POINTS: usize = 129;
const POINTS_PER_OCTAVE: f64 = 8.0;
/// 2 to the power of each eighth of one.
const EIGHTHS: [f64; 8] = [
    1.0,
    1.0905077326652577,
    1.189207115002721,
    1.2968395546510096,
    std::f64::consts::SQRT_2,
    1.5422108254079407,
    1.681792830507429,
    1.8340080864093424,
];
/// The chance that the interval ever misses.
const MISS: f64 = 0.05;

fn log2_ratio(point: f64) -> f64 {
    (point - (POINTS / 2) as f64) / POINTS_PER_OCTAVE
}

/// The grid: 2 to the power of that.
const RATIOS: [f64; POINTS] = {
    let mut ratios = [0.0; POINTS];
    let mut point = 0;
    while point < POINTS {
        let octaves = 1023 + (point / EIGHTHS.len()) as u64 - (POINTS / 2 / EIGHTHS.len()) as u64;
        ratios[point] = EIGHTHS[point % EIGHTHS.len()] * f64::from_bits(octaves << 52);
        point += 1;
    }
    ratios
};

/// The likelihood of every ratio on the grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratio {
    #[serde(with = "exact::many")]
    ln_likelihood: Vec<f64>,
}

impl Ratio {
    pub(crate) fn new() -> Self {
        Self { ln_likelihood: vec![0.0; POINTS] }
    }

    pub(crate) fn observe(&mut self, block: &Counts) {
        let errors = block.canary_bad;
        let all = errors + block.stable_bad;
        if all == 0.0 {
            return;
        }
        // Relative to ratio one: a constant that the interval does not see, and that keeps the sums small.
        let share = block.canary / (block.canary + block.stable);
        let mut ln_weights = RATIOS;
        ln_weights.iter_mut().for_each(|ratio| *ratio = 1.0 + share * (*ratio - 1.0));
        ln_all(&mut ln_weights);
        for ((point, ln), ln_weight) in self.ln_likelihood.iter_mut().enumerate().zip(ln_weights) {
            *ln += errors * log2_ratio(point as f64) * std::f64::consts::LN_2 - all * ln_weight;
        }
    }

    /// The interval: its lower end (0 if there is none) and its upper end (none if there is none).
    pub(crate) fn interval(&self) -> (f64, Option<f64>) {
        let ln = &self.ln_likelihood;
        let least = ln_mean_exp(ln) + MISS.ln();
        let kept = |at: &usize| ln[*at] >= least;
        let first = (0..POINTS).find(kept).unwrap_or(0);
        let last = (0..POINTS).rev().find(kept).unwrap_or(POINTS - 1);
        // Between a point that is kept and its neighbour that is not, the end lies where the line crosses.
        let crossing = |inside: usize, outside: usize| {
            let part = (ln[inside] - least) / (ln[inside] - ln[outside]);
            log2_ratio(inside as f64 + part * (outside as f64 - inside as f64)).exp2()
        };
        let lower = if first == 0 { 0.0 } else { crossing(first, first - 1) };
        let upper = (last + 1 < POINTS).then(|| crossing(last, last + 1));
        (lower, upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_errors_every_ratio_is_possible() {
        assert_eq!(Ratio::new().interval(), (0.0, None));
    }

    #[test]
    fn the_interval_closes_around_the_ratio() {
        let mut ratio = Ratio::new();
        let block = Counts { canary: 1000.0, canary_bad: 30.0, stable: 9000.0, stable_bad: 90.0 };
        (0..20).for_each(|_| ratio.observe(&block));
        let (lower, upper) = ratio.interval();
        assert!(
            2.4 < lower && lower < 3.0 && 3.0 < upper.unwrap() && upper.unwrap() < 3.7,
            "{lower} {upper:?}"
        );
    }
}
