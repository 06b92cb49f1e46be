//! Counts since the start, as metrics show them.

use std::collections::{BTreeMap, HashMap};

use serin_config::{RouteName, ServiceName, VersionName, outcome::OutcomeCounts};
use serin_split::{
    exemplar::{self, BUCKETS, Exemplar},
    tally::{AsideCounts, Counted, Latencies},
    trace::TraceId,
};

use super::Handover;

/// A classic histogram: counts below each bound (not cumulative; the last is above all bounds), and the sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Classic {
    pub(crate) buckets: [u64; BUCKETS],
    pub(crate) sum_us: u64,
    /// The latest recorded trace of each bucket.
    pub(crate) exemplars: [Option<Stamped>; BUCKETS],
}

/// An exemplar, and when it was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamped {
    pub(crate) trace: TraceId,
    pub(crate) micros: u64,
    pub(crate) at_ms: u64,
}

impl Classic {
    fn add(&mut self, latencies: &Latencies) {
        for (micros, count) in &latencies.counts {
            self.buckets[exemplar::bucket(*micros)] += u64::from(*count);
        }
        self.sum_us = self.sum_us.saturating_add(latencies.sum_us);
    }
}

/// Everything that was counted for one (service, version, route).
#[derive(Debug, Clone, Default)]
pub(crate) struct Total {
    /// Of all attempts, those that have no part in the comparison of versions, by reason.
    pub(crate) aside: AsideCounts,
    pub(crate) outcomes: OutcomeCounts,
    pub(crate) headers: Classic,
    pub(crate) success: Classic,
    pub(crate) failure: Classic,
    pub(crate) own: Classic,
}

impl Total {
    fn add(&mut self, counted: &Counted) {
        self.outcomes.merge(&counted.outcomes);
        self.headers.add(&counted.headers);
        self.success.add(&counted.total);
        self.failure.add(&counted.failed_total);
        self.own.add(&counted.own);
    }

    fn note(&mut self, exemplar: &Exemplar, at_ms: u64) {
        let Exemplar { of, trace, micros } = *exemplar;
        let classic = match of {
            exemplar::Of::Success => &mut self.success,
            exemplar::Of::Failure => &mut self.failure,
            exemplar::Of::Headers => &mut self.headers,
        };
        classic.exemplars[exemplar::bucket(micros)] = Some(Stamped { trace, micros, at_ms });
    }
}

/// What identifies a series.
pub(crate) type Key = (ServiceName, VersionName, RouteName);

/// All counts since the start, and the gauges of now.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) series: BTreeMap<Key, Total>,
    /// What copies of requests came to; they are nobody's traffic.
    pub(crate) copies: BTreeMap<(ServiceName, VersionName), Total>,
    /// By worker, so that a worker's new reading replaces its last.
    in_flight: HashMap<usize, Vec<(ServiceName, VersionName, u64)>>,
    upstream_idle: HashMap<usize, u64>,
    /// Attempts by the worker that made them.
    by_worker: BTreeMap<usize, u64>,
}

impl Totals {
    /// Adds what a worker handed over; `now_ms` is since 1970.
    pub(crate) fn add(&mut self, handover: &Handover, now_ms: u64) {
        let attempts = self.by_worker.entry(handover.worker).or_default();
        for cell in &handover.cells {
            let key = (cell.service.clone(), cell.version.clone(), cell.route.clone());
            let total = self.series.entry(key).or_default();
            total.add(&cell.drained.judged);
            *attempts += cell.drained.judged.outcomes.total();
            if let Some(aside) = &cell.drained.aside {
                let (reasons, counted) = &**aside;
                for (sum, count) in total.aside.iter_mut().zip(reasons) {
                    *sum += count;
                }
                total.add(counted);
                *attempts += counted.outcomes.total();
            }
            for exemplar in &cell.drained.exemplars {
                total.note(exemplar, now_ms);
            }
        }
        for (service, version, drained) in &handover.copies {
            self.copies.entry((service.clone(), version.clone())).or_default().add(&drained.judged);
        }
        self.in_flight.insert(handover.worker, handover.in_flight.clone());
        self.upstream_idle.insert(handover.worker, handover.upstream_idle);
    }

    /// Requests in flight, all workers together.
    pub(crate) fn in_flight(&self) -> BTreeMap<(ServiceName, VersionName), u64> {
        let mut sums = BTreeMap::new();
        for (service, version, count) in self.in_flight.values().flatten() {
            *sums.entry((service.clone(), version.clone())).or_default() += count;
        }
        sums
    }

    /// Attempts by the worker that made them, in the order of workers.
    pub(crate) fn by_worker(&self) -> impl Iterator<Item = (usize, u64)> {
        self.by_worker.iter().map(|(worker, attempts)| (*worker, *attempts))
    }

    /// Unused connections to endpoints, all workers together.
    pub(crate) fn upstream_idle(&self) -> u64 {
        self.upstream_idle.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_at_a_bound_counts_below_it() {
        let mut classic = Classic::default();
        classic.add(&Latencies { counts: vec![(100, 1), (101, 2), (40_000_000, 3)], sum_us: 7 });
        assert_eq!((classic.buckets[0], classic.buckets[1], classic.buckets[17]), (1, 2, 3));
        assert_eq!(classic.sum_us, 7);
    }
}
