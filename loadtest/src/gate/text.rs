//! A gate's answer for a terminal.

use std::fmt::Write;

use super::{Gate, Level};

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
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = format!("{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            // Writing to a string can't fail.
            let _ = write!(line, "  {cell:>width$}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for finding in gate.findings.iter().filter(|finding| !finding.why.is_empty()) {
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
