//! Histograms that are made when their first value comes, and what a drain takes out of them.

use hdrhistogram::Histogram;
use serin_config::{
    Outcome,
    limits::LATENCY_MAX_US,
    outcome::OutcomeCounts,
    wire::{LatencyCounts, bucket_of},
};

use super::Timing;

#[derive(Debug, Default)]
pub(super) struct Recorders {
    outcomes: OutcomeCounts,
    headers: Recorder,
    total: Recorder,
    failed_total: Recorder,
    own: Recorder,
}

/// Counts and histograms of some attempts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
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

impl Recorders {
    /// What neither version could cause has no part in the latencies.
    pub(super) fn record(&mut self, outcome: Outcome, timing: Timing) {
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

    pub(super) fn drain(&mut self) -> Option<Counted> {
        if self.outcomes == OutcomeCounts::default() {
            return None;
        }
        Some(Counted {
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
pub(super) struct Recorder {
    histogram: Option<Box<Histogram<u32>>>,
    sum_us: u64,
}

impl Recorder {
    pub(super) fn add(&mut self, micros: u64) {
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

    pub(super) fn drain(&mut self) -> Latencies {
        let Some(histogram) = self.histogram.as_mut().filter(|histogram| !histogram.is_empty()) else {
            return Latencies::default();
        };
        let counts =
            histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
        histogram.reset();
        Latencies { counts, sum_us: std::mem::take(&mut self.sum_us) }
    }
}
