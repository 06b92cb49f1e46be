//! Random numbers that replay from their seed on any machine: a generator, and exact samplers on top.
//!
//! A simulation of thousands of hours draws counts, not requests, so what it needs is binomial and Poisson counts of
//! any size at a constant price. Small means are found by inversion, larger ones by rejection from a hat that fits
//! their ratio of uniforms (Hörmann's BTRS and PTRS); both are exact, not normal approximations, because it is the
//! tails that would raise a false alarm.

/// Means below this are drawn by inversion.
const INVERSION_BELOW: f64 = 10.0;

/// xoshiro256++.
#[derive(Debug, Clone)]
pub(crate) struct Rng([u64; 4]);

impl Rng {
    /// A stream of its own for each pair.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut state = seed ^ stream.wrapping_mul(0xD134_2543_DE82_EF95);
        Self([(); 4].map(|()| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Above 0, below 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Between `low` and `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Mean 0, deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Trials up to the first success, with `mean` of them on average; at least one.
    pub(crate) fn geometric(&mut self, mean: f64) -> u64 {
        1 + (self.uniform().ln() / (-1.0 / mean).ln_1p()) as u64
    }

    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean < INVERSION_BELOW {
            let (mut k, mut left) = (0, self.uniform());
            let mut p = (-mean).exp();
            while left > p && k < 1000 {
                left -= p;
                k += 1;
                p *= mean / k as f64;
            }
            return k;
        }
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.02483 * b;
        let ln_alpha = (1.1239 + 1.1328 / (b - 3.4)).ln();
        let squeeze = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let (u, v) = (self.uniform() - 0.5, self.uniform());
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= squeeze {
                return k as u64;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            if v.ln() + ln_alpha - (a / (us * us) + b).ln() <= k * mean.ln() - mean - ln_factorial(k) {
                return k as u64;
            }
        }
    }

    /// Successes of `n` trials.
    pub(crate) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        let trials = n as f64;
        if trials * p < INVERSION_BELOW {
            return self.binomial_by_inversion(n, p);
        }
        let spread = (trials * p * (1.0 - p)).sqrt();
        let b = 1.15 + 2.53 * spread;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let c = trials * p + 0.5;
        let squeeze = 0.92 - 4.2 / b;
        let alpha = (2.83 + 5.1 / b) * spread;
        let ln_odds = (p / (1.0 - p)).ln();
        let mode = ((trials + 1.0) * p).floor();
        let top = ln_factorial(mode) + ln_factorial(trials - mode);
        loop {
            let (u, v) = (self.uniform() - 0.5, self.uniform());
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + c).floor();
            if us >= 0.07 && v <= squeeze {
                return k as u64;
            }
            if k < 0.0 || k > trials {
                continue;
            }
            let height = (v * alpha / (a / (us * us) + b)).ln();
            if height <= top - ln_factorial(k) - ln_factorial(trials - k) + (k - mode) * ln_odds {
                return k as u64;
            }
        }
    }

    fn binomial_by_inversion(&mut self, n: u64, p: f64) -> u64 {
        let odds = p / (1.0 - p);
        let (mut k, mut left) = (0, self.uniform());
        let mut at = (n as f64 * (-p).ln_1p()).exp();
        while left > at && k < n {
            left -= at;
            at *= odds * (n - k) as f64 / (k + 1) as f64;
            k += 1;
        }
        k
    }
}

/// ln k!, by a table and Stirling's series.
fn ln_factorial(k: f64) -> f64 {
    const SMALL: [f64; 10] = [
        0.0,
        0.0,
        std::f64::consts::LN_2,
        1.791_759_469_228_055,
        3.178_053_830_347_946,
        4.787_491_742_782_046,
        6.579_251_212_010_101,
        8.525_161_361_065_415,
        10.604_602_902_745_25,
        12.801_827_480_081_469,
    ];
    if k < 10.0 {
        return SMALL[k as usize];
    }
    let x = k + 1.0;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x * x * x)
}

/// Sample mean and variance lie within five standard errors of what they should be.
fn assert_moments(what: &str, values: &[u64], mean: f64, variance: f64) {
    let n = values.len() as f64;
    let ours = values.iter().map(|v| *v as f64).sum::<f64>() / n;
    let spread = values.iter().map(|v| (*v as f64 - mean).powi(2)).sum::<f64>() / n;
    // The variance of a squared deviation is at most some four times its square for these shapes, more if rare.
    let of_spread = variance * ((3.0 + 1.0 / variance) / n).sqrt();
    assert!((ours - mean).abs() <= 5.0 * (variance / n).sqrt(), "{what}: mean {ours}, not {mean}");
    assert!((spread - variance).abs() <= 5.0 * of_spread, "{what}: variance {spread}, not {variance}");
}

#[test]
fn counts_have_the_moments_of_their_distributions() {
    let mut rng = Rng::new(1, 0);
    for mean in [0.01, 0.7, 9.9, 10.1, 50.0, 9_500.0] {
        let values: Vec<u64> = (0..40_000).map(|_| rng.poisson(mean)).collect();
        assert_moments(&format!("poisson {mean}"), &values, mean, mean);
    }
    for (n, p) in
        [(1, 0.3), (50, 0.001), (50, 0.5), (1000, 0.02), (9_500, 0.002), (9_500, 0.7), (100_000, 0.5)]
    {
        let values: Vec<u64> = (0..40_000).map(|_| rng.binomial(n, p)).collect();
        let mean = n as f64 * p;
        assert_moments(&format!("binomial {n} {p}"), &values, mean, mean * (1.0 - p));
    }
    let values: Vec<u64> = (0..40_000).map(|_| rng.geometric(4.0)).collect();
    assert_moments("geometric 4", &values, 4.0, 12.0);
}

#[test]
fn rejection_draws_each_count_as_often_as_it_should() {
    let (n, p, draws) = (60_u64, 0.3, 400_000);
    let mut rng = Rng::new(2, 0);
    let mut seen = vec![0_u32; 61];
    (0..draws).for_each(|_| seen[rng.binomial(n, p) as usize] += 1);
    for k in 0..=60_u64 {
        let (at, trials) = (k as f64, n as f64);
        let ln_p = ln_factorial(trials) - ln_factorial(at) - ln_factorial(trials - at)
            + at * p.ln()
            + (trials - at) * (1.0 - p).ln();
        let expected = ln_p.exp() * f64::from(draws);
        let off = (f64::from(seen[k as usize]) - expected).abs();
        assert!(off <= 5.0 * expected.sqrt() + 3.0, "{k}: {} instead of {expected}", seen[k as usize]);
    }
}
