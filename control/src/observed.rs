//! The share of traffic that each version was observed to get, beside the share that was set: a weight is a claim until
//! requests have shown it.
//!
//! Only windows count that began and ended under the split in force, so a change of weight begins anew. The interval
//! is Wilson's, at 99 %: where it does not hold the share that was set, something deals otherwise than it was told. It
//! takes each request for a draw of its own; where users stick to a version, the truth may lie further off.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serin_config::{Generation, Plan, ServiceName, VersionName, limits::OBSERVED_SECONDS_MAX};

use crate::align::Second;

/// The 0.995 quantile of the normal distribution: 99 % lie between it and its opposite.
const Z: f64 = 2.575_829_303_548_901;

/// An observed share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The share of this version in what was observed, 0 to 1.
    pub share: f64,
    /// The lower end of its 99 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Requests of all versions that it rests on.
    pub requests: u64,
    /// Seconds in which they were counted.
    pub seconds: usize,
}

/// Requests by version, second by second.
#[derive(Debug)]
struct OfService {
    since: Generation,
    seconds: VecDeque<BTreeMap<VersionName, u64>>,
    /// For each of these seconds, how many requests the canary got copies of.
    copied: VecDeque<u64>,
    /// Whether some proxy held the canary back in the newest second.
    probing: bool,
}

impl OfService {
    /// Nothing was observed of a split that is in force from this plan on.
    fn begun(since: Generation) -> Self {
        Self { since, seconds: VecDeque::new(), copied: VecDeque::new(), probing: false }
    }
}

/// What was observed of every service under its present split.
#[derive(Debug, Default)]
pub struct Shares(BTreeMap<ServiceName, OfService>);

impl Shares {
    /// A plan is in force: services whose split is new begin anew, and all where numbers do not go on: windows of plans
    /// of another history would count for this one.
    pub fn follow(&mut self, before: Option<&Plan>, now: &Plan) {
        self.0.retain(|name, _| now.split(name.as_str()).is_some());
        let before = before.filter(|before| before.generation().next() >= now.generation());
        for (service, split) in now.services() {
            let name = service.name.as_str();
            let same = before
                .is_some_and(|plan| plan.split(name) == Some(split) && plan.mirror(name) == now.mirror(name));
            if !(same && self.0.contains_key(&service.name)) {
                self.0.insert(service.name.clone(), OfService::begun(now.generation()));
            }
        }
    }

    /// Takes a complete second.
    pub fn take(&mut self, second: &Second) {
        for (name, of) in &mut self.0 {
            of.probing = second.sheets.iter().any(|sheet| sheet.probing.contains(name));
            let (mut counts, mut copied) = (BTreeMap::new(), BTreeMap::new());
            let settled =
                |began: Generation, probing: &[ServiceName]| began >= of.since && !probing.contains(name);
            for sheet in second.sheets.iter().filter(|sheet| settled(sheet.began_under, &sheet.probing)) {
                for cell in sheet.cells.iter().filter(|cell| cell.service == *name) {
                    *counts.entry(cell.version.clone()).or_insert(0_u64) += cell.outcomes.judged();
                }
                for cell in sheet.copies.iter().filter(|cell| cell.service == *name) {
                    *copied.entry(&cell.version).or_insert(0_u64) += cell.outcomes.total();
                }
            }
            if counts.values().any(|count| *count > 0) {
                of.seconds.push_back(counts);
                // Each copy stands beside its request, so both versions have as many.
                of.copied.push_back(copied.into_values().max().unwrap_or(0));
                let surplus = of.seconds.len().saturating_sub(OBSERVED_SECONDS_MAX);
                of.seconds.drain(..surplus);
                of.copied.drain(..surplus);
            }
        }
    }

    /// Whether proxies hold a canary back to a few requests a second, since it is new to users: such seconds show nothing
    /// of the share that was set.
    pub fn is_probing(&self, service: &str) -> bool {
        self.0.get(service).is_some_and(|of| of.probing)
    }

    /// The share that a version was observed to have; none before a request.
    pub fn of(&self, service: &str, version: &VersionName) -> Option<Observed> {
        let of = self.0.get(service)?;
        let all: u64 = of.seconds.iter().flat_map(BTreeMap::values).sum();
        let own: u64 = of.seconds.iter().filter_map(|second| second.get(version)).sum();
        let (share, low, high) = wilson(own, all)?;
        Some(Observed { share, low, high, requests: all, seconds: of.seconds.len() })
    }
}

impl Shares {
    /// The share of a service's requests that its canary was observed to get copies of; none before a request. Requests whose
    /// method is not copied are among all.
    pub fn copied(&self, service: &str) -> Option<Observed> {
        let of = self.0.get(service)?;
        let all: u64 = of.seconds.iter().flat_map(BTreeMap::values).sum();
        let copied: u64 = of.copied.iter().sum();
        let (share, low, high) = wilson(copied.min(all), all)?;
        Some(Observed { share, low, high, requests: all, seconds: of.seconds.len() })
    }
}

/// The share of `own` in `all`, and Wilson's interval around it.
fn wilson(own: u64, all: u64) -> Option<(f64, f64, f64)> {
    if all == 0 {
        return None;
    }
    let n = all as f64;
    let share = own as f64 / n;
    let (z2, whole) = (Z * Z, 1.0 + Z * Z / n);
    let middle = (share + z2 / (2.0 * n)) / whole;
    let half = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt() / whole;
    Some((share, (middle - half).max(0.0), (middle + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    use serin_config::wire::WindowReport;

    use super::*;
    use crate::fixtures::{report, version};

    fn second(at: u64, reports: Vec<WindowReport>) -> Second {
        Second::of(at, reports)
    }

    fn shares(since: u64) -> Shares {
        let name = ServiceName::try_new("shop").unwrap();
        Shares(BTreeMap::from([(name, OfService::begun(Generation(since)))]))
    }

    #[test]
    fn copies_are_a_share_of_all_requests_and_change_no_versions_share() {
        let mut shares = shares(4);
        let mut window = report(1, Generation(4), (0, 0), (100, 0));
        window.copies = report(1, Generation(4), (7, 7), (7, 0)).cells;
        shares.take(&second(1, vec![window, report(1, Generation(4), (0, 0), (100, 0))]));
        let copied = shares.copied("shop").unwrap();
        assert_eq!(
            (copied.share, copied.requests),
            (0.035, 200),
            "a proxy that copies nothing lowers the share"
        );
        assert_eq!(shares.of("shop", &version("v2")).unwrap().share, 0.0);
    }

    #[test]
    fn only_windows_that_began_under_the_split_count() {
        let mut shares = shares(5);
        assert_eq!(shares.of("shop", &version("v2")), None);
        shares.take(&second(1, vec![report(1, Generation(4), (50, 0), (50, 0))]));
        let mixed = WindowReport { began_under: Generation(4), ..report(2, Generation(5), (50, 0), (50, 0)) };
        let probed = WindowReport {
            probing: vec![ServiceName::try_new("shop").unwrap()],
            ..report(2, Generation(5), (50, 0), (50, 0))
        };
        shares.take(&second(2, vec![mixed, probed]));
        assert_eq!(shares.of("shop", &version("v2")), None);
        assert!(shares.is_probing("shop"), "and why there is none can be told");
        shares.take(&second(
            3,
            vec![report(3, Generation(5), (10, 0), (90, 0)), report(3, Generation(6), (0, 0), (0, 0))],
        ));
        let observed = shares.of("shop", &version("v2")).unwrap();
        assert_eq!((observed.share, observed.requests, observed.seconds), (0.1, 100, 1));
        assert!(!shares.is_probing("shop"));
        assert!(observed.low < 0.1 && observed.high > 0.1 && observed.high < 0.25, "{observed:?}");
    }

    #[test]
    fn only_the_newest_seconds_are_kept() {
        let mut shares = shares(1);
        for at in 0..2 * OBSERVED_SECONDS_MAX as u64 {
            shares.take(&second(at, vec![report(at, Generation(1), (1, 0), (9, 0))]));
        }
        assert_eq!(shares.of("shop", &version("v1")).unwrap().seconds, OBSERVED_SECONDS_MAX);
    }

    #[test]
    fn the_interval_is_wilsons() {
        let (share, low, high) = wilson(81, 263).unwrap();
        assert!(
            (share - 0.308).abs() < 1e-3 && (low - 0.240_137).abs() < 1e-6 && (high - 0.385_283).abs() < 1e-6,
            "{low} {high}"
        );
        let (_, low, high) = wilson(0, 20).unwrap();
        assert!(low == 0.0 && (high - 0.249).abs() < 2e-3, "{high}");
        assert_eq!(wilson(0, 0), None);
    }
}
