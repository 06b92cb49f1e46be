//! What one window contributes: integers for each arm, which add up over proxies, routes and seconds.
//!
//! Sums of counts are all that crosses a boundary; no running number is ever sent or averaged. So it makes no
//! difference to the evidence how many proxies counted, and the same type also holds totals.

use serde::{Deserialize, Serialize};
use serin_config::{
    ServiceName, VersionName,
    wire::{LatencyCounts, WindowCell},
};

use crate::block::{Pair, Trials};

/// Counts of one version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Arm {
    /// Attempts that count in a comparison.
    pub judged: u64,
    /// Those of them that count as the version's failures.
    pub failed: u64,
    /// Time to response headers of the attempts that did not fail.
    pub headers: LatencyCounts,
}

impl Arm {
    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.judged = self.judged.saturating_add(other.judged);
        self.failed = self.failed.saturating_add(other.failed);
        self.headers.merge(&other.headers);
    }

    fn add(&mut self, cell: &WindowCell) {
        self.judged = self.judged.saturating_add(cell.outcomes.judged());
        self.failed = self.failed.saturating_add(cell.outcomes.failed());
        self.headers.merge(&cell.headers);
    }

    fn failures(&self) -> Trials {
        Trials { requests: self.judged, bad: self.failed }
    }

    /// Only what lies wholly above the limit is slow: the bucket that holds it gets the benefit of the doubt.
    /// Failed attempts are not counted here; they have a guard of their own.
    fn slower_than(&self, limit_us: f64) -> Trials {
        Trials { requests: self.headers.total(), bad: self.headers.above(limit_us) }
    }
}

/// Counts of both versions over the same seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// The version under test.
    pub canary: Arm,
    /// The version that is trusted.
    pub stable: Arm,
}

impl Window {
    /// Sums the cells of one service over its routes and over proxies; cells of other services and versions are
    /// left out.
    pub fn gather<'a>(
        cells: impl IntoIterator<Item = &'a WindowCell>,
        service: &ServiceName,
        canary: &VersionName,
        stable: &VersionName,
    ) -> Self {
        let mut window = Self::default();
        for cell in cells.into_iter().filter(|cell| &cell.service == service) {
            if &cell.version == canary {
                window.canary.add(cell);
            } else if &cell.version == stable {
                window.stable.add(cell);
            }
        }
        window
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.canary.merge(&other.canary);
        self.stable.merge(&other.stable);
    }

    pub(crate) fn failures(&self) -> Pair {
        Pair { canary: self.canary.failures(), stable: self.stable.failures() }
    }

    pub(crate) fn slower_than(&self, limit_us: f64) -> Pair {
        Pair { canary: self.canary.slower_than(limit_us), stable: self.stable.slower_than(limit_us) }
    }
}

#[cfg(test)]
mod tests {
    use serin_config::{
        Outcome, RouteName,
        outcome::OutcomeCounts,
        wire::{bucket_edge, bucket_of},
    };

    use super::*;

    fn cell(service: &str, version: &str, route: &str, outcomes: &[Outcome]) -> WindowCell {
        let mut counts = OutcomeCounts::default();
        outcomes.iter().for_each(|outcome| counts.add(*outcome));
        WindowCell {
            service: ServiceName::try_new(service).unwrap(),
            version: VersionName::try_new(version).unwrap(),
            route: RouteName::try_new(route).unwrap(),
            outcomes: counts,
            headers: LatencyCounts(vec![(100, 1)]),
        }
    }

    #[test]
    fn a_window_sums_routes_and_leaves_out_what_is_not_under_test() {
        let cells = [
            cell("shop", "v2", "cart", &[Outcome::Ok, Outcome::Http5xx, Outcome::ClientCancel]),
            cell("shop", "v2", "search", &[Outcome::HeaderTimeout]),
            cell("shop", "v1", "cart", &[Outcome::Http4xx]),
            cell("shop", "v0", "cart", &[Outcome::Http5xx]),
            cell("blog", "v2", "cart", &[Outcome::Http5xx]),
        ];
        let name = |text| VersionName::try_new(text).unwrap();
        let window = Window::gather(&cells, &ServiceName::try_new("shop").unwrap(), &name("v2"), &name("v1"));
        assert_eq!((window.canary.judged, window.canary.failed), (3, 2));
        assert_eq!(window.canary.headers.0, [(100, 2)]);
        assert_eq!((window.stable.judged, window.stable.failed), (1, 0));
    }

    #[test]
    fn the_bucket_that_holds_the_limit_is_not_slow() {
        let limit_us = 500_000;
        let bucket = bucket_of(limit_us);
        assert!(bucket_edge(bucket) < limit_us as f64);
        let arm =
            Arm { headers: LatencyCounts(vec![(1, 5), (bucket, 3), (bucket + 1, 2)]), ..Arm::default() };
        assert_eq!(arm.slower_than(limit_us as f64), Trials { requests: 10, bad: 2 });
    }
}
