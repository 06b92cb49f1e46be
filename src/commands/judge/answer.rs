//! The answer to a window: a line of JSON, or one for people.

use std::io::{self, Write};

use clap::Args;
use serde::{Serialize, Serializer};
use serin_config::Weight;
use serin_judge::{Verdict, explain, lines};

use super::session::{Decision, Session};

/// How answers look.
#[derive(Debug, Args)]
pub(super) struct Form {
    /// Answers as lines of JSON, which is the default
    #[arg(long, conflicts_with = "text")]
    json: bool,
    /// Answers in words
    #[arg(long, conflicts_with = "verdict")]
    text: bool,
    /// Adds the whole verdict to each answer, as the member "verdict"
    #[arg(long)]
    verdict: bool,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    #[serde(serialize_with = "seconds")]
    t: f64,
    decision: Decision,
    /// Natural logarithm; none before there is any evidence.
    log_e: Option<f64>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a Verdict>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn seconds<S: Serializer>(t: &f64, to: S) -> Result<S::Ok, S::Error> {
    lines::seconds(*t, to)
}

impl Form {
    /// Writes the answer to the window at `t`; `refused` says why that window was not taken.
    pub(super) fn write(
        &self,
        session: &Session,
        t: f64,
        refused: Option<String>,
        to: &mut impl Write,
    ) -> io::Result<()> {
        let (decision, verdict) = (session.decision(), session.verdict());
        let reason =
            refused.map_or_else(|| reason(decision, session.decided_by()), |why| format!("refused: {why}"));
        let log_e = verdict.against.ln_e;
        if self.text {
            let log_e = log_e.map_or("none".into(), |ln_e| format!("{ln_e:.3}"));
            let decision = match decision {
                Decision::Continue => "continue",
                Decision::Rollback => "rollback",
                Decision::Promote => "promote",
            };
            return writeln!(to, "{t:>8} s  {decision:<8}  ln e {log_e:>8}  {reason}");
        }
        let verdict = Some(verdict).filter(|_| self.verdict);
        serde_json::to_writer(&mut *to, &Answer { t, decision, log_e, reason, verdict })?;
        to.write_all(b"\n")
    }
}

/// Why, in a line: what is lacking by its names, since it is said each second; a decision in words.
fn reason(decision: Decision, verdict: &Verdict) -> String {
    if decision == Decision::Continue {
        // Windows are shorter than the seconds that are judged.
        if verdict.seconds == 0 {
            return "first_second".into();
        }
        let names = verdict.lacking.iter().filter_map(|lack| {
            let lack = serde_json::to_value(lack).ok()?;
            lack.get("reason")?.as_str().map(String::from)
        });
        let names: Vec<String> = names.collect();
        return match (names.is_empty(), verdict.is_of_copies) {
            (false, _) => names.join(", "),
            // They are good enough for users, which is no promotion.
            (true, true) => "copies_only".into(),
            (true, false) => "soak".into(),
        };
    }
    // The first line of a promotion says at which share; that may not be known here.
    let skipped = usize::from(decision == Decision::Promote && verdict.step.weight == Weight::ZERO);
    let lines = explain(verdict, "canary", "baseline").into_iter().skip(skipped);
    lines.take(2).collect::<Vec<_>>().join(" ")
}
