//! A decision → how grave it is, and what is said of it.

use serin_config::{ServiceName, notification::Severity};

use crate::{
    journal::{Action, Entry},
    rollout::{HeldFor, State},
};

/// How grave a decision is; none for those that nobody is told of: a file that was read tells it of each service.
pub(super) fn severity(entry: &Entry) -> Option<Severity> {
    Some(match (entry.action, entry.state) {
        (Action::Load, _) => return None,
        // Who has not followed a rollback still sends users to the canary that was taken out.
        (Action::RollBack | Action::Unacknowledged, _)
        | (_, Some(State::Held { why: HeldFor::Unsafe, .. })) => Severity::Critical,
        (_, Some(State::Held { why: HeldFor::Group | HeldFor::Webhook | HeldFor::Start, .. })) => {
            Severity::Info
        }
        (Action::Hold | Action::Lower | Action::Undo | Action::Abort | Action::Renumber, _)
        | (Action::CallOff | Action::Duplicate, _) => Severity::Warning,
        _ => Severity::Info,
    })
}

/// One line: where, and what happened.
pub(super) fn title(entry: &Entry) -> String {
    let names: Vec<&str> = entry.about().map(ServiceName::as_str).collect();
    let place = if names.is_empty() { "all services".to_owned() } else { names.join(", ") };
    match (entry.rollout, entry.state) {
        (Some(rollout), Some(state)) => format!("{place}: rollout {rollout} {state}"),
        _ => format!("{place}: {}", entry.action.label().replace('_', " ")),
    }
}

/// One line more: the split before and after, who, and why.
pub(super) fn text(entry: &Entry) -> String {
    let moved = match (&entry.from, &entry.to, entry.left()) {
        (Some(from), Some(to), Some(left)) if from != to => format!("{from} → {left}, "),
        (_, _, Some(left)) => format!("{left}, "),
        _ => String::new(),
    };
    let who = entry.who.as_ref().map_or_else(|| entry.actor.to_string(), |who| who.name.clone());
    let why = if entry.reason.is_empty() { String::new() } else { format!(": {}", entry.reason) };
    format!("{moved}by {who}{why}")
}
