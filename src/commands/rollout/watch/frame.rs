//! One moment of a rollout, as a block of lines or as one line. Pure: what is shown depends on what was read alone.

use std::{collections::BTreeMap, io::IsTerminal};

use serde::{Deserialize, Serialize};
use serin_config::{Weight, moment, policy::share_text};
use serin_control::{
    hook::Stands,
    rollout::State,
    status::{CountsStatus, RolloutStatus, ServiceStatus},
};
use serin_judge::{Proof, State as Judged, Verdict};

use super::super::{
    super::client::{Table, plain},
    report::time,
    status::steps,
};

/// Cells of a bar of evidence.
const BAR: usize = 24;
/// Decisions that a block shows, the newest.
const DECISIONS_SHOWN: usize = 6;

/// What was read at one moment.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) status: ServiceStatus,
    pub(super) rollout: RolloutStatus,
    /// Those that are new since the frame before, the oldest first.
    pub(super) decisions: Vec<Decision>,
}

/// An entry of the journal, as far as it is shown here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Decision {
    pub(super) sequence: u64,
    pub(super) at_ms: u64,
    pub(super) actor: String,
    #[serde(default)]
    pub(super) who: Option<Who>,
    pub(super) action: String,
    pub(super) to: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mirror: Option<String>,
    pub(super) reason: String,
    pub(super) rollout: Option<u64>,
}

/// Who asked for it, where that is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Who {
    pub(super) name: String,
}

impl Decision {
    /// `13:05:09  roll back  v1 100% · v2 0%  (judge: guard errors failed)`.
    pub(super) fn line(&self) -> String {
        let because = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        let shares = self.to.iter().flatten().map(|(version, weight)| format!("{version} {weight}"));
        let copies = self.mirror.iter().map(|share| format!("copies of {share}"));
        let shares: Vec<String> = shares.chain(copies).collect();
        let (at, action) = (clock(self.at_ms), self.action.replace('_', " "));
        let who = self.who.as_ref().map(|who| format!(" {}", who.name)).unwrap_or_default();
        plain(&format!("{at}  {action:<9}  {}  ({}{who}{because})", shares.join(" · "), self.actor))
    }
}

/// Colours, where there is a terminal that shows them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    pub(super) fn of_terminal() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(std::io::stdout().is_terminal() && !plain)
    }

    pub(super) fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }
}

/// A line of a block, and how it is painted: painting comes after cutting, so that no colour runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) colour: &'static str,
}

impl Frame {
    /// The newest second that is complete; none before the first.
    pub(super) fn second(&self) -> Option<u64> {
        self.status.seconds.last().map(|second| second.at)
    }

    /// What a version did in that second; none where that is not known where it was asked.
    fn last(&self, version: &str) -> Option<CountsStatus> {
        let last = self.status.seconds.last();
        let counts = last.and_then(|second| second.versions.get(version)).copied().unwrap_or_default();
        self.status.counted.then_some(counts)
    }

    /// One line for a pipe, as of this moment.
    pub(super) fn line(&self, at_ms: Option<u64>) -> String {
        let RolloutStatus { canary, stable, summary, weight, mirror, verdict, .. } = &self.rollout;
        let share = share_text(*weight, mirror.unwrap_or(Weight::ZERO));
        let at = at_ms.map_or_else(|| "--:--:--".into(), clock);
        let version = |name: &str| match self.last(name) {
            Some(counts) => {
                format!("{name} {}/s {} p99 {} ms", counts.requests, errors(&counts), ms(counts.p99_ms))
            }
            None => format!("{name} not known to a follower"),
        };
        let judged = verdict
            .as_ref()
            .map(|verdict| format!("  evidence {}, {}", odds(&verdict.against), word(verdict.state)));
        let waits = self.rollout.asked().filter(|asked| asked.stands != Stands::Allows);
        let waits: Vec<String> = waits.map(|asked| format!("  {}", asked.summary)).collect();
        plain(&format!(
            "{at}  {summary}  {canary} {share}  {}  {}{}{}",
            version(canary.as_str()),
            version(stable.as_str()),
            judged.unwrap_or_default(),
            waits.concat()
        ))
    }

    /// A block for a terminal; `earlier` are the decisions shown before, the oldest first.
    pub(super) fn block(&self, earlier: &[Decision]) -> Vec<Line> {
        let RolloutStatus { id, canary, stable, summary, .. } = &self.rollout;
        let colour = match self.rollout.state {
            State::Running { .. } => "36",
            State::Promoted { .. } => "32",
            State::Paused { .. } | State::Held { .. } => "33",
            State::Aborted { .. } | State::RolledBack { .. } | State::Undone { .. } => "31",
        };
        let line = |text: String, colour| Line { text: plain(&text), colour };
        let mut lines = vec![
            line(format!("{}  rollout {id}: {canary} against {stable}", self.status.name), "1"),
            line(summary.clone(), colour),
            line(format!("{}{}", steps(&self.rollout), self.at_step()), ""),
        ];
        let asked = self.rollout.asked();
        lines.extend(asked.map(|asked| line(asked.summary.clone(), attention(asked.stands))));
        lines.push(line(String::new(), ""));
        let table = self.versions().lines().into_iter();
        lines.extend(table.enumerate().map(|(at, text)| line(text, if at == 0 { "1" } else { "" })));
        if let Some(verdict) = &self.rollout.verdict {
            lines.push(line(String::new(), ""));
            lines.extend(proofs(verdict));
            lines.extend(self.rollout.explained().into_iter().map(|text| line(text, "")));
        }
        if !earlier.is_empty() {
            lines.push(line(String::new(), ""));
            let shown = earlier.len().saturating_sub(DECISIONS_SHOWN);
            lines.extend(earlier[shown..].iter().map(|decision| line(decision.line(), "2")));
        }
        lines
    }

    /// For how long it has been at its step, by the clock of the counts.
    fn at_step(&self) -> String {
        let Some(second) = self.second().filter(|_| self.rollout.live) else { return String::new() };
        let seconds = second.saturating_sub(self.rollout.step_began_ms / 1_000);
        format!("   {} at this one", time(seconds))
    }

    fn versions(&self) -> Table {
        let mut table = Table::new(["version", "role", ">share", ">req/s", ">errors", ">p50 ms", ">p99 ms"]);
        for version in &self.status.versions {
            let name = version.version.as_str();
            let role = match name {
                _ if version.version == self.rollout.canary => "canary",
                _ if version.version == self.rollout.stable => "stable",
                _ => "",
            };
            let counts = self.last(name);
            table.row([
                name.to_owned(),
                role.into(),
                version.weight.to_string(),
                counts.map_or_else(|| "-".into(), |counts| counts.requests.to_string()),
                counts.map_or_else(|| "-".into(), |counts| errors(&counts)),
                ms(counts.and_then(|counts| counts.p50_ms)),
                ms(counts.and_then(|counts| counts.p99_ms)),
            ]);
        }
        table
    }
}

fn attention(stands: Stands) -> &'static str {
    match stands {
        Stands::Allows => "",
        Stands::Waits => "33",
        Stands::Denies => "31",
    }
}

/// A bar for each proof that is looked for.
fn proofs(verdict: &Verdict) -> Vec<Line> {
    let bad = |proof: &Proof| if share(proof) >= 0.5 { "31" } else { "" };
    let good = |proof: &Proof| if proof.reached() { "32" } else { "" };
    let mut lines = vec![bar("it is worse", &verdict.against, bad(&verdict.against))];
    let accepted = [("fails no more", &verdict.non_inferiority), ("is no slower", &verdict.no_slower)];
    for (what, proof) in accepted {
        lines.extend(proof.as_ref().map(|proof| bar(what, proof, good(proof))));
    }
    lines
}

fn bar(what: &str, proof: &Proof, colour: &'static str) -> Line {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to BAR")]
    let full = (share(proof) * BAR as f64) as usize;
    let (full, rest) = ("█".repeat(full), "·".repeat(BAR - full));
    let need = Proof { ln_e: Some(proof.ln_threshold), ..*proof };
    Line { text: format!("proof that {what:<14} {full}{rest} {} of {}", odds(proof), odds(&need)), colour }
}

/// How far a proof is, 0 to 1.
fn share(proof: &Proof) -> f64 {
    let have = proof.ln_e.unwrap_or(0.0).max(0.0);
    if proof.ln_threshold <= 0.0 { 1.0 } else { (have / proof.ln_threshold).clamp(0.0, 1.0) }
}

fn errors(counts: &CountsStatus) -> String {
    if counts.judged == 0 {
        return "-".into();
    }
    format!("{:.1}%", counts.failed as f64 / counts.judged as f64 * 100.0)
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |ms| format!("{ms:.1}"))
}

/// Evidence as odds: `120 to 1`.
fn odds(proof: &Proof) -> String {
    match proof.ln_e {
        None => "none".into(),
        Some(ln_e) if ln_e < 0.0 => "less than 1".into(),
        Some(ln_e) if ln_e > 13.8 => "over 1000000 to 1".into(),
        Some(ln_e) => format!("{:.0} to 1", ln_e.exp()),
    }
}

fn word(state: Judged) -> &'static str {
    match state {
        Judged::Pass => "pass",
        Judged::Fail => "fail",
        Judged::Insufficient => "insufficient",
    }
}

/// `13:05:09Z` of milliseconds since 1970.
fn clock(at_ms: u64) -> String {
    moment::rfc3339_seconds(at_ms).split_off("2026-11-21T".len())
}

#[cfg(test)]
#[path = "frame_tests.rs"]
pub(super) mod tests;
