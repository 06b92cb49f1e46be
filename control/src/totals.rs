//! What was counted of each version, in small: a few numbers, whatever the number of windows, routes and buckets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serin_config::{ServiceName, VersionName, wire::WindowCell};

/// What was counted of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Total {
    /// All attempts that stand in windows: not those that the split did not send where they went (pinned, spilled, held back).
    pub requests: u64,
    /// Attempts that count in a comparison of versions.
    pub judged: u64,
    /// Those of them that failed.
    pub failed: u64,
}

impl Total {
    fn each(&mut self, other: Self, with: fn(u64, u64) -> u64) {
        self.requests = with(self.requests, other.requests);
        self.judged = with(self.judged, other.judged);
        self.failed = with(self.failed, other.failed);
    }
}

/// What was counted of all versions of all services.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Totals(BTreeMap<ServiceName, BTreeMap<VersionName, Total>>);

impl Totals {
    /// Counts cells.
    pub fn count(&mut self, cells: &[WindowCell]) {
        for cell in cells {
            let total = Total {
                requests: cell.outcomes.total(),
                judged: cell.outcomes.judged(),
                failed: cell.outcomes.failed(),
            };
            self.total(&cell.service, &cell.version).each(total, u64::saturating_add);
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.with(other, u64::saturating_add);
    }

    /// Takes out what is a part of it.
    pub fn take_out(&mut self, part: &Self) {
        self.with(part, u64::saturating_sub);
    }

    fn with(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        for (service, versions) in &other.0 {
            for (version, total) in versions {
                self.total(service, version).each(*total, with);
            }
        }
    }

    fn total(&mut self, service: &ServiceName, version: &VersionName) -> &mut Total {
        self.0.entry(service.clone()).or_default().entry(version.clone()).or_default()
    }

    /// What was counted of a version.
    pub fn of(&self, service: &str, version: &str) -> Total {
        self.0.get(service).and_then(|versions| versions.get(version)).copied().unwrap_or_default()
    }

    /// Forgets services that are no longer there.
    pub fn keep_only(&mut self, there: impl Fn(&ServiceName) -> bool) {
        self.0.retain(|service, _| there(service));
    }
}

#[cfg(test)]
mod tests {
    use serin_config::Generation;

    use super::*;
    use crate::fixtures::report;

    fn of(canary: (u64, u64), stable: (u64, u64)) -> Totals {
        let mut totals = Totals::default();
        totals.count(&report(1, Generation(1), canary, stable).cells);
        totals
    }

    #[test]
    fn what_is_taken_out_and_added_again_leaves_no_trace() {
        let (all, part) = (of((10, 1), (90, 2)), of((4, 1), (30, 0)));
        let mut totals = all.clone();
        totals.take_out(&part);
        assert_eq!(totals, of((6, 0), (60, 2)));
        assert_eq!(totals.of("shop", "v2").requests, 6);
        totals.add(&part);
        assert_eq!(totals, all);
        assert_eq!(totals.of("other", "v1"), Total::default());
    }

    #[test]
    fn it_is_stored_as_an_object_of_services() {
        let stored = serde_json::to_value(of((10, 1), (90, 2))).unwrap();
        let canary = serde_json::json!({ "requests": 10, "judged": 10, "failed": 1 });
        assert_eq!(stored["shop"]["v2"], canary, "as before: what is stored is read on");
        let mut totals: Totals = serde_json::from_value(stored).unwrap();
        totals.keep_only(|service| service.as_str() != "shop");
        assert_eq!(totals, Totals::default());
    }
}
