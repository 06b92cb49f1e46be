//! Sums over a whole rollout, for people: requests, failures, and latencies to take quantiles of.
//!
//! They are dense while they run, so that a window is added without an allocation, and sparse where they are stored.

use serde::{Deserialize, Serialize};
use serin_config::wire::LatencyCounts;

use crate::{
    block::{Pair, Trials},
    scheme::Scheme,
    verdict::ArmReport,
    window::{Arm, Pairing},
};

/// Counts of one version.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Total {
    attempts: Trials,
    headers: Latencies,
}

/// A count for each bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
struct Latencies(Vec<u64>);

#[derive(Serialize, Deserialize)]
struct Stored {
    buckets: u16,
    counts: Vec<(u16, u64)>,
}

/// Counts of both versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Totals {
    scheme: Scheme,
    canary: Total,
    stable: Total,
}

impl Totals {
    pub(crate) fn new(scheme: Scheme) -> Self {
        let total = || Total {
            attempts: Trials::default(),
            headers: Latencies(vec![0; usize::from(scheme.count())]),
        };
        Self { scheme, canary: total(), stable: total() }
    }

    pub(crate) fn add(&mut self, window: &Pairing) {
        self.canary.add(&window.canary);
        self.stable.add(&window.stable);
    }

    /// Adds all of `other`, which is on the same scale.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.canary.merge(&other.canary);
        self.stable.merge(&other.stable);
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.canary.clear();
        self.stable.clear();
    }

    pub(crate) fn failures(&self) -> Pair {
        Pair { canary: self.canary.attempts, stable: self.stable.attempts }
    }

    pub(crate) fn canary(&self) -> ArmReport {
        self.canary.report(self.scheme)
    }

    pub(crate) fn stable(&self) -> ArmReport {
        self.stable.report(self.scheme)
    }
}

impl Total {
    fn add(&mut self, arm: &Arm) {
        self.attempts.add(arm.failures());
        self.headers.add(&arm.headers);
    }

    fn merge(&mut self, other: &Self) {
        self.attempts.add(other.attempts);
        for (sum, count) in self.headers.0.iter_mut().zip(&other.headers.0) {
            *sum = sum.saturating_add(*count);
        }
    }

    fn clear(&mut self) {
        self.attempts = Trials::default();
        self.headers.0.fill(0);
    }

    fn report(&self, scheme: Scheme) -> ArmReport {
        let quantile_ms =
            |q| self.headers.quantile(q).map(|bucket| scheme.edge(bucket.saturating_add(1)) / 1e3);
        ArmReport {
            requests: self.attempts.requests,
            failed: self.attempts.bad,
            error_rate: self.attempts.rate(),
            p50_ms: quantile_ms(0.5),
            p99_ms: quantile_ms(0.99),
        }
    }
}

impl Latencies {
    /// What lies beyond the last bucket belongs into it.
    fn add(&mut self, counts: &LatencyCounts) {
        let sums = &mut self.0[..];
        let last = sums.len().saturating_sub(1);
        for (bucket, count) in &counts.0 {
            if let Some(sum) = sums.get_mut(usize::from(*bucket).min(last)) {
                *sum = sum.saturating_add(u64::from(*count));
            }
        }
    }

    /// The bucket that holds the quantile `q` (0 to 1); none if empty.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank between 1 and the total"
    )]
    fn quantile(&self, q: f64) -> Option<u16> {
        let total = self.0.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let rank = ((total as f64 * q).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0_u64;
        (0..).zip(&self.0).find_map(|(bucket, count)| {
            seen = seen.saturating_add(*count);
            (seen >= rank).then_some(bucket)
        })
    }
}

impl From<Stored> for Latencies {
    fn from(stored: Stored) -> Self {
        let mut counts = vec![0; usize::from(stored.buckets)];
        for (bucket, count) in stored.counts {
            if let Some(place) = counts.get_mut(usize::from(bucket)) {
                *place = count;
            }
        }
        Self(counts)
    }
}

impl From<Latencies> for Stored {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "as many as a scheme has buckets, whose number is a u16"
    )]
    fn from(latencies: Latencies) -> Self {
        let counts = (0..).zip(&latencies.0).filter(|(_, count)| **count > 0);
        Self {
            buckets: latencies.0.len() as u16,
            counts: counts.map(|(bucket, count)| (bucket, *count)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(windows: &[&[(u16, u32)]]) -> Totals {
        let mut totals = Totals::new(Scheme::PRODUCTION);
        for counts in windows {
            let canary = Arm::counted(10, 1).with_headers(LatencyCounts(counts.to_vec()));
            totals.add(&Pairing { canary, stable: Arm::counted(3, 9) });
        }
        totals
    }

    #[test]
    fn sums_are_what_a_histogram_of_everything_says() {
        let (one, two): (&[_], &[_]) = (&[(300, 90), (400, 9)], &[(300, 1), (500, 2), (u16::MAX, 1)]);
        let totals = after(&[one, two]);
        let mut all = LatencyCounts(one.to_vec());
        all.merge(&LatencyCounts(vec![(300, 1), (500, 2), (831, 1)]));
        let report = totals.canary();
        assert_eq!((report.requests, report.failed), (20, 2));
        assert_eq!(report.p50_ms, all.quantile(0.5).map(|us| us / 1e3));
        assert_eq!(report.p99_ms, all.quantile(0.99).map(|us| us / 1e3));
        assert_eq!(
            (totals.stable().failed, totals.stable().p50_ms),
            (6, None),
            "no more failures than requests"
        );
    }

    #[test]
    fn what_is_stored_reads_back_the_same() {
        let totals = after(&[&[(0, 1), (7, 2), (831, 3)]]);
        let text = serde_json::to_string(&totals).unwrap();
        assert!(text.len() < 600, "{text}");
        assert_eq!(serde_json::from_str::<Totals>(&text).unwrap(), totals);
    }
}
