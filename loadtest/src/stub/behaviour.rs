//! The dials and counters of a stub: atomics, so that any thread may turn and read them while it serves.

use std::{
    sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use http::StatusCode;
use rand::{Rng, rngs::SmallRng};
use serin_config::percent::WHOLE_PPM;
use tokio::sync::watch;

use super::Latency;
use crate::bounds::STUB_LATENCY_MAX;

#[derive(Debug)]
pub(super) struct Behaviour {
    error_ppm: AtomicU32,
    error_status: AtomicU16,
    latency_median_us: AtomicU64,
    latency_sigma_bits: AtomicU64,
    cut_body: AtomicBool,
    hang: watch::Sender<bool>,
    requests: AtomicU64,
    failures: AtomicU64,
    connections: AtomicU64,
    born: Instant,
    /// Nanoseconds from `born` to the first failure, plus one; zero before it.
    first_failure_ns: AtomicU64,
}

impl Behaviour {
    pub(super) fn new() -> Self {
        Self {
            error_ppm: AtomicU32::new(0),
            error_status: AtomicU16::new(StatusCode::SERVICE_UNAVAILABLE.as_u16()),
            latency_median_us: AtomicU64::new(0),
            latency_sigma_bits: AtomicU64::new(0),
            cut_body: AtomicBool::new(false),
            hang: watch::Sender::new(false),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            born: Instant::now(),
            first_failure_ns: AtomicU64::new(0),
        }
    }

    pub(super) fn set_error_ppm(&self, ppm: u32) {
        self.error_ppm.store(ppm.min(WHOLE_PPM), Relaxed);
    }

    pub(super) fn set_error_status(&self, status: u16) {
        self.error_status.store(status, Relaxed);
    }

    pub(super) fn set_latency(&self, latency: Option<Latency>) {
        let median = latency.map_or(Duration::ZERO, |latency| latency.median.min(STUB_LATENCY_MAX));
        let sigma = latency.map_or(0.0, |latency| latency.sigma.max(0.0));
        self.latency_sigma_bits.store(sigma.to_bits(), Relaxed);
        self.latency_median_us.store(u64::try_from(median.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn set_cut_body(&self, cut: bool) {
        self.cut_body.store(cut, Relaxed);
    }

    pub(super) fn set_hang(&self, hang: bool) {
        self.hang.send_replace(hang);
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    pub(super) fn first_failure(&self) -> Option<Instant> {
        let after = self.first_failure_ns.load(Relaxed).checked_sub(1)?;
        Some(self.born + Duration::from_nanos(after))
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn cuts_body(&self) -> bool {
        self.cut_body.load(Relaxed)
    }

    /// Draws whether this request fails, and counts it if it does.
    pub(super) fn draw_failure(&self, random: &mut SmallRng) -> Option<StatusCode> {
        let ppm = self.error_ppm.load(Relaxed);
        if ppm == 0 || random.random_range(0..WHOLE_PPM) >= ppm {
            return None;
        }
        self.failures.fetch_add(1, Relaxed);
        if self.first_failure_ns.load(Relaxed) == 0 {
            let after = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX - 1) + 1;
            // Whoever came first stays first.
            let _ = self.first_failure_ns.compare_exchange(0, after, Relaxed, Relaxed);
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
        let seconds = median_us as f64 * 1e-6 * (sigma * normal).exp();
        Some(Duration::from_secs_f64(seconds.min(STUB_LATENCY_MAX.as_secs_f64())))
    }

    /// Waits while the stub hangs.
    pub(super) async fn hang(&self) {
        if *self.hang.borrow() {
            // The sender lives in `self`, so the wait can't fail.
            let _ = self.hang.subscribe().wait_for(|hang| !hang).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn latencies_have_the_median_and_spread_that_were_asked_for() {
        let behaviour = Behaviour::new();
        let mut random = SmallRng::seed_from_u64(1);
        assert_eq!(behaviour.draw_latency(&mut random), None);
        behaviour.set_latency(Some(Latency { median: Duration::from_millis(10), sigma: 0.5 }));
        let mut drawn: Vec<f64> = (0..20_001)
            .filter_map(|_| behaviour.draw_latency(&mut random))
            .map(|d| d.as_secs_f64())
            .collect();
        drawn.sort_by(f64::total_cmp);
        let at = |q: f64| drawn[(q * 20_000.0) as usize];
        // Standard errors: 0.44 % of the median, about 2.6 % of the p99 for sigma 0.5.
        assert!((at(0.5) / 0.010 - 1.0).abs() < 0.025, "{}", at(0.5));
        assert!((at(0.99) / (0.010 * (2.326_f64 * 0.5).exp()) - 1.0).abs() < 0.12, "{}", at(0.99));
    }

    #[test]
    fn failures_come_at_their_rate_and_are_counted() {
        let behaviour = Behaviour::new();
        let mut random = SmallRng::seed_from_u64(1);
        assert!(behaviour.draw_failure(&mut random).is_none() && behaviour.first_failure().is_none());
        behaviour.set_error_ppm(50_000);
        let failed = (0..100_000).filter(|_| behaviour.draw_failure(&mut random).is_some()).count();
        assert!((failed as f64 - 5000.0).abs() < 4.0 * 69.0, "{failed}");
        assert_eq!(behaviour.failures(), failed as u64);
        assert!(behaviour.first_failure().unwrap() <= Instant::now());
        behaviour.set_error_ppm(u32::MAX);
        assert!((0..1000).all(|_| behaviour.draw_failure(&mut random).is_some()));
    }
}
