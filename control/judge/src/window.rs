//! What one window contributes: integers for each arm and route, which add up over proxies and seconds.
//!
//! Sums of counts are all that crosses a boundary; no running number is ever sent or averaged. So it makes no
//! difference to the evidence how many proxies counted, and the same types also hold totals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serin_config::{
    EventName, RouteName, ServiceName, VersionName, Weight,
    outcome::OutcomeCounts,
    policy::ErrorWeights,
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
    /// What they count together, in thousandths of a failure.
    pub charged: u64,
    /// Failures with each client counted once; none where the split is not sticky.
    #[serde(default)]
    pub clients: Option<u64>,
    /// Time to response headers of the attempts that did not fail.
    pub headers: LatencyCounts,
    /// Business events.
    #[serde(default)]
    pub events: Vec<(EventName, u64)>,
}

impl Arm {
    /// So many attempts, of which so many failed; nothing else is known.
    pub fn counted(judged: u64, failed: u64) -> Self {
        Self { judged, failed, charged: failed.saturating_mul(1000), ..Self::default() }
    }

    /// The same with latencies of the attempts that did not fail.
    pub fn with_headers(self, headers: LatencyCounts) -> Self {
        Self { headers, ..self }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.judged = self.judged.saturating_add(other.judged);
        self.failed = self.failed.saturating_add(other.failed);
        self.charged = self.charged.saturating_add(other.charged);
        self.clients = match (self.clients, other.clients) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        self.headers.merge(&other.headers);
        for (event, count) in &other.events {
            match self.events.iter_mut().find(|(name, _)| name == event) {
                Some((_, sum)) => *sum = sum.saturating_add(*count),
                None => self.events.push((event.clone(), *count)),
            }
        }
    }

    fn add(&mut self, outcomes: &OutcomeCounts, headers: &LatencyCounts, weights: &ErrorWeights) {
        self.judged = self.judged.saturating_add(outcomes.judged());
        self.failed = self.failed.saturating_add(outcomes.failed());
        self.charged = self.charged.saturating_add(weights.charge(outcomes));
        self.headers.merge(headers);
    }

    pub(crate) fn failures(&self) -> Trials {
        Trials { requests: self.judged, bad: self.failed }.plausible()
    }

    /// What lies in `bucket` or beyond. Failed attempts are not counted here; they have a guard of their own.
    fn slow_from(&self, bucket: u16) -> Trials {
        let mut trials = Trials::default();
        for (at, count) in &self.headers.0 {
            let count = u64::from(*count);
            trials.add(Trials { requests: count, bad: if *at >= bucket { count } else { 0 } });
        }
        trials
    }
}

/// Counts of both versions over the same seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pairing {
    /// The version under test.
    pub canary: Arm,
    /// The version that is trusted.
    pub stable: Arm,
}

impl Pairing {
    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.canary.merge(&other.canary);
        self.stable.merge(&other.stable);
    }

    pub(crate) fn failures(&self) -> Pair {
        Pair { canary: self.canary.failures(), stable: self.stable.failures() }
    }

    pub(crate) fn slow_from(&self, bucket: u16) -> Pair {
        Pair { canary: self.canary.slow_from(bucket), stable: self.stable.slow_from(bucket) }
    }
}

/// One second of a rollout, all proxies together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// What each route saw.
    pub routes: BTreeMap<RouteName, Pairing>,
    /// The negative control: a slice of the stable version (as `canary`) against the rest of it.
    #[serde(default)]
    pub control: Pairing,
    /// Business events that others counted, with the requests among which they did; both versions over the same time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<EventName, Pair>,
    /// The share that the canary had during the whole window; none where it changed meanwhile, or where a
    /// probe kept it smaller.
    #[serde(default)]
    pub share: Option<Weight>,
    /// Whether the canary's counts are of copies, and the stable version's of the requests that were copied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub copies: bool,
}

impl Window {
    /// A window of one route.
    pub fn of(route: &RouteName, pairing: Pairing) -> Self {
        Self { routes: BTreeMap::from([(route.clone(), pairing)]), ..Self::default() }
    }

    /// Sums the cells of one service over proxies; cells of other services and versions are left out.
    pub fn gather<'a>(
        cells: impl IntoIterator<Item = &'a WindowCell>,
        service: &ServiceName,
        canary: &VersionName,
        stable: &VersionName,
        weights: &ErrorWeights,
    ) -> Self {
        let mut window = Self::default();
        for cell in cells.into_iter().filter(|cell| &cell.service == service) {
            let is_stable = &cell.version == stable;
            if !is_stable && &cell.version != canary {
                continue;
            }
            let pairing = window.routes.entry(cell.route.clone()).or_default();
            let arm = if is_stable { &mut pairing.stable } else { &mut pairing.canary };
            arm.add(&cell.outcomes, &cell.headers, weights);
            let rest = Arm { clients: cell.clients, events: cell.events.clone(), ..Arm::default() };
            arm.merge(&rest);
            if let Some(slice) = cell.control.as_deref().filter(|_| is_stable) {
                window.control.canary.add(&slice.outcomes, &slice.headers, weights);
                window.control.stable.add(
                    &cell.outcomes.less(&slice.outcomes),
                    &cell.headers.less(&slice.headers),
                    weights,
                );
                // Which clients failed is not known of the slice. Counted by requests, one broken client would make
                // the stable version differ from itself, and the judge slow; so its failures are no matter there.
                if cell.clients.is_some() {
                    window.control.canary.clients = Some(0);
                    window.control.stable.clients = Some(0);
                }
            }
        }
        window
    }

    /// The same of copies, and of the requests that were copied. Beside them stand all `cells`, for how the stable version
    /// compares with itself.
    pub fn gather_copies<'a>(
        copies: impl IntoIterator<Item = &'a WindowCell>,
        cells: impl IntoIterator<Item = &'a WindowCell>,
        service: &ServiceName,
        canary: &VersionName,
        stable: &VersionName,
        weights: &ErrorWeights,
    ) -> Self {
        let control = Self::gather(cells, service, stable, stable, weights).control;
        Self { control, copies: true, ..Self::gather(copies, service, canary, stable, weights) }
    }

    /// All routes together.
    pub fn total(&self) -> Pairing {
        let mut total = Pairing::default();
        self.routes.values().for_each(|route| total.merge(route));
        total
    }

    /// Adds all of `other`; the share holds only where both have it.
    pub fn merge(&mut self, other: &Self) {
        for (route, pairing) in &other.routes {
            self.routes.entry(route.clone()).or_default().merge(pairing);
        }
        self.control.merge(&other.control);
        for (event, pair) in &other.told {
            self.told.entry(event.clone()).or_default().add(*pair);
        }
        self.share = self.share.filter(|share| other.share == Some(*share));
        self.copies |= other.copies;
    }
}

#[cfg(test)]
mod tests {
    use serin_config::{Outcome, RouteName};

    use super::*;

    fn cell(service: &str, version: &str, route: &str, outcomes: &[Outcome]) -> WindowCell {
        let mut counts = serin_config::outcome::OutcomeCounts::default();
        outcomes.iter().for_each(|outcome| counts.add(*outcome));
        WindowCell {
            service: ServiceName::try_new(service).unwrap(),
            version: VersionName::try_new(version).unwrap(),
            route: RouteName::try_new(route).unwrap(),
            outcomes: counts,
            headers: LatencyCounts(vec![(100, 1)]),
            clients: None,
            control: None,
            events: vec![],
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
        let window = Window::gather(
            &cells,
            &ServiceName::try_new("shop").unwrap(),
            &name("v2"),
            &name("v1"),
            &ErrorWeights::default(),
        );
        assert_eq!(window.routes.len(), 2);
        let window = window.total();
        assert_eq!((window.canary.judged, window.canary.failed), (3, 2));
        assert_eq!(window.canary.headers.0, [(100, 2)]);
        assert_eq!((window.stable.judged, window.stable.failed), (1, 0));
    }

    #[test]
    fn failures_of_the_control_slice_are_no_matter_where_users_stick() {
        let slice = |clients| {
            let mut stable = cell("shop", "v1", "cart", &[Outcome::Http5xx; 9]);
            (stable.clients, stable.control) = (clients, Some(Box::default()));
            let name = |text| VersionName::try_new(text).unwrap();
            let shop = ServiceName::try_new("shop").unwrap();
            let window = Window::gather(&[stable], &shop, &name("v2"), &name("v1"), &ErrorWeights::default());
            crate::stratum_block::bad(&window.control)
        };
        assert_eq!((slice(None), slice(Some(1))), ((0, 9_000), (0, 0)));
    }
}
