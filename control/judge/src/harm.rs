//! What the canary has cost so far, beside what the policy lets it cost at most.
//!
//! A bound on the cost is no evidence and needs none: once it is spent the canary is out. Failed requests
//! are counted as they are. Added latency is the time that the canary's users waited beyond the mean of the stable version
//! on the same route in the same second, in sum, gains and losses alike; a histogram knows a latency to a few per
//! cent, and a sum over many requests knows it better. Where a route had no stable request in that second,
//! the stable version's mean since the rollout began stands in.

use serde::{Deserialize, Serialize};
use serin_config::{policy::BlastRadius, wire::LatencyCounts};

use crate::{exact, guard::Guard, window::Window};

/// What was spent of one bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Which bound.
    pub guard: Guard,
    /// So much was spent: requests, or milliseconds.
    pub spent: u64,
    /// So much there is.
    pub bound: u64,
    /// One proxy counted it, before all that others have counted was heard of.
    #[serde(default)]
    pub at_one_proxy: bool,
}

impl Spent {
    /// Whether nothing is left.
    pub fn is_all(&self) -> bool {
        self.spent >= self.bound
    }
}

/// Latencies in sum.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Waited {
    #[serde(with = "exact")]
    us: f64,
    #[serde(with = "exact")]
    requests: f64,
}

/// The cost so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Harm {
    max_failed: Option<u64>,
    max_added_ms: Option<u64>,
    failed: u64,
    stable: Waited,
    #[serde(with = "exact")]
    added_us: f64,
}

impl Harm {
    pub(crate) fn new(policy: &BlastRadius) -> Self {
        Self {
            max_failed: policy.failed_requests,
            max_added_ms: policy
                .added_latency
                .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            failed: 0,
            stable: Waited::default(),
            added_us: 0.0,
        }
    }

    /// Takes the next window; `middle` gives the latency that a bucket stands for, in microseconds.
    pub(crate) fn observe(&mut self, window: &Window, middle: impl Fn(u16) -> f64) {
        for route in window.routes.values() {
            self.failed = self.failed.saturating_add(route.canary.failures().bad);
            if self.max_added_ms.is_none() {
                continue;
            }
            let canary = Waited::of(&route.canary.headers, &middle);
            let stable = Waited::of(&route.stable.headers, &middle);
            self.stable =
                Waited { us: self.stable.us + stable.us, requests: self.stable.requests + stable.requests };
            if let Some(mean) = stable.mean().or_else(|| self.stable.mean()) {
                self.added_us += canary.us - canary.requests * mean;
            }
        }
    }

    /// Each bound that the policy sets.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and what is below zero is nothing spent"
    )]
    pub(crate) fn spent(&self) -> impl Iterator<Item = Spent> {
        let failed = self.max_failed.map(|bound| Spent {
            guard: Guard::FailedRequests,
            spent: self.failed,
            bound,
            at_one_proxy: false,
        });
        let added = (self.added_us / 1e3).max(0.0) as u64;
        let added = self.max_added_ms.map(|bound| Spent {
            guard: Guard::AddedLatency,
            spent: added,
            bound,
            at_one_proxy: false,
        });
        failed.into_iter().chain(added)
    }
}

impl Waited {
    fn of(latencies: &LatencyCounts, middle: impl Fn(u16) -> f64) -> Self {
        latencies.0.iter().fold(Self::default(), |sum, (bucket, count)| Self {
            us: sum.us + middle(*bucket) * f64::from(*count),
            requests: sum.requests + f64::from(*count),
        })
    }

    fn mean(self) -> Option<f64> {
        (self.requests > 0.0).then(|| self.us / self.requests)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serin_config::RouteName;

    use super::*;
    use crate::window::{Arm, Pairing};

    fn arm(counts: &[(u16, u32)]) -> Arm {
        Arm::counted(100, 3).with_headers(LatencyCounts(counts.to_vec()))
    }

    fn window(name: &str, canary: Arm, stable: Arm) -> Window {
        Window::of(&RouteName::try_new(name).unwrap(), Pairing { canary, stable })
    }

    /// A bucket's number is its latency in milliseconds.
    fn ms(bucket: u16) -> f64 {
        f64::from(bucket) * 1e3
    }

    fn both() -> Harm {
        Harm::new(&BlastRadius { failed_requests: Some(7), added_latency: Some(Duration::from_secs(1)) })
    }

    fn spent(harm: &Harm) -> Vec<(u64, bool)> {
        harm.spent().map(|spent| (spent.spent, spent.is_all())).collect()
    }

    #[test]
    fn failed_requests_are_spent_one_by_one() {
        let mut harm = both();
        (0..2).for_each(|_| harm.observe(&window("a", arm(&[]), arm(&[])), ms));
        assert_eq!(spent(&harm), [(6, false), (0, false)]);
        harm.observe(&window("b", arm(&[]), arm(&[])), ms);
        assert_eq!(spent(&harm), [(9, true), (0, false)]);
    }

    #[test]
    fn added_latency_is_measured_against_stable_on_the_same_route() {
        let mut harm = both();
        let mut mixed = window("fast", arm(&[(10, 1)]), arm(&[(10, 900)]));
        mixed.merge(&window("slow", arm(&[(500, 50)]), arm(&[(500, 1)])));
        harm.observe(&mixed, ms);
        assert_eq!(spent(&harm)[1], (0, false), "another mix of routes is no harm");
        harm.observe(&window("fast", arm(&[(60, 10)]), arm(&[(10, 900)])), ms);
        assert_eq!(spent(&harm)[1], (500, false));
        harm.observe(&window("fast", arm(&[(5, 20)]), arm(&[(10, 900)])), ms);
        assert_eq!(spent(&harm)[1], (400, false), "what is gained counts as well");
    }

    #[test]
    fn where_stable_is_silent_its_mean_so_far_stands_in() {
        let mut harm = both();
        harm.observe(&window("a", arm(&[(900, 1)]), arm(&[])), ms);
        assert_eq!(spent(&harm)[1], (0, false), "there is nothing to compare with yet");
        harm.observe(&window("a", arm(&[]), arm(&[(100, 10)])), ms);
        harm.observe(&window("a", arm(&[(1_100, 1)]), arm(&[])), ms);
        assert_eq!(spent(&harm)[1], (1_000, true));
    }

    #[test]
    fn without_bounds_nothing_is_spent() {
        let mut harm = Harm::new(&BlastRadius::default());
        harm.observe(&window("a", arm(&[(9, 9)]), arm(&[(9, 9)])), ms);
        assert_eq!(harm.spent().count(), 0);
    }
}
