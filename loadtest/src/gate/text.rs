//! A gate's answer for a terminal.

use std::fmt::Write;

use super::{Gate, Level};
use crate::columns::columns;

impl Level {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }
}

/// The answer as a table, and what it follows from.
pub fn table(gate: &Gate) -> String {
    let head = ["", "baseline", "candidate", "worse by", "chance", "budget", "result"];
    let mut rows = vec![head.map(str::to_owned)];
    for finding in &gate.findings {
        let percent = |part: f64| format!("{:+.1} %", part * 100.0);
        rows.push([
            finding.subject.clone(),
            finding.shown.0.clone(),
            finding.shown.1.clone(),
            finding.worse_by.map_or("-".into(), percent),
            finding.chance.map_or("-".into(), |chance| format!("{chance:.4}")),
            finding.budget_used.map_or("-".into(), |used| format!("{:.0} %", used * 100.0)),
            finding.level.word().into(),
        ]);
    }
    let mut text = columns(&rows);
    for finding in gate.findings.iter().filter(|finding| !finding.why.is_empty()) {
        // Writing to a string can't fail.
        let _ = writeln!(text, "\n{}: {}: {}", finding.level.word(), finding.subject, finding.why);
    }
    let _ = writeln!(
        text,
        "\nresult: {} (equal releases are told apart with a chance of at most {}, of all metrics together)",
        gate.result.word(),
        gate.significance
    );
    text
}
