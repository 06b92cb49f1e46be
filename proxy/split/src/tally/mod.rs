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
//!
//! A request that hangs would be missing from the very window that should convict its version. So it is *booked*
//! while it still waits ([`Tally::book`]), as one that was judged and slower than everything else; metrics count it
//! when it ends, windows then leave it out ([`Drained::for_window`]). One that fails in the end counts as failed all
//! the same: that it hung and that it failed are two things.

mod extras;
mod recorder;

use serin_config::{
    EventName, Outcome,
    outcome::OutcomeCounts,
    wire::{BUCKETS, LatencyCounts},
};

use self::{extras::Extras, recorder::Recorders};
pub use self::{
    extras::{Erring, Extra, Part},
    recorder::{Counted, Latencies},
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
    /// The split chose a canary that is probed, whose turn it was not: the stable version took the request over.
    Probe,
}

impl Aside {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Pinned, Self::Spilled, Self::Injected, Self::Rescue, Self::Probe];

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Spilled => "spilled",
            Self::Injected => "injected",
            Self::Rescue => "rescue",
            Self::Probe => "probe",
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
    /// Made when the first of them comes; most tallies count none.
    extras: Option<Box<Extras>>,
    /// Made when the first trace is recorded.
    exemplars: Option<Box<Exemplars>>,
}

/// What a drain takes out of a tally.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drained {
    /// What the comparison of versions looks at.
    pub judged: Counted,
    /// What it must not see.
    pub aside: Option<Box<(AsideCounts, Counted)>>,
    /// What the comparison needs to know besides.
    pub extra: Option<Box<Extra>>,
    /// Traces of some of the attempts.
    pub exemplars: Vec<Exemplar>,
}

impl Drained {
    /// What a window has of it: an attempt that hung is there when it was booked and not when it ended.
    pub fn for_window(&self) -> (OutcomeCounts, LatencyCounts) {
        let (outcomes, headers) = (self.judged.outcomes, self.judged.headers.to_wire());
        let Some(extra) = &self.extra else { return (outcomes, headers) };
        let mut outcomes = outcomes.less(&extra.late.outcomes);
        let mut headers = headers.less(&extra.late.headers.to_wire());
        if extra.booked > 0 {
            outcomes.add_times(Outcome::Ok, extra.booked);
            let booked = u32::try_from(extra.booked).unwrap_or(u32::MAX);
            headers.merge(&LatencyCounts(vec![(LAST_BUCKET, booked)]));
        }
        (outcomes, headers)
    }
}

/// Where latencies stand that have no end yet.
#[expect(clippy::cast_possible_truncation, reason = "there are hundreds of buckets")]
const LAST_BUCKET: u16 = (BUCKETS - 1) as u16;

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

    /// Books one attempt that waits for its answer and has done so for too long.
    pub fn book(&mut self) {
        self.extras.get_or_insert_default().book();
    }

    /// Counts one attempt that was booked before it ended.
    pub fn record_late(&mut self, outcome: Outcome, timing: Timing) {
        self.judged.record(outcome, timing);
        self.extras.get_or_insert_default().record_late(outcome, timing);
    }

    /// Notes that an attempt that was just counted is in the negative control.
    pub fn note_control(&mut self, outcome: Outcome, timing: Timing) {
        self.extras.get_or_insert_default().note_control(outcome, timing);
    }

    /// Notes whose attempt failed that was just counted: the hash of the client's key, none where it had none.
    pub fn note_erring(&mut self, client: Option<u64>) {
        self.extras.get_or_insert_default().note_erring(client);
    }

    /// Notes which events the answer of an attempt named that was just counted.
    pub fn note_events<'a>(&mut self, events: impl Iterator<Item = &'a EventName>) {
        self.extras.get_or_insert_default().note_events(events);
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
        let extra = self.extras.as_mut().and_then(|extras| extras.drain());
        if judged.is_none() && aside.is_none() && extra.is_none() {
            return None;
        }
        let exemplars = self.exemplars.as_mut().map(|exemplars| exemplars.drain()).unwrap_or_default();
        Some(Drained { judged: judged.unwrap_or_default(), aside, extra, exemplars })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use serin_config::{limits::LATENCY_MAX_US, wire::bucket_of};

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
        assert_eq!(reasons, [1, 1, 0, 0, 0]);
        assert_eq!((counted.outcomes.total(), counted.failed_total.sum_us, counted.total.sum_us), (2, 8, 10));
        assert_eq!(tally.drain(), None);
        tally.record_aside(Aside::Pinned, Outcome::Ok, timing(1, 1));
        assert_eq!(tally.drain().unwrap().judged, Counted::default());
        for (at, why) in Aside::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, at);
        }
    }

    #[test]
    fn what_hangs_is_in_a_window_when_it_is_booked_and_in_the_metrics_when_it_ends() {
        let mut tally = Tally::default();
        tally.book();
        let booked = tally.drain().unwrap();
        assert_eq!(booked.judged.outcomes.total(), 0);
        let (outcomes, headers) = booked.for_window();
        assert_eq!((outcomes.judged(), outcomes.failed()), (1, 0));
        assert_eq!(headers.0, [(LAST_BUCKET, 1)]);
        tally.record(Outcome::Ok, timing(12_000_000, 12_000_001));
        tally.record_late(Outcome::Ok, timing(12_000_000, 12_000_001));
        let ended = tally.drain().unwrap();
        assert_eq!((ended.judged.outcomes.total(), ended.judged.headers.sum_us), (2, 24_000_000));
        let (outcomes, headers) = ended.for_window();
        assert_eq!((outcomes.judged(), headers.total()), (1, 1));
        tally.record_late(Outcome::HeaderTimeout, timing(15_000_000, 15_000_000));
        let (outcomes, headers) = tally.drain().unwrap().for_window();
        assert_eq!((outcomes.judged(), outcomes.failed(), headers.total()), (1, 1, 0));
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
