//! What follows from an experiment.

use serde::Serialize;

use super::limit::{Limits, Sum};
use crate::gate::Metric;

/// What this release writes.
const FORMAT: &str = "serin-experiment/1";

/// The answer in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The hypothesis held under all faults.
    Held,
    /// It did not, and held again in time after each.
    Degraded,
    /// After a fault it did not hold again in time.
    Broken,
    /// A limit was passed, or somebody interrupted it: all was undone.
    Aborted,
    /// It could not be carried through.
    Failed,
}

impl Verdict {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Degraded => "degraded",
            Self::Broken => "broken",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
        }
    }
}

/// One part: the time without faults, or a fault with its recovery.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phase {
    /// The fault's name.
    pub name: String,
    /// What it did to whom.
    pub effect: String,
    /// The last second before it.
    pub from_second: u64,
    /// Its last second, without the recovery.
    pub to_second: u64,
    /// Requests that ended or never left.
    pub requests: u64,
    /// Those of them that failed or never left.
    pub failed: u64,
    /// Requests a second that ended.
    pub throughput: Option<f64>,
    /// The median of good answers, in microseconds.
    pub p50_us: Option<f64>,
    /// Their 99th percentile.
    pub p99_us: Option<f64>,
    /// What of the hypothesis did not hold over the whole of it.
    pub broken: Vec<String>,
    /// The mean of its seconds' scores, those of the recovery included; none without a fault.
    pub score: Option<f64>,
    /// Whole seconds from its end until the hypothesis held again; none where it did not in time, or was not awaited.
    pub recovery_seconds: Option<u64>,
}

impl Phase {
    pub(super) fn of(name: &str, effect: &str, seconds: (u64, u64), sum: &Sum, hypothesis: &Limits) -> Self {
        Self {
            name: name.into(),
            effect: effect.into(),
            from_second: seconds.0,
            to_second: seconds.1,
            requests: sum.requests,
            failed: sum.failed,
            throughput: sum.value(Metric::Throughput),
            p50_us: sum.value(Metric::P50),
            p99_us: sum.value(Metric::P99),
            broken: hypothesis.passed(sum),
            score: None,
            recovery_seconds: None,
        }
    }

    fn is_fault(&self) -> bool {
        self.score.is_some()
    }
}

/// One second of the course.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// Which, from 1.
    pub second: u64,
    /// 1 where the hypothesis holds, 0 where the experiment would be aborted.
    pub score: f64,
    /// The fault that was in force.
    pub under: Option<String>,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// `serin-experiment/1`.
    pub format: &'static str,
    /// In a word.
    pub result: Verdict,
    /// Why, in a sentence.
    pub why: String,
    /// The mean of the scores of all seconds under faults and until recovered; none without such a second.
    pub score: Option<f64>,
    /// The time without faults, and each fault that was injected.
    pub phases: Vec<Phase>,
    /// Second by second.
    pub seconds: Vec<Moment>,
    /// What else whoever reads this should know, such as a fault that ended before its time.
    pub notes: Vec<String>,
}

impl Outcome {
    pub(super) fn new(result: Verdict, why: String, phases: Vec<Phase>, seconds: Vec<Moment>) -> Self {
        // All that came after the time without faults is under one, or until recovered.
        let from = phases.iter().find(|phase| phase.is_fault()).map(|phase| phase.from_second);
        let scores: Vec<f64> = from.map_or_else(Vec::new, |from| {
            seconds.iter().filter(|moment| moment.second > from).map(|moment| moment.score).collect()
        });
        Self { format: FORMAT, result, why, score: mean(&scores), phases, seconds, notes: Vec::new() }
    }
}

/// The mean; none of none.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
