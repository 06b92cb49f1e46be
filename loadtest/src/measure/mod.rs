//! What a load counted: a [`Tally`] for each second and for the whole, by version and by how each request ended.

mod outcome;
mod tally;

use std::{sync::Arc, time::Duration};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serin_config::limits::LATENCY_MAX_US;

pub use self::{
    outcome::{ErrorKind, Outcome},
    tally::{Ended, Tally, VersionTally},
};

/// The label of answers that name no version, and of requests without an answer.
pub const NO_VERSION: &str = "";
/// The label under which versions beyond [`VERSIONS_MAX`](crate::bounds::VERSIONS_MAX) are counted together.
pub const OTHER_VERSIONS: &str = "(other)";

/// An empty latency histogram: microseconds from 1 to 60 s, three significant digits.
pub fn latency_histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants: 1 is at least 1, and 60 s twice that")]
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("constant bounds that a histogram takes")
}

/// Microseconds of a latency, at most what a histogram holds.
pub(crate) fn micros(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(LATENCY_MAX_US).clamp(1, LATENCY_MAX_US)
}

/// What became of the schedule. `due = sent + missed + waiting`, `sent = completed + in flight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Requests whose time has come.
    pub due: u64,
    /// Requests that left.
    pub sent: u64,
    /// Requests that ended, well or not.
    pub completed: u64,
    /// Requests that never left: too many waited for a connection, or the load was cancelled.
    pub missed: u64,
    /// Requests that left more than [`LATE_AFTER`](crate::bounds::LATE_AFTER) after they were due.
    pub late: u64,
    /// Requests sent a second time, since the peer closed a kept-alive connection as they left (RFC 9112,
    /// 9.3.1).
    pub resent: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Snapshots that nobody took in time.
    pub snapshots_dropped: u64,
}

impl Progress {
    /// Adds another load's.
    pub(crate) fn add(&mut self, other: Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.completed += other.completed;
        self.missed += other.missed;
        self.late += other.late;
        self.resent += other.resent;
        self.connections += other.connections;
        self.snapshots_dropped += other.snapshots_dropped;
    }
}

/// One second of a load, and how far the whole is.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Which second, from 1; the last one may be shorter.
    pub second: u64,
    /// What ended in it.
    pub window: Tally,
    /// Since the start.
    pub progress: Progress,
}

/// A load from its start to its end.
#[derive(Debug, Clone)]
pub struct Report {
    /// All that ended.
    pub tally: Tally,
    /// The same for each request of the mix, by its name.
    pub asks: Vec<(Arc<str>, Tally)>,
    /// What became of the schedule.
    pub progress: Progress,
    /// Microseconds from due time to leaving: how far the generator itself was behind.
    pub lag: Histogram<u64>,
    /// From the first due time to the end of the last request.
    pub elapsed: Duration,
}

impl Report {
    /// Adds what another thread of the same load counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.tally.merge(&other.tally);
        for ((_, ask), (_, theirs)) in self.asks.iter_mut().zip(&other.asks) {
            ask.merge(theirs);
        }
        self.progress.add(other.progress);
        // Both have the same constant bounds, so adding can't fail.
        let _ = self.lag.add(&other.lag);
        self.elapsed = self.elapsed.max(other.elapsed);
    }
}
