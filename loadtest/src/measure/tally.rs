//! Counts and latencies by version and outcome.
//!
//! Each outcome of each version has a histogram of its own, so that failures, which are often fast, don't make the rest
//! look better; they are added where they are asked for together.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hdrhistogram::Histogram;

use super::{ErrorKind, OTHER_VERSIONS, Outcome, latency_histogram, micros};
use crate::bounds::VERSIONS_MAX;

/// Requests of one version that ended in one way.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Which way.
    pub outcome: Outcome,
    /// Microseconds from due time to the end of the body, or to the failure.
    pub latency: Histogram<u64>,
}

impl Ended {
    /// Whether that is an error, or an answer of 500 or above.
    pub fn is_failure(&self) -> bool {
        !matches!(self.outcome, Ok(status) if status < 500)
    }
}

/// What was counted of one version.
#[derive(Debug, Clone)]
pub struct VersionTally {
    /// The version label that the answers carried.
    pub version: Arc<str>,
    /// In the order in which they first came.
    ended: Vec<Ended>,
}

impl VersionTally {
    fn new(version: Arc<str>) -> Self {
        Self { version, ended: Vec::new() }
    }

    fn of(&mut self, outcome: Outcome) -> &mut Histogram<u64> {
        let at = self.ended.iter().position(|ended| ended.outcome == outcome).unwrap_or_else(|| {
            self.ended.push(Ended { outcome, latency: latency_histogram() });
            self.ended.len() - 1
        });
        &mut self.ended[at].latency
    }

    /// By outcome.
    pub fn ended(&self) -> impl Iterator<Item = &Ended> {
        self.ended.iter().filter(|ended| !ended.latency.is_empty())
    }

    /// Whole answers and errors.
    pub fn total(&self) -> u64 {
        self.ended.iter().map(|ended| ended.latency.len()).sum()
    }

    /// Answers of 500 or above, and errors.
    pub fn failed(&self) -> u64 {
        self.ended.iter().filter(|ended| ended.is_failure()).map(|ended| ended.latency.len()).sum()
    }

    /// Whole answers by status.
    pub fn statuses(&self) -> BTreeMap<u16, u64> {
        self.ended()
            .filter_map(|ended| ended.outcome.ok().map(|status| (status, ended.latency.len())))
            .collect()
    }

    /// Requests without a whole answer, by reason.
    pub fn errors(&self) -> BTreeMap<ErrorKind, u64> {
        self.ended().filter_map(|ended| ended.outcome.err().map(|kind| (kind, ended.latency.len()))).collect()
    }

    /// Latencies of good answers, in microseconds.
    pub fn latency(&self) -> Histogram<u64> {
        sum(self.ended.iter().filter(|ended| !ended.is_failure()))
    }

    /// The latency of good answers at a quantile from 0 to 1; none without one.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let latency = self.latency();
        (!latency.is_empty()).then(|| Duration::from_micros(latency.value_at_quantile(q)))
    }

    fn merge(&mut self, other: &Self) {
        for ended in other.ended() {
            // All have the same constant bounds, so adding can't fail.
            let _ = self.of(ended.outcome).add(&ended.latency);
        }
    }
}

fn sum<'a>(parts: impl Iterator<Item = &'a Ended>) -> Histogram<u64> {
    let mut sum = latency_histogram();
    for part in parts {
        // All have the same constant bounds, so adding can't fail.
        let _ = sum.add(&part.latency);
    }
    sum
}

/// Counts by version. At most [`VERSIONS_MAX`] versions are told apart.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    versions: Vec<VersionTally>,
}

impl Tally {
    /// Counts one request.
    pub fn record(&mut self, version: &str, outcome: Outcome, latency: Duration) {
        let at = self.position(version);
        self.versions[at].of(outcome).saturating_record(micros(latency));
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

    /// Forgets all counts and keeps the histograms, so that the next second allocates nothing.
    pub(crate) fn clear(&mut self) {
        for version in &mut self.versions {
            version.ended.iter_mut().for_each(|ended| ended.latency.reset());
        }
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

    /// Requests that ended in this way.
    fn count(&self, outcome: Outcome) -> u64 {
        let all = self.versions.iter().flat_map(VersionTally::ended);
        all.filter(|ended| ended.outcome == outcome).map(|ended| ended.latency.len()).sum()
    }

    /// Requests without a whole answer, for one reason.
    pub fn errors(&self, kind: ErrorKind) -> u64 {
        self.count(Err(kind))
    }

    /// Whole answers of one status.
    pub fn status(&self, status: u16) -> u64 {
        self.count(Ok(status))
    }

    /// Latencies of good answers of all versions together, in microseconds.
    pub fn latency(&self) -> Histogram<u64> {
        sum(self.versions.iter().flat_map(VersionTally::ended).filter(|ended| !ended.is_failure()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_failure_is_an_error_or_an_answer_of_500_or_above() {
        let mut tally = Tally::default();
        for result in [Ok(200), Ok(404), Ok(503), Err(ErrorKind::Timeout)] {
            tally.record("v1", result, MS);
        }
        assert_eq!((tally.total(), tally.failed()), (4, 2));
        let version = tally.version("v1").unwrap();
        assert_eq!((version.latency().len(), version.ended().count()), (2, 4));
        assert_eq!(version.statuses().into_keys().collect::<Vec<_>>(), [200, 404, 503]);
        assert_eq!(version.errors().into_iter().collect::<Vec<_>>(), [(ErrorKind::Timeout, 1)]);
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
