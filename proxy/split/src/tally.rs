//! Counts and histograms of one (route, version) on one worker, drained once a second.
//!
//! A worker owns its tallies, so recording is plain arithmetic: no lock, no atomic. The histograms are HDR
//! with two significant digits from 1 µs to a minute (11 KiB each), made when their first value comes: most
//! pairs of route and version never fail, and most failures never happen. Draining takes the counts out as
//! sparse lists and leaves the memory in place.
//!
//! An attempt that the split did not send where it went is no random sample of the traffic: a tester's pinned
//! request, say, or one that spilled over from a version that was not ready. Such attempts are counted apart,
//! each with its reason ([`Aside`]); metrics show them, the comparison of versions never sees them.

use hdrhistogram::Histogram;
use serin_config::{
    Outcome,
    limits::LATENCY_MAX_US,
    outcome::OutcomeCounts,
    wire::{LatencyCounts, bucket_of},
};

use crate::{
    exemplar::{Exemplar, Exemplars},
    trace::TraceId,
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

/// Why an attempt has no part in the comparison of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Aside {
    /// A header or cookie pinned the request to the version.
    Pinned,
    /// The version that the split chose was not ready, and this one took the request over.
    Spilled,
    /// A fault was injected.
    Injected,
    /// The second attempt of a request whose first, by another version, had failed.
    Rescue,
}

impl Aside {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Pinned, Self::Spilled, Self::Injected, Self::Rescue];

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Spilled => "spilled",
            Self::Injected => "injected",
            Self::Rescue => "rescue",
        }
    }
}

/// Attempts that were set aside, one counter for each reason in the order of [`Aside::ALL`].
pub type AsideCounts = [u64; Aside::ALL.len()];

/// Counts and histograms since the last drain.
#[derive(Debug, Default)]
pub struct Tally {
    judged: Recorders,
    /// Made when the first attempt is set aside; most never need it.
    aside: Option<Box<(AsideCounts, Recorders)>>,
    /// Made when the first trace is recorded.
    exemplars: Option<Box<Exemplars>>,
}

#[derive(Debug, Default)]
struct Recorders {
    outcomes: OutcomeCounts,
    headers: Recorder,
    total: Recorder,
    failed_total: Recorder,
    own: Recorder,
}

/// What a drain takes out of a tally.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drained {
    /// What the comparison of versions looks at.
    pub judged: Counted,
    /// What it must not see.
    pub aside: Option<Box<(AsideCounts, Counted)>>,
    /// Traces of some of the attempts.
    pub exemplars: Vec<Exemplar>,
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

impl Tally {
    /// Counts one attempt that the split sent where it went.
    pub fn record(&mut self, outcome: Outcome, timing: Timing) {
        self.judged.record(outcome, timing);
    }

    /// Counts one attempt that has no part in the comparison.
    pub fn record_aside(&mut self, why: Aside, outcome: Outcome, timing: Timing) {
        let (counts, recorders) = &mut **self.aside.get_or_insert_default();
        counts[why as usize] += 1;
        recorders.record(outcome, timing);
    }

    /// Notes that an attempt that was just counted belongs to a recorded trace.
    pub fn note_trace(&mut self, trace: TraceId, outcome: Outcome, timing: Timing) {
        self.exemplars.get_or_insert_default().note(trace, outcome, timing);
    }

    /// Takes out what was counted since the last drain; none if that is nothing.
    pub fn drain(&mut self) -> Option<Drained> {
        let aside = self.aside.as_mut().and_then(|aside| {
            let counted = aside.1.drain()?;
            Some(Box::new((std::mem::take(&mut aside.0), counted)))
        });
        let judged = self.judged.drain();
        if judged.is_none() && aside.is_none() {
            return None;
        }
        let exemplars = self.exemplars.as_mut().map(|exemplars| exemplars.drain()).unwrap_or_default();
        Some(Drained { judged: judged.unwrap_or_default(), aside, exemplars })
    }
}

impl Recorders {
    /// What neither version could cause has no part in the latencies.
    fn record(&mut self, outcome: Outcome, timing: Timing) {
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

    fn drain(&mut self) -> Option<Counted> {
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
        let drained = tally.drain().unwrap().judged;
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
        assert_eq!(tally.drain().unwrap().judged.total.sum_us, 8);
    }

    #[test]
    fn what_is_set_aside_is_counted_apart_and_by_its_reason() {
        let mut tally = Tally::default();
        tally.record(Outcome::Ok, timing(5, 6));
        tally.record_aside(Aside::Pinned, Outcome::Http5xx, timing(7, 8));
        tally.record_aside(Aside::Spilled, Outcome::Ok, timing(9, 10));
        let drained = tally.drain().unwrap();
        assert_eq!((drained.judged.outcomes.total(), drained.judged.outcomes.failed()), (1, 0));
        let (reasons, counted) = *drained.aside.unwrap();
        assert_eq!(reasons, [1, 1, 0, 0]);
        assert_eq!((counted.outcomes.total(), counted.failed_total.sum_us, counted.total.sum_us), (2, 8, 10));
        assert_eq!(tally.drain(), None);
        tally.record_aside(Aside::Pinned, Outcome::Ok, timing(1, 1));
        assert_eq!(tally.drain().unwrap().judged, Counted::default());
        for (at, why) in Aside::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, at);
        }
    }

    #[test]
    fn what_is_longer_than_the_bounds_is_counted_at_their_end() {
        let mut tally = Tally::default();
        tally.record(Outcome::Ok, timing(u64::MAX / 2, u64::MAX / 2));
        let drained = tally.drain().unwrap().judged;
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
            let wire = tally.drain().unwrap().judged.headers.to_wire();
            prop_assert_eq!(wire.total(), values.len() as u64);
            let mut exact: Vec<u16> = values.iter().map(|value| bucket_of(*value)).collect();
            exact.sort_unstable();
            let mut seen = wire.0.iter().flat_map(|(bucket, n)| std::iter::repeat_n(*bucket, *n as usize));
            prop_assert!(exact.iter().all(|bucket| seen.next().is_some_and(|s| s.abs_diff(*bucket) <= 1)));
        }
    }
}
