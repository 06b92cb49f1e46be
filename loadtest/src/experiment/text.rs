//! An experiment for a terminal.

use std::fmt::Write;

use super::{Outcome, Verdict};
use crate::{
    columns::columns,
    report::text::{micros, percent},
};

/// The answer as a table, and what it follows from.
pub fn table(outcome: &Outcome) -> String {
    let head =
        ["", "seconds", "requests", "failed", "ended/s", "p50", "p99", "hypothesis", "score", "recovery"];
    let mut rows = vec![head.map(str::to_owned)];
    for phase in &outcome.phases {
        let time = |us: Option<f64>| us.map_or("-".into(), |us| micros(us.round() as u64));
        let recovery = match (phase.score, phase.recovery_seconds) {
            (Some(_), Some(seconds)) => format!("{seconds} s"),
            (Some(_), None) if outcome.result == Verdict::Broken => "not in time".into(),
            _ => "-".into(),
        };
        rows.push([
            phase.name.clone(),
            (phase.to_second - phase.from_second).to_string(),
            phase.requests.to_string(),
            percent(phase.failed, phase.requests),
            phase.throughput.map_or("-".into(), |rate| format!("{rate:.1}")),
            time(phase.p50_us),
            time(phase.p99_us),
            if phase.broken.is_empty() { "held".into() } else { "broken".into() },
            phase.score.map_or("-".into(), |score| format!("{score:.2}")),
            recovery,
        ]);
    }
    let mut text = columns(&rows);
    for phase in outcome.phases.iter().filter(|phase| !phase.broken.is_empty()) {
        // Writing to a string can't fail.
        let _ = writeln!(text, "\n{} ({}): {}", phase.name, phase.effect, phase.broken.join("; "));
    }
    for note in &outcome.notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    let score = outcome.score.map_or(String::new(), |score| format!(", score {score:.2}"));
    let _ = writeln!(text, "\nresult: {}{score}: {}", outcome.result.word(), outcome.why);
    text
}
