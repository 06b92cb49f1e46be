//! What a load counted: a [`Tally`] for each second and for the whole, by version, status and error.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;
use serin_config::limits::LATENCY_MAX_US;

use crate::bounds::VERSIONS_MAX;

/// The label of answers that name no version, and of requests without an answer.
pub const NO_VERSION: &str = "";
/// The label under which versions beyond [`VERSIONS_MAX`] are counted together.
pub const OTHER_VERSIONS: &str = "(other)";

/// Why a request has no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No connection.
    Connect,
    /// The connection ended before the answer began.
    Closed,
    /// The connection ended within the body.
    BodyCut,
    /// No whole answer in time.
    Timeout,
    /// The answer was not HTTP.
    Protocol,
    /// The answer was whole but the caller's check refused it.
    Refused,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Closed => "closed before the answer",
            Self::BodyCut => "body cut short",
            Self::Timeout => "timeout",
            Self::Protocol => "not HTTP",
            Self::Refused => "refused by the check",
        })
    }
}

/// An empty latency histogram: microseconds from 1 to 60 s, three significant digits.
pub fn latency_histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants: 1 is at least 1, and 60 s twice that")]
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("constant bounds that a histogram takes")
}

/// Microseconds of a latency, at most what a histogram holds.
pub(crate) fn micros(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(LATENCY_MAX_US).clamp(1, LATENCY_MAX_US)
}

/// What was counted of one version.
#[derive(Debug, Clone)]
pub struct VersionTally {
    /// The version label that the answers carried.
    pub version: Arc<str>,
    /// Whole answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without one, by reason.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Microseconds from due time to the end of the body, of answers below 500.
    pub latency: Histogram<u64>,
    /// The same of every other request.
    pub latency_failed: Histogram<u64>,
}

impl VersionTally {
    fn new(version: Arc<str>) -> Self {
        Self {
            version,
            statuses: BTreeMap::new(),
            errors: BTreeMap::new(),
            latency: latency_histogram(),
            latency_failed: latency_histogram(),
        }
    }

    /// Whole answers and errors.
    pub fn total(&self) -> u64 {
        self.statuses.values().chain(self.errors.values()).sum()
    }

    /// Answers of 500 or above, and errors.
    pub fn failed(&self) -> u64 {
        let answers: u64 = self.statuses.range(500..).map(|(_, n)| n).sum();
        answers + self.errors.values().sum::<u64>()
    }

    /// The latency of good answers at a quantile from 0 to 1; none without one.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        (!self.latency.is_empty()).then(|| Duration::from_micros(self.latency.value_at_quantile(q)))
    }

    fn merge(&mut self, other: &Self) {
        for (status, n) in &other.statuses {
            *self.statuses.entry(*status).or_default() += n;
        }
        for (kind, n) in &other.errors {
            *self.errors.entry(*kind).or_default() += n;
        }
        // Both sides have the same constant bounds, so adding can't fail.
        let _ = self.latency.add(&other.latency);
        let _ = self.latency_failed.add(&other.latency_failed);
    }

    fn clear(&mut self) {
        self.statuses.clear();
        self.errors.clear();
        self.latency.reset();
        self.latency_failed.reset();
    }
}

/// Counts by version. At most [`VERSIONS_MAX`] versions are told apart.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    versions: Vec<VersionTally>,
}

impl Tally {
    /// Counts one request.
    pub fn record(&mut self, version: &str, result: Result<u16, ErrorKind>, latency: Duration) {
        let at = self.position(version);
        let counts = &mut self.versions[at];
        let good = matches!(result, Ok(status) if status < 500);
        match result {
            Ok(status) => *counts.statuses.entry(status).or_default() += 1,
            Err(kind) => *counts.errors.entry(kind).or_default() += 1,
        }
        let histogram = if good { &mut counts.latency } else { &mut counts.latency_failed };
        histogram.saturating_record(micros(latency));
    }

    fn position(&mut self, version: &str) -> usize {
        let find = |tally: &Self, label: &str| tally.versions.iter().position(|v| &*v.version == label);
        if let Some(at) = find(self, version) {
            return at;
        }
        // One place is kept for the label that gathers the rest.
        let label = if self.versions.len() + 1 < VERSIONS_MAX { version } else { OTHER_VERSIONS };
        find(self, label).unwrap_or_else(|| {
            self.versions.push(VersionTally::new(label.into()));
            self.versions.len() - 1
        })
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.versions {
            let at = self.position(&theirs.version);
            self.versions[at].merge(theirs);
        }
    }

    /// Forgets all counts and keeps the versions, so that the next second allocates nothing.
    pub(crate) fn clear(&mut self) {
        self.versions.iter_mut().for_each(VersionTally::clear);
    }

    /// Versions in the order in which they first answered.
    pub fn versions(&self) -> impl Iterator<Item = &VersionTally> {
        self.versions.iter()
    }

    /// The counts of one version.
    pub fn version(&self, label: &str) -> Option<&VersionTally> {
        self.versions.iter().find(|version| &*version.version == label)
    }

    /// All requests of one version; zero where there is none.
    pub fn total_of(&self, label: &str) -> u64 {
        self.version(label).map_or(0, VersionTally::total)
    }

    /// All requests that ended.
    pub fn total(&self) -> u64 {
        self.versions.iter().map(VersionTally::total).sum()
    }

    /// All that failed.
    pub fn failed(&self) -> u64 {
        self.versions.iter().map(VersionTally::failed).sum()
    }

    /// Requests without a whole answer, for one reason.
    pub fn errors(&self, kind: ErrorKind) -> u64 {
        self.versions.iter().filter_map(|version| version.errors.get(&kind)).sum()
    }

    /// Whole answers of one status.
    pub fn status(&self, status: u16) -> u64 {
        self.versions.iter().filter_map(|version| version.statuses.get(&status)).sum()
    }
}

/// What became of the schedule. `due = sent + missed + waiting`, `sent = completed + in flight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
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
    /// What became of the schedule.
    pub progress: Progress,
    /// Microseconds from due time to leaving: how far the generator itself was behind.
    pub lag: Histogram<u64>,
    /// From the first due time to the end of the last request.
    pub elapsed: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_failure_is_an_error_or_an_answer_of_500_or_above() {
        let mut tally = Tally::default();
        for result in [Ok(200), Ok(404), Ok(503), Err(ErrorKind::Timeout)] {
            tally.record("v1", result, MS);
        }
        assert_eq!((tally.total(), tally.failed()), (4, 2));
        assert_eq!(tally.version("v1").unwrap().latency.len(), 2);
        assert_eq!(tally.version("v1").unwrap().latency_failed.len(), 2);
    }

    #[test]
    fn windows_merge_into_the_whole() {
        let (mut whole, mut window) = (Tally::default(), Tally::default());
        for _ in 0..3 {
            window.record("v1", Ok(200), MS);
            window.record("v2", Ok(503), MS);
            whole.merge(&window);
            window.clear();
        }
        assert_eq!((whole.total_of("v1"), whole.status(503), window.total()), (3, 3, 0));
        assert_eq!(whole.version("v1").unwrap().quantile(0.5).unwrap().as_millis(), 1);
    }

    #[test]
    fn versions_beyond_the_bound_are_counted_together() {
        let mut tally = Tally::default();
        for i in 0..VERSIONS_MAX * 2 {
            tally.record(&format!("v{i}"), Ok(200), MS);
        }
        assert_eq!(tally.versions().count(), VERSIONS_MAX);
        assert_eq!(tally.total_of(OTHER_VERSIONS), VERSIONS_MAX as u64 + 1);
        assert_eq!(tally.total(), 2 * VERSIONS_MAX as u64);
    }
}
