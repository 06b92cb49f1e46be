//! A limit that the canary must keep, and whether a breach of it is the canary's own.
//!
//! Where both versions breach a limit in the same seconds, something else is broken, and taking the canary out would
//! help nobody: the rollout is held and somebody is told. So beside the limit itself the guard runs the
//! comparison of both arms on the same question. The breach is the canary's own if that comparison
//! says so as well; it is blamed on positive evidence only.

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
    window::{Pairing, Window},
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
        }
    }

    /// Takes window number `number`.
    pub(crate) fn observe(&mut self, number: u64, window: &Window) {
        let mut pair = Pair::default();
        window.routes.values().for_each(|route| pair.add(self.count(route)));
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

    fn count(&self, route: &Pairing) -> Pair {
        match self.bad {
            Bad::Failed => route.failures(),
            Bad::From { bucket, .. } => route.slow_from(bucket),
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
    use serin_config::wire::{LatencyCounts, bucket_edge, bucket_of};

    use super::*;
    use crate::{block::Trials, window::Arm};

    #[test]
    fn the_bucket_that_holds_the_limit_is_not_slow() {
        let guard = LimitGuard::p99(Duration::from_millis(500), Scheme::PRODUCTION);
        let bucket = bucket_of(500_000);
        assert!(bucket_edge(bucket) < 500_000.0);
        let arm =
            Arm { headers: LatencyCounts(vec![(1, 5), (bucket, 3), (bucket + 1, 2)]), ..Arm::default() };
        let pair = guard.count(&Pairing { canary: arm, stable: Arm::default() });
        assert_eq!(pair.canary, Trials { requests: 10, bad: 2 });
        assert_eq!(guard.limit_ms(), Some(500.0));
    }

    #[test]
    fn a_limit_beyond_the_scale_is_never_broken() {
        let guard = LimitGuard::p99(Duration::from_secs(86_400), Scheme::PRODUCTION);
        let arm = Arm { headers: LatencyCounts(vec![(831, 9)]), ..Arm::default() };
        assert_eq!(guard.count(&Pairing { canary: arm, stable: Arm::default() }).canary.bad, 0);
    }
}
