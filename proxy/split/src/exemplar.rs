//! Exemplars: for each bucket of a histogram, one trace whose value fell into it.
//!
//! The latest goes over the one before, so that a bucket costs one place whatever the traffic; a drain takes
//! them out with the counts. Only traces that are recorded come here: an id that leads nowhere is worse than
//! none.

use serin_config::Outcome;

use crate::{tally::Timing, trace::TraceId};

/// Upper bounds of the classic buckets in microseconds: 100 µs to 30 s, in steps of 1, 2.5 and 5. The
/// buckets that OpenTelemetry advises begin at 5 ms, which is too coarse for what a proxy adds.
pub const BOUNDS_US: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];
/// Buckets of a classic histogram: the last is above all bounds.
pub const BUCKETS: usize = BOUNDS_US.len() + 1;

/// The bucket that a value counts in.
pub fn bucket(micros: u64) -> usize {
    BOUNDS_US.partition_point(|bound| *bound < micros)
}

/// A histogram that has exemplars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Of {
    /// Time to the end, of attempts that did not fail.
    Success,
    /// Time to the end, of attempts that failed.
    Failure,
    /// Time to the response's head, of attempts that did not fail.
    Headers,
}

impl Of {
    /// How many there are.
    pub const COUNT: usize = 3;
}

/// A trace, and the value that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exemplar {
    /// In which histogram.
    pub of: Of,
    /// The trace.
    pub trace: TraceId,
    /// Its value in microseconds; it names the bucket.
    pub micros: u64,
}

/// The latest of each bucket since the last drain.
#[derive(Debug)]
pub struct Exemplars([[Option<(TraceId, u64)>; BUCKETS]; Of::COUNT]);

impl Default for Exemplars {
    fn default() -> Self {
        Self([[None; BUCKETS]; Of::COUNT])
    }
}

impl Exemplars {
    /// Notes a recorded trace, by the same rules by which its times are counted.
    pub fn note(&mut self, trace: TraceId, outcome: Outcome, timing: Timing) {
        if outcome.is_failure() {
            self.put(Of::Failure, trace, timing.total);
        } else if outcome.counts() {
            self.put(Of::Success, trace, timing.total);
            self.put(Of::Headers, trace, timing.headers.unwrap_or(timing.total));
        }
    }

    fn put(&mut self, of: Of, trace: TraceId, micros: u64) {
        self.0[of as usize][bucket(micros)] = Some((trace, micros));
    }

    /// Takes them out.
    pub fn drain(&mut self) -> Vec<Exemplar> {
        let taken = [Of::Success, Of::Failure, Of::Headers]
            .map(|of| (of, std::mem::replace(&mut self.0[of as usize], [None; BUCKETS])));
        let each = taken.into_iter().flat_map(|(of, buckets)| {
            buckets.into_iter().flatten().map(move |(trace, micros)| Exemplar { of, trace, micros })
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(headers: u64, total: u64) -> Timing {
        Timing { headers: Some(headers), total, own: None }
    }

    #[test]
    fn a_value_at_a_bound_is_below_it() {
        assert_eq!([100, 101, 30_000_000, 30_000_001].map(bucket), [0, 1, 16, 17]);
    }

    #[test]
    fn the_latest_of_each_bucket_is_kept_until_a_drain() {
        let mut exemplars = Exemplars::default();
        let traces = [1, 2, 3, 4].map(|n| TraceId::random(0, n));
        exemplars.note(traces[0], Outcome::Ok, timing(90, 400));
        exemplars.note(traces[1], Outcome::Http4xx, timing(80, 3_000));
        exemplars.note(traces[2], Outcome::ConnectFail, timing(1, 50));
        exemplars.note(traces[3], Outcome::ClientCancel, timing(1, 50));
        assert_eq!(
            exemplars.drain(),
            [
                Exemplar { of: Of::Success, trace: traces[0], micros: 400 },
                Exemplar { of: Of::Success, trace: traces[1], micros: 3_000 },
                Exemplar { of: Of::Failure, trace: traces[2], micros: 50 },
                Exemplar { of: Of::Headers, trace: traces[1], micros: 80 },
            ]
        );
        assert!(exemplars.drain().is_empty());
    }
}
