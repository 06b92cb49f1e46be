//! Up to where what proxies told is settled: judged, or left out for good. What follows from it is stored with it, in
//! one transaction, so that whoever goes on from the store knows which windows it must still be told, and counts none
//! twice.
//!
//! A window is not settled when it comes: it may wait for those of other proxies. So these marks trail behind what was
//! taken. A proxy keeps its windows until such a mark has passed them.
//!
//! Nor are the windows of one proxy always settled in their order: where its clock seemed to be ahead, a later one may go
//! to an earlier second. A mark that went by the later one would pass the earlier one, which would be lost if this process
//! ended now. So one whose turn has not come is put aside, and counted with the one that it waits for.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use serin_config::{ServiceName, VersionName, limits::PROXIES_MAX, wire::WindowReport};

use crate::{align::Second, store::Facts};

/// The name under which it is stored.
pub const FACT: &str = "seen";

/// What was counted of one version, in all windows that are settled; each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Total {
    /// All attempts.
    pub requests: u64,
    /// Attempts that count in a comparison of versions.
    pub judged: u64,
    /// Those of them that failed.
    pub failed: u64,
}

/// The marks, and the totals of what lies before them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Settled {
    /// The newest second that was judged, in seconds since 1970.
    closed: Option<u64>,
    /// For each proxy, its life and the number of its newest window that is settled.
    proxies: BTreeMap<String, (u64, u64)>,
    totals: BTreeMap<ServiceName, BTreeMap<VersionName, Total>>,
    /// For each proxy, the windows that came and are not counted yet, in their order.
    #[serde(skip)]
    under_way: HashMap<String, VecDeque<UnderWay>>,
}

/// A window between its coming and its being counted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UnderWay {
    epoch: u64,
    sequence: u64,
    /// What is in it, once it is settled; it waits for those before it then.
    settled: Option<Vec<(ServiceName, VersionName, Total)>>,
}

impl Settled {
    /// Those that are stored. What is of another form is begun anew, as evidence is.
    pub fn from_facts(facts: &Facts) -> Self {
        let stored = facts.get(FACT).cloned().and_then(|fact| serde_json::from_value(fact).ok());
        stored.unwrap_or_default()
    }

    /// A window has come, after all of its proxy that have come before. What is settled without having come is counted at
    /// once.
    pub fn comes(&mut self, report: &WindowReport) {
        let under_way = self.under_way.entry(report.proxy.clone()).or_default();
        under_way.push_back(UnderWay { epoch: report.epoch, sequence: report.sequence, settled: None });
    }

    /// A second is complete: whatever is made of it is made now.
    pub fn second(&mut self, second: &Second) {
        self.closed = self.closed.max(Some(second.at));
        second.reports.iter().for_each(|report| self.window(report));
    }

    /// A window came too late for its second: it counts for the totals, and for nothing else.
    pub fn left_out(&mut self, report: &WindowReport) {
        self.window(report);
    }

    fn window(&mut self, report: &WindowReport) {
        let cells = counts(report);
        let number = (report.epoch, report.sequence);
        let Some(under_way) = self.under_way.get_mut(&report.proxy) else {
            return self.count(&report.proxy, number, cells);
        };
        match under_way.iter_mut().find(|window| (window.epoch, window.sequence) == number) {
            Some(window) => window.settled = Some(cells),
            None => return self.count(&report.proxy, number, cells),
        }
        let mut due = Vec::new();
        while let Some(window) = under_way.pop_front_if(|window| window.settled.is_some()) {
            due.push(window);
        }
        if under_way.is_empty() {
            self.under_way.remove(&report.proxy);
        }
        for UnderWay { epoch, sequence, settled } in due {
            self.count(&report.proxy, (epoch, sequence), settled.unwrap_or_default());
        }
    }

    fn count(&mut self, proxy: &str, number: (u64, u64), cells: Vec<(ServiceName, VersionName, Total)>) {
        if !self.proxies.contains_key(proxy) && self.proxies.len() >= PROXIES_MAX {
            // The life that began first.
            let oldest = self.proxies.iter().min_by_key(|(_, (epoch, _))| *epoch);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.proxies.remove(&oldest);
            }
        }
        let mark = self.proxies.entry(proxy.to_owned()).or_default();
        *mark = (*mark).max(number);
        for (service, version, counted) in cells {
            let total = self.totals.entry(service).or_default().entry(version).or_default();
            total.requests = total.requests.saturating_add(counted.requests);
            total.judged = total.judged.saturating_add(counted.judged);
            total.failed = total.failed.saturating_add(counted.failed);
        }
    }

    /// The newest second that was judged.
    pub fn closed(&self) -> Option<u64> {
        self.closed
    }

    /// The marks: for each proxy, its life and the number of its newest window that is settled.
    pub fn proxies(&self) -> impl Iterator<Item = (&str, (u64, u64))> {
        self.proxies.iter().map(|(name, mark)| (name.as_str(), *mark))
    }

    /// The marks, to be told to proxies.
    pub fn marks(&self) -> HashMap<String, (u64, u64)> {
        self.proxies.iter().map(|(name, mark)| (name.clone(), *mark)).collect()
    }

    /// The number of a proxy's life that begins at that time: above those of all that are known, though its clock may have been
    /// set back since.
    pub fn next_life(&self, proxy: &str, now_ms: u64) -> u64 {
        self.proxies.get(proxy).map_or(now_ms, |(epoch, _)| now_ms.max(epoch.saturating_add(1)))
    }

    /// What was counted of a version since it was first seen.
    pub fn total(&self, service: &str, version: &str) -> Total {
        self.totals.get(service).and_then(|versions| versions.get(version)).copied().unwrap_or_default()
    }

    /// Forgets the totals of services that are no longer there.
    pub fn keep_only(&mut self, there: impl Fn(&ServiceName) -> bool) {
        self.totals.retain(|service, _| there(service));
    }
}

/// What is in a window.
fn counts(report: &WindowReport) -> Vec<(ServiceName, VersionName, Total)> {
    let cells = report.cells.iter().map(|cell| {
        let total = Total {
            requests: cell.outcomes.total(),
            judged: cell.outcomes.judged(),
            failed: cell.outcomes.failed(),
        };
        (cell.service.clone(), cell.version.clone(), total)
    });
    cells.collect()
}

#[cfg(test)]
mod tests {
    use serin_config::Generation;

    use super::*;
    use crate::fixtures::report;

    fn from(proxy: &str, epoch: u64, sequence: u64) -> WindowReport {
        WindowReport { proxy: proxy.into(), epoch, ..report(sequence, Generation(1), (10, 1), (90, 2)) }
    }

    #[test]
    fn marks_follow_the_newest_life_and_totals_count_every_window() {
        let mut settled = Settled::default();
        settled.second(&Second { at: 100, reports: vec![from("a", 1, 7), from("b", 1, 3)] });
        settled.left_out(&from("b", 1, 4));
        settled.second(&Second { at: 101, reports: vec![from("a", 2, 1)] });
        assert_eq!(settled.closed(), Some(101));
        assert_eq!(settled.proxies().collect::<Vec<_>>(), [("a", (2, 1)), ("b", (1, 4))]);
        assert_eq!(settled.total("shop", "v2"), Total { requests: 40, judged: 40, failed: 4 });
        assert_eq!(settled.total("shop", "v1").requests, 360);
        assert_eq!(settled.total("other", "v1"), Total::default());
    }

    #[test]
    fn no_mark_passes_a_window_that_still_waits_for_its_second() {
        let mut settled = Settled::default();
        let windows = [1, 2, 3].map(|sequence| from("a", 1, sequence));
        windows.iter().for_each(|window| settled.comes(window));
        // The third one belongs to the second of the first: its clock had seemed to be ahead.
        let [first, second, third] = windows;
        settled.second(&Second { at: 100, reports: vec![first, third] });
        assert_eq!(settled.proxies().collect::<Vec<_>>(), [("a", (1, 1))]);
        assert_eq!(settled.total("shop", "v2").requests, 10, "what is not marked is not counted");
        settled.second(&Second { at: 101, reports: vec![second] });
        assert_eq!(settled.proxies().collect::<Vec<_>>(), [("a", (1, 3))]);
        assert_eq!(settled.total("shop", "v2").requests, 30);
        assert!(settled.under_way.is_empty());
    }

    #[test]
    fn it_is_the_same_after_it_was_stored() {
        let mut settled = Settled::default();
        settled.second(&Second { at: 100, reports: vec![from("a", 1, 7)] });
        let stored = serde_json::to_value(&settled).unwrap();
        assert_eq!(serde_json::from_value::<Settled>(stored).unwrap(), settled);
        settled.keep_only(|service| service.as_str() != "shop");
        assert_eq!(settled.total("shop", "v2"), Total::default());
    }

    #[test]
    fn a_life_comes_after_all_that_are_known_though_the_clock_was_set_back() {
        let mut settled = Settled::default();
        settled.left_out(&from("a", 5_000, 7));
        assert_eq!((settled.next_life("a", 6_000), settled.next_life("a", 4_000)), (6_000, 5_001));
        assert_eq!(settled.next_life("b", 4_000), 4_000);
    }

    #[test]
    fn the_number_of_marks_is_bounded() {
        let mut settled = Settled::default();
        for number in 0..=PROXIES_MAX as u64 {
            settled.left_out(&from(&number.to_string(), number, 1));
        }
        assert_eq!(settled.marks().len(), PROXIES_MAX);
        assert!(!settled.marks().contains_key("0"), "the oldest life went first");
    }
}
