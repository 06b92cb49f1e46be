//! The history of a gate: a line for each time it was asked, and where its figures are going.
//!
//! No single release may be worse by much, and ten of them by a lot. So each answer is added to a file (JSON lines), and of
//! the last ones the trend is told: the median of the slopes between all pairs (Theil 1950; Sen 1968), which
//! one odd run does not turn.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Gate, Metric};
use crate::middle::median;

/// So many of the last entries make a trend.
pub const TREND_ENTRIES: usize = 20;
/// With fewer there is none.
const TREND_MIN: usize = 5;

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When the candidate was measured (RFC 3339).
    pub at: String,
    /// What the candidate is, such as a version or a commit.
    pub label: String,
    /// The word of the result.
    pub result: String,
    /// The candidate's figures, by their subjects.
    pub values: BTreeMap<String, f64>,
    /// The parts of the budgets that it used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub budget_used: BTreeMap<String, f64>,
}

/// Where one figure is going.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trend {
    /// Which.
    pub subject: String,
    /// Over so many entries.
    pub entries: usize,
    /// Its median among them.
    pub median: f64,
    /// By which part of that it changes from one entry to the next.
    pub change: f64,
    /// The part of its budget that the last entry used.
    pub budget_used: Option<f64>,
}

impl Entry {
    /// What a gate said of a candidate.
    pub fn of(gate: &Gate, at: &str, label: &str) -> Self {
        let values =
            gate.findings.iter().filter_map(|finding| Some((finding.subject.clone(), finding.candidate?)));
        let used =
            gate.findings.iter().filter_map(|finding| Some((finding.subject.clone(), finding.budget_used?)));
        Self {
            at: at.into(),
            label: label.into(),
            result: gate.result.word().into(),
            values: values.collect(),
            budget_used: used.collect(),
        }
    }

    /// Reads the lines of a file; gives the number of the first that is none, from 1.
    ///
    /// # Errors
    /// That line.
    pub fn read_all(text: &str) -> Result<Vec<Self>, usize> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(number, line)| serde_json::from_str(line).map_err(|_| number + 1)).collect()
    }
}

/// The trends of the last entries, of each figure that they have.
pub fn trends(entries: &[Entry]) -> Vec<Trend> {
    let last = &entries[entries.len().saturating_sub(TREND_ENTRIES)..];
    let Some(newest) = last.last() else { return Vec::new() };
    let of = |subject: &String| {
        let points: Vec<(f64, f64)> = last
            .iter()
            .enumerate()
            .filter_map(|(number, entry)| Some((number as f64, *entry.values.get(subject)?)))
            .collect();
        if points.len() < TREND_MIN {
            return None;
        }
        let middle = median(&points.iter().map(|(_, value)| *value).collect::<Vec<_>>())?;
        let mut slopes = Vec::new();
        for (at, first) in points.iter().enumerate() {
            slopes.extend(points[at + 1..].iter().map(|second| (second.1 - first.1) / (second.0 - first.0)));
        }
        let slope = median(&slopes)?;
        let change = if middle > 0.0 { slope / middle } else { 0.0 };
        let budget_used = newest.budget_used.get(subject).copied();
        Some(Trend { subject: subject.clone(), entries: points.len(), median: middle, change, budget_used })
    };
    newest.values.keys().filter_map(of).collect()
}

/// The trends as a table.
pub fn table(trends: &[Trend]) -> String {
    let mut text = String::new();
    for trend in trends {
        let value = match Metric::named(&trend.subject) {
            Some(metric) => metric.show(trend.median),
            None => format!("{:.1}", trend.median),
        };
        let used = trend
            .budget_used
            .map_or(String::new(), |used| format!(", {:.0} % of its budget used", used * 100.0));
        text.push_str(&format!(
            "{}: {:+.2} % an entry over the last {} (median {value}){used}\n",
            trend.subject,
            trend.change * 100.0,
            trend.entries
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(p99: f64) -> Entry {
        Entry {
            at: "2026-01-02T03:04:05Z".into(),
            label: "v1".into(),
            result: "pass".into(),
            values: [("p99".to_owned(), p99)].into(),
            budget_used: [("p99".to_owned(), p99 / 2_000.0)].into(),
        }
    }

    #[test]
    fn a_trend_is_the_median_slope_and_one_odd_run_does_not_turn_it() {
        let mut entries: Vec<Entry> = (0..10).map(|n| entry(1_000.0 + 10.0 * f64::from(n))).collect();
        entries[4] = entry(90_000.0);
        let trends = trends(&entries);
        assert_eq!(trends.len(), 1);
        assert!((trends[0].change - 10.0 / 1_050.0).abs() < 0.001, "{trends:?}");
        assert!(table(&trends).starts_with("p99: +0.9"), "{}", table(&trends));
        assert!(super::trends(&entries[..3]).is_empty(), "three runs are no trend");
    }

    #[test]
    fn a_history_is_read_again_and_a_broken_line_is_named() {
        let lines = [entry(1.0), entry(2.0)].map(|entry| serde_json::to_string(&entry).unwrap()).join("\n");
        assert_eq!(Entry::read_all(&lines), Ok(vec![entry(1.0), entry(2.0)]));
        assert_eq!(Entry::read_all(&format!("{lines}\nnonsense\n")), Err(3));
    }
}
