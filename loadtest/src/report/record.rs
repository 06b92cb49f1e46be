//! The record of a load, as JSON.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::Counts;
use crate::{
    bounds::{RECORD_BYTES_MAX, SECONDS_KEPT_MAX},
    measure::{Progress, Report, Snapshot, Tally, latency_histogram},
};

/// What this release writes, and reads.
pub const FORMAT: &str = "serin-load/1";

/// All that a load counted, and what it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`]; another is refused.
    pub format: String,
    /// What was done.
    #[serde(flatten)]
    pub facts: Facts,
    /// From the first due time to the end of the last request, in seconds; without the warm-up.
    pub elapsed_seconds: f64,
    /// What became of the schedule.
    pub progress: Progress,
    /// By request of the mix, version and outcome.
    pub groups: Vec<Group>,
    /// Microseconds from due time to leaving: how far the generator itself was behind.
    pub lag_us: Counts,
    /// Second by second; the last ones, where it took longer than a day.
    pub seconds: Vec<Second>,
    /// Processes that were watched, by the names that they were given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, Component>,
}

/// What was done, in words and numbers that the counts don't hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The release of Serin that asked.
    pub serin: String,
    /// When it began (RFC 3339).
    pub started: String,
    /// What was asked: the URL.
    pub target: String,
    /// Which HTTP.
    pub protocol: String,
    /// What made requests due, in words.
    pub pace: String,
    /// Requests a second that were asked for; none where a closed loop asked as fast as it was answered, or where the
    /// rate changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// At most so many connections.
    pub connections: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Seconds that were left out at the beginning.
    pub warm_up_seconds: u32,
}

/// Requests of one kind that one version answered in one way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// The request's name.
    pub request: String,
    /// The version that answered; empty where the answer named none, or there was none.
    pub version: String,
    /// The status, or the reason why there is no whole answer.
    pub outcome: String,
    /// Whether that is a failure: an error, or a status of 500 or above.
    pub failed: bool,
    /// Microseconds from the time at which each was due.
    pub latency_us: Counts,
}

/// One second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Second {
    /// Which, from 1.
    pub second: u64,
    /// Requests whose time came in it.
    pub due: u64,
    /// Those that left in it.
    pub sent: u64,
    /// Those that will never leave.
    pub missed: u64,
    /// Those that ended in it.
    pub completed: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Microseconds of those that did not.
    pub latency_us: Counts,
    /// By version: how many ended, and how many of them failed.
    pub versions: BTreeMap<String, (u64, u64)>,
}

/// What a process used while the load ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// CPU time, user and system, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// The same for each completed request, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us_per_request: Option<f64>,
    /// The most memory that it held in RAM, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// From its start to the first answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_up_ms: Option<f64>,
}

/// Why a text is no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Too long.
    #[error("it has more than {} MiB", RECORD_BYTES_MAX >> 20)]
    TooLong,
    /// Not JSON, or not a record.
    #[error("it is not the JSON that `serin load run --json` writes: {0}")]
    Json(#[from] serde_json::Error),
    /// Of another release.
    #[error(
        "its format is \"{0}\", and this release reads \"{FORMAT}\": measure again with the same release"
    )]
    Format(String),
}

impl Record {
    /// Puts a load's report down.
    pub fn new(facts: Facts, report: &Report, seconds: Vec<Second>) -> Self {
        let groups = report.asks.iter().flat_map(|(request, tally)| groups(request, tally)).collect();
        Self {
            format: FORMAT.into(),
            facts,
            elapsed_seconds: report.elapsed.as_secs_f64(),
            progress: report.progress,
            groups,
            lag_us: Counts::of(&report.lag),
            seconds,
            components: BTreeMap::new(),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> Result<Self, RecordError> {
        if text.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong);
        }
        let record: Self = serde_json::from_str(text)?;
        if record.format == FORMAT { Ok(record) } else { Err(RecordError::Format(record.format)) }
    }

    /// Latencies of good answers, in microseconds.
    pub fn latency(&self) -> Histogram<u64> {
        sum(self.groups.iter().filter(|group| !group.failed))
    }

    /// Requests that ended.
    pub fn total(&self) -> u64 {
        self.groups.iter().map(|group| group.latency_us.total()).sum()
    }

    /// Those that failed.
    pub fn failed(&self) -> u64 {
        self.groups.iter().filter(|group| group.failed).map(|group| group.latency_us.total()).sum()
    }

    /// Requests a second that ended.
    pub fn throughput(&self) -> f64 {
        if self.elapsed_seconds > 0.0 { self.total() as f64 / self.elapsed_seconds } else { 0.0 }
    }

    /// Names that occur, in the order in which they do.
    pub fn names(&self, of: impl Fn(&Group) -> &str) -> Vec<&str> {
        let mut names = Vec::new();
        for group in &self.groups {
            // The same borrow for all, so that names live as long as the record.
            let name = of(group);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// Latencies of these groups together.
pub fn sum<'a>(groups: impl Iterator<Item = &'a Group>) -> Histogram<u64> {
    let mut sum = latency_histogram();
    for group in groups {
        for (value, count) in group.latency_us.iter() {
            sum.saturating_record_n(value, count);
        }
    }
    sum
}

fn groups(request: &str, tally: &Tally) -> Vec<Group> {
    let versions = tally.versions().flat_map(|version| version.ended().map(move |ended| (version, ended)));
    versions
        .map(|(version, ended)| Group {
            request: request.to_owned(),
            version: version.version.to_string(),
            outcome: match ended.outcome {
                Ok(status) => status.to_string(),
                Err(kind) => kind.to_string(),
            },
            failed: ended.is_failure(),
            latency_us: Counts::of(&ended.latency),
        })
        .collect()
}

/// Seconds as they come, made from snapshots.
#[derive(Debug, Default)]
pub struct Timeline {
    seconds: std::collections::VecDeque<Second>,
    before: Progress,
}

impl Timeline {
    /// Takes the next second.
    pub fn push(&mut self, snapshot: &Snapshot) -> &Second {
        let Snapshot { second, window, progress } = snapshot;
        let before = std::mem::replace(&mut self.before, *progress);
        if self.seconds.len() >= SECONDS_KEPT_MAX {
            self.seconds.pop_front();
        }
        let versions = window.versions().filter(|version| version.total() > 0);
        let next = Second {
            second: *second,
            due: progress.due.saturating_sub(before.due),
            sent: progress.sent.saturating_sub(before.sent),
            missed: progress.missed.saturating_sub(before.missed),
            completed: window.total(),
            failed: window.failed(),
            latency_us: Counts::of(&window.latency()),
            versions: versions.map(|v| (v.version.to_string(), (v.total(), v.failed()))).collect(),
        };
        self.seconds.push_back(next);
        let last = self.seconds.len() - 1;
        &self.seconds[last]
    }

    /// All of them.
    pub fn into_seconds(self) -> Vec<Second> {
        self.seconds.into()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::ErrorKind;

    /// A record of three seconds with two versions, one of which fails now and then.
    pub(crate) fn sample() -> Record {
        let (mut whole, mut timeline, mut progress) =
            (Tally::default(), Timeline::default(), Progress::default());
        for second in 1..=3_u64 {
            let mut window = Tally::default();
            for number in 0..100_u64 {
                let latency = Duration::from_micros(900 + number * 10 * second);
                let version = if number % 10 == 0 { "v2" } else { "v1" };
                let outcome = if number == 10 { Err(ErrorKind::Timeout) } else { Ok(200) };
                window.record(version, outcome, latency);
            }
            whole.merge(&window);
            progress.add(Progress { due: 100, sent: 100, completed: 100, ..Progress::default() });
            timeline.push(&Snapshot { second, window, progress });
        }
        let report = Report {
            tally: whole.clone(),
            asks: vec![("GET /".into(), whole)],
            progress,
            lag: latency_histogram(),
            elapsed: Duration::from_secs(3),
        };
        let facts = Facts {
            serin: "0.1.0".into(),
            started: "2026-01-02T03:04:05Z".into(),
            target: "http://127.0.0.1:8080/<&>".into(),
            protocol: "HTTP/1.1".into(),
            pace: "100 requests a second".into(),
            rate: Some(100.0),
            connections: 10,
            threads: 1,
            warm_up_seconds: 0,
        };
        Record::new(facts, &report, timeline.into_seconds())
    }

    #[test]
    fn a_record_is_the_same_after_it_was_written_and_read() {
        let record = sample();
        let text = serde_json::to_string(&record).unwrap();
        let again = Record::read(&text).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
        assert_eq!((again.total(), again.failed(), again.throughput()), (300, 3, 100.0));
        assert_eq!(again.latency().len(), 297);
        assert_eq!(again.names(|group| &group.version), ["v2", "v1"]);
        assert_eq!(again.seconds[1].versions["v2"], (10, 1));
    }

    #[test]
    fn what_is_no_record_or_of_another_release_is_refused_with_its_reason() {
        let mut record = sample();
        record.format = "serin-load/9".into();
        let text = serde_json::to_string(&record).unwrap();
        assert!(Record::read(&text).unwrap_err().to_string().contains("serin-load/9"));
        assert!(matches!(Record::read("{}"), Err(RecordError::Json(_))));
    }
}
