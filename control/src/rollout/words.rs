//! A state in words, as the journal, notifications and every command show it.

use serin_config::{ServiceName, VersionName};

use super::{AbortedBy, HeldFor, PromotedBy, RolledBackFor, State, WasUndone};

/// How far a rollout is, which service of its group ended it, and which canary does not take its place after all.
pub(crate) fn summary(state: State, with: Option<&ServiceName>, called_off: Option<&VersionName>) -> String {
    let with = with.map(|with| format!(", because of {with}")).unwrap_or_default();
    let off = called_off.map(|canary| format!("; {canary}, which waited to take its place, was called off"));
    format!("{state}{with}{}", off.unwrap_or_default())
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Running { step } => write!(f, "running, step {}", step + 1),
            Self::Paused { step } => write!(f, "paused, step {}", step + 1),
            Self::Held { step, why: HeldFor::Evidence } => {
                write!(f, "held, step {}: not enough evidence in time", step + 1)
            }
            Self::Held { step, why: HeldFor::Traffic } => {
                write!(f, "held, step {}: no traffic on the canary", step + 1)
            }
            Self::Held { step, why: HeldFor::Doubt } => {
                write!(f, "held, step {}: something is wrong, and not shown to be the canary's own", step + 1)
            }
            Self::Held { step, why: HeldFor::Approval } => {
                write!(f, "held, step {}: passed, waits for an approval", step + 1)
            }
            Self::Held { step, why: HeldFor::Unsafe } => {
                write!(
                    f,
                    "held, step {}: it would be rolled back, and going back is held as unsafe",
                    step + 1
                )
            }
            Self::Held { step, why: HeldFor::Group } => {
                write!(f, "held, step {}: passed, waits for its group", step + 1)
            }
            Self::Held { step, why: HeldFor::Webhook } => {
                write!(f, "held, step {}: may go on, waits for a webhook", step + 1)
            }
            Self::Held { step, why: HeldFor::Start } => {
                write!(f, "held before step {}: waits for a webhook", step + 1)
            }
            Self::Promoted { why: PromotedBy::Evidence } => f.write_str("promoted on evidence"),
            Self::Promoted { why: PromotedBy::Command } => f.write_str("promoted by hand"),
            Self::Promoted { why: PromotedBy::Timeout } => f.write_str("promoted on timeout"),
            Self::Promoted { why: PromotedBy::Group } => f.write_str("promoted with its group"),
            Self::Promoted { why: PromotedBy::Approval } => f.write_str("promoted by an approval"),
            Self::Promoted { why: PromotedBy::Clock } => {
                f.write_str("promoted by the clock of its last step")
            }
            Self::Promoted { why: PromotedBy::ClockWithoutTraffic } => {
                f.write_str("promoted by the clock, without one request of the canary")
            }
            Self::Aborted { why: AbortedBy::Command } => f.write_str("aborted by hand"),
            Self::Aborted { why: AbortedBy::File } => f.write_str("aborted by the file"),
            Self::Aborted { why: AbortedBy::Group } => f.write_str("aborted with its group"),
            Self::Aborted { why: AbortedBy::Webhook } => f.write_str("not begun, denied by a webhook"),
            Self::Aborted { why: AbortedBy::Superseded } => {
                f.write_str("superseded by another canary in the file")
            }
            Self::RolledBack { why: RolledBackFor::Evidence } => f.write_str("rolled back on evidence"),
            Self::RolledBack { why: RolledBackFor::Copies } => {
                f.write_str("rolled back on evidence of copies, before it had a user")
            }
            Self::RolledBack { why: RolledBackFor::Timeout } => f.write_str("rolled back on timeout"),
            Self::RolledBack { why: RolledBackFor::Group } => f.write_str("rolled back with its group"),
            Self::RolledBack { why: RolledBackFor::Webhook } => {
                f.write_str("rolled back, denied by a webhook")
            }
            Self::RolledBack { why: RolledBackFor::Trip } => f.write_str("rolled back by the trip-wire"),
            Self::RolledBack { why: RolledBackFor::BlastRadius } => {
                f.write_str("rolled back because its blast radius was spent")
            }
            Self::Undone { was: WasUndone::Promoted } => f.write_str("undone by hand after its promotion"),
            Self::Undone { was: WasUndone::Aborted } => f.write_str("undone by hand after it was aborted"),
        }
    }
}
