//! A limit that the canary must keep, and whether a breach of it is the canary's own.
//!
//! Where both versions breach a limit in the same seconds, something else is broken, and taking the canary out would
//! help nobody: the rollout is held and somebody is told. So beside the limit itself the guard runs the
//! comparison of both arms on the same question. The breach is the canary's own if that comparison
//! says so as well; it is blamed on positive evidence only.
//!
//! What failed counts as in the comparison of errors: each kind of failure with its weight, and failing clients instead
//! of failed requests where the split is sticky. Parts of a failure are carried over to the next window.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    block::{Block, Pair},
    error_rate::{ErrorRate, Tolerance},
    exact,
    guard::Guard,
    limit::Limit,
    mixture::Cap,
    recent::Recent,
    scheme::Scheme,
    stratum_block::bad,
    window::Window,
};

/// The most that one window may add, in nats: six or seven separate seconds must agree.
pub(crate) const CAP_NATS: f64 = 2.0;
/// The share of requests that may be slower than the limit: that is what a 99th percentile is.
const SLOW_SHARE: f64 = 0.01;

/// A canary that fails most of its requests is found within a second.
pub(crate) const ERROR_CAP: Cap = Cap { nats: CAP_NATS, lifted_by_majority: true };
/// A pause of one second makes nearly all requests of that second slow. So slowness never lifts the cap; a canary
/// that hangs for good fails by its timeouts, or is found after seven seconds.
const SLOW_CAP: Cap = Cap { nats: CAP_NATS, lifted_by_majority: false };

/// Which requests are bad.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Bad {
    Failed,
    /// What lies wholly above the limit: in this bucket or beyond.
    From {
        bucket: u16,
        limit_us: u64,
    },
}

/// One limit and its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LimitGuard {
    bad: Bad,
    #[serde(with = "exact")]
    share: f64,
    limit: Limit,
    block: Block,
    comparison: ErrorRate,
    recent: Recent,
    /// Bad requests in this step.
    step: Pair,
    /// Thousandths of a failure of both arms that are not a whole one yet.
    carried: [u64; 2],
}

impl LimitGuard {
    /// At most this share of the canary's requests may fail.
    pub(crate) fn error_rate(share: f64) -> Self {
        Self::new(Bad::Failed, share, ERROR_CAP)
    }

    /// 99 of 100 requests of the canary must have response headers within this time.
    pub(crate) fn p99(limit: Duration, scheme: Scheme) -> Self {
        let limit_us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let above = |bucket: &u16| scheme.edge(*bucket) >= limit_us as f64;
        let bucket = (0..scheme.count()).find(above).unwrap_or(scheme.count());
        Self::new(Bad::From { bucket, limit_us }, SLOW_SHARE, SLOW_CAP)
    }

    fn new(bad: Bad, share: f64, cap: Cap) -> Self {
        Self {
            bad,
            share,
            limit: Limit::new(share, cap),
            block: Block::default(),
            comparison: ErrorRate::new(Tolerance::default(), cap),
            recent: Recent::new(),
            step: Pair::default(),
            carried: [0; 2],
        }
    }

    /// Takes window number `number`.
    pub(crate) fn observe(&mut self, number: u64, window: &Window) {
        let pair = self.count(window);
        self.step.add(pair);
        self.recent.push(pair);
        self.limit.observe(number, pair.canary);
        if let Some(block) = self.block.add(pair) {
            self.comparison.observe(number, &block);
        }
    }

    pub(crate) fn guard(&self) -> Guard {
        match self.bad {
            Bad::Failed => Guard::MaxErrorRate,
            Bad::From { .. } => Guard::MaxP99,
        }
    }

    fn count(&mut self, window: &Window) -> Pair {
        let mut pair = Pair::default();
        match self.bad {
            Bad::Failed => {
                let mut thousandths = self.carried;
                for route in window.routes.values() {
                    pair.add(route.failures());
                    let (canary, stable) = bad(route);
                    thousandths[0] = thousandths[0].saturating_add(canary);
                    thousandths[1] = thousandths[1].saturating_add(stable);
                }
                (pair.canary.bad, pair.stable.bad) = (thousandths[0] / 1000, thousandths[1] / 1000);
                self.carried = thousandths.map(|sum| sum % 1000);
                pair.plausible()
            }
            Bad::From { bucket, .. } => {
                window.routes.values().for_each(|route| pair.add(route.slow_from(bucket)));
                pair
            }
        }
    }

    /// Begins a step: its totals are counted anew, all evidence stays.
    pub(crate) fn begin_step(&mut self) {
        self.step = Pair::default();
    }

    /// Forgets all evidence; from now on the logarithm of each factor is divided by `clump`.
    pub(crate) fn restart(&mut self, clump: f64) {
        self.limit.restart(clump);
        self.comparison.restart(clump);
    }

    /// Bad requests in this step.
    pub(crate) fn step(&self) -> Pair {
        self.step
    }

    /// Whether the canary is over its limit: in this step as a whole, and still so in the last minute. A burst at the
    /// step's beginning is no reason to wait for ever longer; if it was a breach, the evidence says so.
    pub(crate) fn is_over(&self) -> bool {
        let over = |pair: Pair| pair.canary.rate().is_some_and(|rate| rate > self.share);
        over(self.step) && over(self.recent.sum())
    }

    /// The share that may be bad, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        self.share
    }

    /// The latency limit in milliseconds, if this is one.
    pub(crate) fn limit_ms(&self) -> Option<f64> {
        match self.bad {
            Bad::Failed => None,
            Bad::From { limit_us, .. } => Some(limit_us as f64 / 1e3),
        }
    }

    pub(crate) fn recent(&self) -> Pair {
        self.recent.sum()
    }

    /// The evidence that the canary breaches the limit.
    pub(crate) fn ln_e(&self) -> f64 {
        self.limit.ln_e()
    }

    /// The evidence that it does worse than the stable version.
    pub(crate) fn ln_worse(&self) -> f64 {
        self.comparison.ln_e()
    }
}

#[cfg(test)]
mod tests {
    use serin_config::{
        RouteName,
        wire::{LatencyCounts, bucket_edge, bucket_of},
    };

    use super::*;
    use crate::{
        block::Trials,
        window::{Arm, Pairing},
    };

    fn window(canary: Arm) -> Window {
        Window::of(&RouteName::try_new("all").unwrap(), Pairing { canary, stable: Arm::default() })
    }

    fn latencies(counts: Vec<(u16, u32)>) -> Window {
        window(Arm { headers: LatencyCounts(counts), ..Arm::default() })
    }

    #[test]
    fn the_bucket_that_holds_the_limit_is_not_slow() {
        let mut guard = LimitGuard::p99(Duration::from_millis(500), Scheme::PRODUCTION);
        let bucket = bucket_of(500_000);
        assert!(bucket_edge(bucket) < 500_000.0);
        let pair = guard.count(&latencies(vec![(1, 5), (bucket, 3), (bucket + 1, 2)]));
        assert_eq!(pair.canary, Trials { requests: 10, bad: 2 });
        assert_eq!(guard.limit_ms(), Some(500.0));
    }

    #[test]
    fn a_limit_beyond_the_scale_is_never_broken() {
        let mut guard = LimitGuard::p99(Duration::from_secs(86_400), Scheme::PRODUCTION);
        assert_eq!(guard.count(&latencies(vec![(831, 9)])).canary.bad, 0);
    }

    #[test]
    fn a_burst_at_the_beginning_of_a_step_holds_it_for_a_minute_and_no_longer() {
        let mut guard = LimitGuard::error_rate(0.01);
        guard.observe(0, &window(Arm::counted(1_000, 900)));
        let held = (1..300).take_while(|number| {
            guard.observe(*number, &window(Arm::counted(10, 0)));
            guard.is_over()
        });
        assert_eq!(held.count(), 59);
        assert!(guard.step().canary.rate() > Some(0.01), "the step as a whole is over it still");
    }

    #[test]
    fn parts_of_a_failure_add_up_over_windows() {
        let mut guard = LimitGuard::error_rate(0.01);
        let light = window(Arm { charged: 400, ..Arm::counted(10, 1) });
        let bad: Vec<u64> = (0..5).map(|_| guard.count(&light).canary.bad).collect();
        assert_eq!(bad, [0, 0, 1, 0, 1]);
    }

    #[test]
    fn where_the_split_is_sticky_one_client_breaks_no_limit_alone() {
        let mut guard = LimitGuard::error_rate(0.01);
        let poisoned = window(Arm { clients: Some(1), ..Arm::counted(100, 60) });
        assert_eq!(guard.count(&poisoned).canary, Trials { requests: 100, bad: 1 });
    }
}
