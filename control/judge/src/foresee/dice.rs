//! Seeded dice. The same seed always throws the same, so a plan can be repeated and a test can rely on it.
//!
//! Counts are drawn for a whole second, not request by request: a plan covers millions of requests and must
//! take seconds. Up to a mean of [`EXACT_BELOW`] draws are exact; beyond it they are rounded normal ones, which at that
//! size differ from the exact ones by less than plans are worth.

/// From this mean on a count is drawn from the normal distribution.
const EXACT_BELOW: f64 = 30.0;

/// A generator of random numbers (SplitMix64: Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Different seeds throw differently, however near they are to each other.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed);
        dice.next();
        dice
    }

    /// Further dice of their own, which leave these as they are.
    pub(super) fn fork(&self, number: u64) -> Self {
        Self::new(self.0 ^ (number.wrapping_add(1)).wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Above 0, up to 1.
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Mean 0, variance 1 (Box and Muller, 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Arrivals where `mean` are expected.
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        if mean >= EXACT_BELOW {
            return count(mean + mean.sqrt() * self.normal());
        }
        let (mut arrivals, mut at) = (0, -self.uniform().ln());
        while at < mean {
            arrivals += 1;
            at -= self.uniform().ln();
        }
        arrivals
    }

    /// Successes of `n` trials, each with chance `p`.
    pub(crate) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p.is_nan() || p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        let mean = n as f64 * p;
        if mean >= EXACT_BELOW {
            return count(mean + (mean * (1.0 - p)).sqrt() * self.normal()).min(n);
        }
        // From one success to the next.
        let (mut successes, mut at) = (0, 0.0);
        loop {
            at += (self.uniform().ln() / (-p).ln_1p()).floor() + 1.0;
            if at > n as f64 {
                return successes;
            }
            successes += 1;
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, and NaN is 0")]
fn count(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut() -> u64) -> (f64, f64) {
        let n = 20_000;
        let draws: Vec<f64> = (0..n).map(|_| draw() as f64).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        (mean, draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n))
    }

    #[test]
    fn counts_have_the_mean_and_the_variance_that_they_must() {
        let mut dice = Dice::new(1);
        for mean in [0.2, 5.0, 29.0, 31.0, 4_000.0] {
            let (m, v) = moments(|| dice.poisson(mean));
            assert!((m / mean - 1.0).abs() < 0.03 && (v / mean - 1.0).abs() < 0.06, "{mean}: {m} {v}");
        }
        for (n, p) in [(10, 0.05), (1000, 0.01), (1000, 0.5), (1000, 0.999), (100_000, 0.2)] {
            let (mean, variance) = (n as f64 * p, n as f64 * p * (1.0 - p));
            let (m, v) = moments(|| dice.binomial(n, p));
            assert!((m / mean - 1.0).abs() < 0.03 && (v / variance - 1.0).abs() < 0.06, "{n} {p}: {m} {v}");
        }
    }

    #[test]
    fn no_count_leaves_its_range() {
        let mut dice = Dice::new(2);
        assert_eq!((dice.poisson(0.0), dice.binomial(0, 0.5), dice.binomial(7, 1.0)), (0, 0, 7));
        assert_eq!((dice.binomial(7, 0.0), dice.binomial(7, f64::NAN)), (0, 0));
        assert!((0..1000).all(|_| dice.binomial(40, 0.99) <= 40));
    }

    #[test]
    fn the_same_seed_throws_the_same_and_a_fork_differently() {
        let throw = |mut dice: Dice| (0..5).map(|_| dice.poisson(9.0)).collect::<Vec<_>>();
        assert_eq!(throw(Dice::new(3)), throw(Dice::new(3)));
        assert_ne!(throw(Dice::new(3)), throw(Dice::new(4)));
        assert_ne!(throw(Dice::new(3).fork(0)), throw(Dice::new(3).fork(1)));
    }
}
