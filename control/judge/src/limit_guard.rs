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
    window::Pairing,
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
    SlowerThanUs(#[serde(with = "exact")] f64),
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
}

impl LimitGuard {
    /// At most this share of the canary's requests may fail.
    pub(crate) fn error_rate(share: f64) -> Self {
        Self::new(Bad::Failed, share, ERROR_CAP)
    }

    /// 99 of 100 requests of the canary must have response headers within this time.
    pub(crate) fn p99(limit: Duration) -> Self {
        Self::new(Bad::SlowerThanUs(limit.as_secs_f64() * 1e6), SLOW_SHARE, SLOW_CAP)
    }

    fn new(bad: Bad, share: f64, cap: Cap) -> Self {
        Self {
            bad,
            share,
            limit: Limit::new(share, cap),
            block: Block::default(),
            comparison: ErrorRate::new(Tolerance::default(), cap),
            recent: Recent::new(),
        }
    }

    /// Takes window number `number`.
    pub(crate) fn observe(&mut self, number: u64, window: &Pairing) {
        let pair = self.count(window);
        self.recent.push(pair);
        self.limit.observe(number, pair.canary);
        if let Some(block) = self.block.add(pair) {
            self.comparison.observe(number, &block);
        }
    }

    pub(crate) fn guard(&self) -> Guard {
        match self.bad {
            Bad::Failed => Guard::MaxErrorRate,
            Bad::SlowerThanUs(_) => Guard::MaxP99,
        }
    }

    /// Bad requests in a window or a total.
    pub(crate) fn count(&self, window: &Pairing) -> Pair {
        match self.bad {
            Bad::Failed => window.failures(),
            Bad::SlowerThanUs(limit) => window.slower_than(limit),
        }
    }

    /// The share that may be bad, 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        self.share
    }

    /// The latency limit in milliseconds, if this is one.
    pub(crate) fn limit_ms(&self) -> Option<f64> {
        match self.bad {
            Bad::Failed => None,
            Bad::SlowerThanUs(limit) => Some(limit / 1e3),
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
