//! Counts and histograms of one (route, version) on one worker, drained once a second.
//!
//! A worker owns its tallies, so recording is plain arithmetic: no lock, no atomic. The histograms are HDR
//! with two significant digits from 1 µs to a minute (11 KiB each), made when their first value comes: most
//! pairs of route and version never fail, and most failures never happen. Draining takes the counts out as
//! sparse lists and leaves the memory in place.

use hdrhistogram::Histogram;
use serin_config::{
    Outcome,
    limits::LATENCY_MAX_US,
    outcome::OutcomeCounts,
    wire::{LatencyCounts, bucket_of},
};

/// How long the parts of one attempt took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// From the request's head to the response's head; none if there was no response.
    pub headers: Option<u64>,
    /// From the request's head to the end of the exchange.
    pub total: u64,
    /// Of that, what the proxy itself took.
    pub own: Option<u64>,
}

/// Counts and histograms since the last drain.
#[derive(Debug, Default)]
pub struct Tally {
    outcomes: OutcomeCounts,
    headers: Recorder,
    total: Recorder,
    failed_total: Recorder,
    own: Recorder,
}

/// What a drain takes out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drained {
    /// How the attempts ended.
    pub outcomes: OutcomeCounts,
    /// Time to the response's head, of attempts that did not fail.
    pub headers: Latencies,
    /// Time to the end of the body, of attempts that did not fail.
    pub total: Latencies,
    /// Time to the end, of attempts that failed.
    pub failed_total: Latencies,
    /// The proxy's own time.
    pub own: Latencies,
}

/// A sparse histogram: (highest value of the bucket in microseconds, count), rising; and the exact sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    /// (microseconds, count).
    pub counts: Vec<(u64, u32)>,
    /// The sum of all values in microseconds.
    pub sum_us: u64,
}

impl Latencies {
    /// In the log-uniform buckets that windows carry.
    pub fn to_wire(&self) -> LatencyCounts {
        let mut wire: Vec<(u16, u32)> = Vec::with_capacity(self.counts.len());
        for (micros, count) in &self.counts {
            let bucket = bucket_of(*micros);
            match wire.last_mut() {
                Some((last, sum)) if *last == bucket => *sum = sum.saturating_add(*count),
                _ => wire.push((bucket, *count)),
            }
        }
        LatencyCounts(wire)
    }
}

impl Tally {
    /// Counts one attempt. What neither version could cause has no part in the latencies.
    pub fn record(&mut self, outcome: Outcome, timing: Timing) {
        self.outcomes.add(outcome);
        if let Some(own) = timing.own {
            self.own.add(own);
        }
        if outcome.is_failure() {
            self.failed_total.add(timing.total);
        } else if outcome.counts() {
            self.total.add(timing.total);
            self.headers.add(timing.headers.unwrap_or(timing.total));
        }
    }

    /// Takes out what was counted since the last drain; none if that is nothing.
    pub fn drain(&mut self) -> Option<Drained> {
        if self.outcomes == OutcomeCounts::default() {
            return None;
        }
        Some(Drained {
            outcomes: std::mem::take(&mut self.outcomes),
            headers: self.headers.drain(),
            total: self.total.drain(),
            failed_total: self.failed_total.drain(),
            own: self.own.drain(),
        })
    }
}

/// A histogram that is made when its first value comes.
#[derive(Debug, Default)]
struct Recorder {
    histogram: Option<Box<Histogram<u32>>>,
    sum_us: u64,
}

impl Recorder {
    fn add(&mut self, micros: u64) {
        self.sum_us = self.sum_us.saturating_add(micros);
        match &mut self.histogram {
            Some(histogram) => histogram.saturating_record(micros.max(1)),
            None => {
                // Bounds and digits are constants that the constructor accepts.
                if let Ok(mut histogram) = Histogram::new_with_bounds(1, LATENCY_MAX_US, 2) {
                    histogram.saturating_record(micros.max(1));
                    self.histogram = Some(Box::new(histogram));
                }
            }
        }
    }

    fn drain(&mut self) -> Latencies {
        let Some(histogram) = self.histogram.as_mut().filter(|histogram| !histogram.is_empty()) else {
            return Latencies::default();
        };
        let counts =
            histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
        histogram.reset();
        Latencies { counts, sum_us: std::mem::take(&mut self.sum_us) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timing(headers: u64, total: u64) -> Timing {
        Timing { headers: Some(headers), total, own: Some(20) }
    }

    #[test]
    fn success_and_failure_have_histograms_of_their_own() {
        let mut tally = Tally::default();
        tally.record(Outcome::Ok, timing(1_000, 2_000));
        tally.record(Outcome::Http4xx, timing(1_000, 2_000));
        tally.record(Outcome::ResetMidBody, timing(500, 900));
        tally.record(Outcome::ClientCancel, timing(70, 80));
        let drained = tally.drain().unwrap();
        assert_eq!(drained.outcomes.total(), 4);
        assert_eq!(drained.headers.counts.iter().map(|(_, n)| n).sum::<u32>(), 2);
        assert_eq!((drained.total.sum_us, drained.failed_total.sum_us), (4_000, 900));
        assert_eq!(drained.own.sum_us, 80);
    }

    #[test]
    fn a_drain_leaves_nothing_behind() {
        let mut tally = Tally::default();
        assert_eq!(tally.drain(), None);
        tally.record(Outcome::Ok, timing(5, 6));
        assert!(tally.drain().is_some());
        assert_eq!(tally.drain(), None);
        tally.record(Outcome::Ok, timing(7, 8));
        assert_eq!(tally.drain().unwrap().total.sum_us, 8);
    }

    #[test]
    fn what_is_longer_than_the_bounds_is_counted_at_their_end() {
        let mut tally = Tally::default();
        tally.record(Outcome::Ok, timing(u64::MAX / 2, u64::MAX / 2));
        let drained = tally.drain().unwrap();
        assert_eq!(drained.total.counts.len(), 1);
        assert!(drained.total.counts[0].0 >= LATENCY_MAX_US);
    }

    proptest! {
        #[test]
        fn every_value_arrives_in_a_window_within_two_buckets(values in proptest::collection::vec(1_u64..50_000_000, 1..200)) {
            let mut tally = Tally::default();
            for value in &values {
                tally.record(Outcome::Ok, timing(*value, *value));
            }
            let wire = tally.drain().unwrap().headers.to_wire();
            prop_assert_eq!(wire.total(), values.len() as u64);
            let mut exact: Vec<u16> = values.iter().map(|value| bucket_of(*value)).collect();
            exact.sort_unstable();
            let mut seen = wire.0.iter().flat_map(|(bucket, n)| std::iter::repeat_n(*bucket, *n as usize));
            prop_assert!(exact.iter().all(|bucket| seen.next().is_some_and(|s| s.abs_diff(*bucket) <= 1)));
        }
    }
}
