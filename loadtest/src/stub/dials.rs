//! The dials of one path of a stub: how often it fails, and how long it takes. Atomics, so that any thread may
//! turn them while another serves.

use std::{
    sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use http::StatusCode;
use rand::{Rng, rngs::SmallRng};
use serin_config::percent::WHOLE_PPM;

use super::Latency;
use crate::bounds::STUB_LATENCY_MAX;

/// Where a tail begins: the slowest tenth of all answers.
const TAIL_FROM: f64 = 1.281_551_565_544_6;

/// How a stub answers.
#[derive(Debug)]
pub struct Dials {
    error_ppm: AtomicU32,
    error_status: AtomicU16,
    latency_median_us: AtomicU64,
    latency_sigma_bits: AtomicU64,
    tail_bits: AtomicU64,
}

impl Default for Dials {
    /// No failures, and no delay.
    fn default() -> Self {
        Self {
            error_ppm: AtomicU32::new(0),
            error_status: AtomicU16::new(StatusCode::SERVICE_UNAVAILABLE.as_u16()),
            latency_median_us: AtomicU64::new(0),
            latency_sigma_bits: AtomicU64::new(0),
            tail_bits: AtomicU64::new(1.0_f64.to_bits()),
        }
    }
}

impl Dials {
    /// Lets this share of requests fail, in parts per million.
    pub fn set_error_ppm(&self, ppm: u32) {
        self.error_ppm.store(ppm.min(WHOLE_PPM), Relaxed);
    }

    /// The status of a failure: 100 to 999, 503 at first; another number is taken as 503.
    pub fn set_error_status(&self, status: u16) {
        self.error_status.store(status, Relaxed);
    }

    /// How long an answer takes from now on; none is as fast as possible.
    pub fn set_latency(&self, latency: Option<Latency>) {
        let median = latency.map_or(Duration::ZERO, |latency| latency.median.min(STUB_LATENCY_MAX));
        let sigma = latency.map_or(0.0, |latency| latency.sigma.max(0.0));
        self.latency_sigma_bits.store(sigma.to_bits(), Relaxed);
        self.latency_median_us.store(u64::try_from(median.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Makes the slowest tenth of all answers take this many times as long; 1 leaves them alone.
    pub fn set_tail(&self, factor: f64) {
        self.tail_bits.store(factor.max(0.0).to_bits(), Relaxed);
    }

    /// Draws whether this request fails, and with which status.
    pub(super) fn draw_failure(&self, random: &mut SmallRng) -> Option<StatusCode> {
        let ppm = self.error_ppm.load(Relaxed);
        if ppm == 0 || random.random_range(0..WHOLE_PPM) >= ppm {
            return None;
        }
        let status = StatusCode::from_u16(self.error_status.load(Relaxed));
        Some(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE))
    }

    /// Draws how long this answer takes.
    pub(super) fn draw_latency(&self, random: &mut SmallRng) -> Option<Duration> {
        let median_us = self.latency_median_us.load(Relaxed);
        if median_us == 0 {
            return None;
        }
        let sigma = f64::from_bits(self.latency_sigma_bits.load(Relaxed));
        // Box and Muller: two uniform numbers make a normal one. 1 - u is never 0.
        let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let tail = if normal >= TAIL_FROM { f64::from_bits(self.tail_bits.load(Relaxed)) } else { 1.0 };
        let seconds = median_us as f64 * 1e-6 * (sigma * normal).exp() * tail;
        Some(Duration::from_secs_f64(seconds.min(STUB_LATENCY_MAX.as_secs_f64())))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn quantiles(dials: &Dials) -> impl Fn(f64) -> f64 {
        let mut random = SmallRng::seed_from_u64(1);
        let draw = |_| dials.draw_latency(&mut random).map(|d| d.as_secs_f64());
        let mut drawn: Vec<f64> = (0..20_001).filter_map(draw).collect();
        drawn.sort_by(f64::total_cmp);
        move |q| drawn[(q * 20_000.0) as usize]
    }

    #[test]
    fn latencies_have_the_median_and_spread_that_were_asked_for() {
        let dials = Dials::default();
        assert_eq!(dials.draw_latency(&mut SmallRng::seed_from_u64(1)), None);
        dials.set_latency(Some(Latency { median: Duration::from_millis(10), sigma: 0.5 }));
        let at = quantiles(&dials);
        // Standard errors: 0.44 % of the median, about 2.6 % of the p99 for sigma 0.5.
        assert!((at(0.5) / 0.010 - 1.0).abs() < 0.025, "{}", at(0.5));
        assert!((at(0.99) / (0.010 * (2.326_f64 * 0.5).exp()) - 1.0).abs() < 0.12, "{}", at(0.99));
    }

    #[test]
    fn a_longer_tail_leaves_nine_answers_in_ten_as_they_are() {
        let (plain, tailed) = (Dials::default(), Dials::default());
        let latency = Some(Latency { median: Duration::from_millis(10), sigma: 0.5 });
        plain.set_latency(latency);
        tailed.set_latency(latency);
        tailed.set_tail(1.5);
        let (plain, tailed) = (quantiles(&plain), quantiles(&tailed));
        assert_eq!((plain(0.5), plain(0.85)), (tailed(0.5), tailed(0.85)));
        assert!((tailed(0.99) / plain(0.99) - 1.5).abs() < 0.01, "{} {}", plain(0.99), tailed(0.99));
    }

    #[test]
    fn failures_come_at_their_rate() {
        let dials = Dials::default();
        let mut random = SmallRng::seed_from_u64(1);
        assert!(dials.draw_failure(&mut random).is_none());
        dials.set_error_ppm(50_000);
        let failed = (0..100_000).filter(|_| dials.draw_failure(&mut random).is_some()).count();
        assert!((failed as f64 - 5000.0).abs() < 4.0 * 69.0, "{failed}");
        dials.set_error_ppm(u32::MAX);
        assert!((0..1000).all(|_| dials.draw_failure(&mut random).is_some()));
    }
}
