//! Sums of exponentials that neither overflow nor lose what is small.
//!
//! Evidence ranges over thousands of orders of magnitude in a long rollout, so it is kept as a natural logarithm
//! ("nats") everywhere; zero evidence is −∞, and stays exact.

/// ln(eᵃ + eᵇ).
pub(crate) fn ln_add_exp(a: f64, b: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// ln Σ eᵛ; −∞ for nothing.
pub(crate) fn ln_sum_exp(values: &[f64]) -> f64 {
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if high == f64::NEG_INFINITY {
        return high;
    }
    high + values.iter().map(|value| (value - high).exp()).sum::<f64>().ln()
}

/// ln of the mean of eᵛ: an equal-weight mixture.
pub(crate) fn ln_mean_exp(values: &[f64]) -> f64 {
    ln_sum_exp(values) - (values.len() as f64).ln()
}

/// ln(1/p), the height that evidence must reach to keep a promise of `p`.
pub(crate) fn ln_threshold(p: f64) -> f64 {
    -p.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_adds_nothing() {
        let nothing = f64::NEG_INFINITY;
        assert_eq!(ln_add_exp(nothing, nothing), nothing);
        assert_eq!(ln_add_exp(nothing, -3.0), -3.0);
        assert_eq!(ln_add_exp(-3.0, nothing), -3.0);
        assert_eq!(ln_sum_exp(&[nothing, nothing]), nothing);
        assert_eq!(ln_sum_exp(&[]), nothing);
    }

    #[test]
    fn huge_and_tiny_logarithms_add_without_overflow() {
        assert_eq!(ln_add_exp(1e6, -1e6), 1e6);
        assert!((ln_add_exp(1e6, 1e6) - 1e6 - 2_f64.ln()).abs() < 1e-9);
        assert!((ln_mean_exp(&[-1e6; 7]) + 1e6).abs() < 1e-9);
    }
}
