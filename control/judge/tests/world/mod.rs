//! A small world for the judge: seeded traffic, and the policies that tests share.

#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use serin_config::{
    RouteName, Weight,
    policy::{ErrorComparison, Guards, OnTimeout, RolloutPolicy, Step},
    wire::{LatencyCounts, bucket_of},
};
use serin_judge::{Arm, Pairing, Window};

/// The errors guard alone, with the defaults of the product.
pub(crate) fn policy() -> RolloutPolicy {
    RolloutPolicy {
        steps: vec![step()],
        on_timeout: OnTimeout::Hold,
        guards: Guards {
            errors: Some(ErrorComparison {
                ratio: 1.2,
                margin: ppm(50),
                pass_ratio: 1.5,
                pass_margin: ppm(500),
            }),
            max_error_rate: None,
            max_p99: None,
            latency: None,
            events: vec![],
        },
        false_alarm: 1e-4,
        false_pass: 0.05,
        ..RolloutPolicy::default()
    }
}

pub(crate) fn step() -> Step {
    Step {
        min_requests: 500,
        min_duration: Duration::from_secs(10),
        max_duration: Duration::from_secs(3600),
        ..Step::at(ppm(100_000))
    }
}

pub(crate) fn ppm(ppm: u32) -> Weight {
    Weight::from_ppm(ppm).unwrap()
}

pub(crate) fn arm(judged: u64, failed: u64) -> Arm {
    Arm::counted(judged, failed)
}

pub(crate) fn window(canary: (u64, u64), stable: (u64, u64)) -> Window {
    paired(arm(canary.0, canary.1), arm(stable.0, stable.1))
}

/// A window of the one route that there is.
pub(crate) fn paired(canary: Arm, stable: Arm) -> Window {
    Window::of(&RouteName::try_new("all").unwrap(), Pairing { canary, stable })
}

/// An arm without failures: `fast` requests at 20 ms and `slow` ones at two seconds.
pub(crate) fn timed(fast: u32, slow: u32) -> Arm {
    let counts = [(bucket_of(20_000), fast), (bucket_of(2_000_000), slow)];
    let headers = LatencyCounts(counts.into_iter().filter(|(_, n)| *n > 0).collect());
    Arm::counted(u64::from(fast) + u64::from(slow), 0).with_headers(headers)
}

/// A generator of random numbers (xorshift64*) that replays from its seed.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Above 0, up to 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Arrivals: exponential gaps until the mean is used up.
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        let (mut arrivals, mut at) = (0, -self.uniform().ln());
        while at < mean {
            arrivals += 1;
            at -= self.uniform().ln();
        }
        arrivals
    }

    /// Successes of `n` trials: jumps from one to the next.
    pub(crate) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        let (mut successes, mut at) = (0, 0.0);
        loop {
            at += (self.uniform().ln() / (-p).ln_1p()).floor() + 1.0;
            if at > n as f64 {
                return successes;
            }
            successes += 1;
        }
    }

    /// A second of traffic: requests a second, the canary's share of them, and both error rates.
    pub(crate) fn second(&mut self, rps: f64, share: f64, canary: f64, stable: f64) -> Window {
        let (c, s) = (self.poisson(rps * share), self.poisson(rps * (1.0 - share)));
        window((c, self.binomial(c, canary)), (s, self.binomial(s, stable)))
    }
}

pub(crate) fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}
