//! The table: one line a second, on a terminal and in a pipe alike.

use std::{io::IsTerminal, time::Duration};

use serin_control::status::{CountsStatus, ServiceStatus};
use serin_judge::{Proof, State, Verdict};

/// Colours, where there is a terminal that shows them.
#[derive(Debug, Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }
}

/// Writes the lines of the table.
#[derive(Debug)]
pub(super) struct Table {
    paint: Paint,
}

impl Table {
    pub(super) fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { paint: Paint(std::io::stdout().is_terminal() && !plain) }
    }

    /// The two lines above the columns.
    pub(super) fn head(&self) -> String {
        let one = format!(
            "{:>5} {:>7} │ {:^30} │ {:^30} │ {}\n",
            "", "canary", "v1 (stable)", "v2 (canary)", "evidence against"
        );
        let columns = format!("{:>6} {:>7} {:>7} {:>7}", "req/s", "errors", "p50 ms", "p99 ms");
        let two =
            format!("{:>5} {:>7} │ {columns} │ {columns} │ {}\n", "s", "weight", "the canary → verdict");
        self.paint.with("1", &one) + &self.paint.with("1", &two)
    }

    /// Something that happened.
    pub(super) fn event(&self, what: &str) -> String {
        format!("{}\n", self.paint.with("36", &format!("{:>5} ── {what}", "")))
    }

    /// The last full second.
    pub(super) fn line(&self, at: Duration, service: &ServiceStatus) -> String {
        let counts = |version: &str| {
            let last = service.seconds.last();
            last.and_then(|second| second.versions.get(version)).copied().unwrap_or_default()
        };
        let canary = service.canary.as_ref().map(serin_config::VersionName::as_str).unwrap_or_default();
        let weight = service.weights.iter().find(|(version, _)| version.as_str() == canary);
        let weight = weight.map(|(_, weight)| weight.to_string()).unwrap_or_default();
        let verdict = service.rollout.as_ref().and_then(|rollout| rollout.verdict.as_ref());
        format!(
            "{:>5.0} {weight:>7} │ {} │ {} │ {}\n",
            at.as_secs_f64(),
            self.version(&counts(service.stable.as_str())),
            self.version(&counts(canary)),
            verdict.map(|verdict| self.verdict(verdict)).unwrap_or_default(),
        )
    }

    fn version(&self, counts: &CountsStatus) -> String {
        if counts.requests == 0 {
            return format!("{:>6} {:>7} {:>7} {:>7}", "-", "-", "-", "-");
        }
        let share = counts.failed as f64 / counts.judged.max(1) as f64;
        let errors = format!("{:>6.1}%", share * 100.0);
        let errors = if share >= 0.01 { self.paint.with("31", &errors) } else { errors };
        let ms = |value: Option<f64>| value.map_or("-".into(), |ms| format!("{ms:.1}"));
        format!("{:>6} {errors} {:>7} {:>7}", counts.requests, ms(counts.p50_ms), ms(counts.p99_ms))
    }

    fn verdict(&self, verdict: &Verdict) -> String {
        let (word, colour) = match verdict.state {
            State::Pass => ("pass", "32"),
            State::Fail => ("fail", "31"),
            State::Insufficient => ("insufficient", "33"),
        };
        format!("{:>14} → {}", odds(&verdict.against), self.paint.with(colour, word))
    }
}

/// Evidence as odds: `120 to 1`.
fn odds(proof: &Proof) -> String {
    match proof.ln_e {
        None => "none".into(),
        Some(ln_e) if ln_e < 0.0 => "less than 1".into(),
        Some(ln_e) if ln_e > 13.8 => "over 1000000 : 1".into(),
        Some(ln_e) => format!("{:.0} : 1", ln_e.exp()),
    }
}
