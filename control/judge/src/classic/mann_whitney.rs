//! The shift between two samples by ranks: Wilcoxon's statistic, inverted.
//!
//! W(μ) is the rank sum of `x − μ` among both samples, less its least value. It falls as μ rises, and its mean under
//! no shift is m·n/2. The estimate is the μ at which the standardised W is zero (Hodges and Lehmann's, by the normal
//! approximation), the interval's ends are where it equals ±z, with half a rank taken off for continuity and the
//! variance corrected for ties. W is a step function, so the roots are found by halving, to the last bit.

/// The 99th percentile of the normal distribution: 98 % lie between the two ends.
const Z: f64 = 2.326_347_874_040_841;
/// Halvings: more than a double has bits.
const HALVINGS: u32 = 80;

/// How far the first sample lies above the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shift {
    /// Lower end of the 98 % interval.
    pub(super) lower: f64,
    /// The estimate.
    pub(super) estimate: f64,
}

/// The shift of `x` against `y`, neither empty.
pub(super) fn shift(x: &[f64], y: &[f64]) -> Shift {
    Shift { lower: root(x, y, Z, 0.5), estimate: root(x, y, 0.0, 0.0) }
}

/// The μ at which the standardised statistic falls to `z`; the nearer end of the differences if it never does.
fn root(x: &[f64], y: &[f64], z: f64, correction: f64) -> f64 {
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut low, mut high) = (least(x) - most(y), most(x) - least(y));
    let above = |mu: f64| standardised(x, y, mu, correction) > z;
    if !above(low) {
        return low;
    }
    if above(high) {
        return high;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if above(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

fn standardised(x: &[f64], y: &[f64], mu: f64, correction: f64) -> f64 {
    let (m, n) = (x.len() as f64, y.len() as f64);
    let mut all: Vec<(f64, bool)> = x.iter().map(|value| (value - mu, true)).collect();
    all.extend(y.iter().map(|value| (*value, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for run in all.chunk_by(|a, b| a.0 == b.0) {
        let t = run.len() as f64;
        let mean_rank = before + (t + 1.0) / 2.0;
        rank_sum += mean_rank * run.iter().filter(|(_, first)| *first).count() as f64;
        ties += t * t * t - t;
        before += t;
    }
    let total = m + n;
    let deviation = rank_sum - m * (m + 1.0) / 2.0 - m * n / 2.0;
    let variance = m * n / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    // All values alike: no rank says anything.
    if variance <= 0.0 || deviation == 0.0 {
        return 0.0;
    }
    (deviation - deviation.signum() * correction) / variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistic_is_what_a_pencil_says() {
        // Ranks of x are 2, 4, 6 of six: W = 12 − 6 = 6, mean 4.5, variance 9/12 · 7 = 5.25.
        let z = standardised(&[2.0, 4.0, 6.0], &[1.0, 3.0, 5.0], 0.0, 0.5);
        assert!((z - 1.0 / 5.25_f64.sqrt()).abs() < 1e-12);
        // Two pairs tied: ranks 1.5, 3.5, 6 of x; W = 11 − 6 = 5; variance 9/12 · (7 − 12/30) = 4.95.
        let z = standardised(&[1.0, 3.0, 6.0], &[1.0, 3.0, 5.0], 0.0, 0.0);
        assert!((z - 0.5 / 4.95_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_estimate_is_the_middle_of_all_differences() {
        let shift = shift(&[10.0, 13.0, 16.0], &[0.0, 1.0, 4.5]);
        // Differences: 5.5, 8.5, 9, 10, 11.5, 12, 13, 15, 16.
        assert!((shift.estimate - 11.5).abs() < 1e-9, "{}", shift.estimate);
    }

    #[test]
    fn five_apart_on_each_side_put_the_lower_end_at_the_least_difference() {
        // W = 25 is needed for z > 2.326: (25 − 12.5 − 0.5)/sqrt(25 · 11/12) = 2.507, while 24 gives 2.298.
        let shift = shift(&[11.0, 12.1, 13.3, 14.6, 15.7], &[1.0, 2.2, 3.5, 4.9, 5.05]);
        assert!((shift.lower - (11.0 - 5.05)).abs() < 1e-9, "{}", shift.lower);
    }

    #[test]
    fn twins_are_not_apart() {
        assert_eq!(shift(&[2.0; 10], &[2.0; 10]).lower, 0.0);
        let sample = [1.0, 2.0, 3.0, 4.0];
        assert!(shift(&sample, &sample).lower < 0.0);
    }
}
