//! Freezes: those of the file's calendar and those by hand, and how one begins and ends by hand.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use serin_config::ServiceName;

use super::{Context, change::Change, problem::Problem};
use crate::{clock::Clock, command::Command};

/// For what is shown; decisions are made by the keeper's own clock.
pub(super) fn now_ms() -> u64 {
    Clock::not_before(0).now_ms()
}

/// All freezes, and whether each is in force right now.
pub(super) async fn list(State(context): State<Context>) -> Json<Value> {
    let (status, now_ms) = (context.access.status(), now_ms());
    let of_file = status.terms.freezes.iter().map(|freeze| {
        json!({
            "name": freeze.name,
            "services": freeze.services,
            "when": freeze.span,
            "zone": freeze.zone,
            "in_force": freeze.is_in_force(now_ms),
        })
    });
    let by_hand = status.freezes.0.iter().map(|(id, freeze)| {
        json!({
            "id": id,
            "services": freeze.services,
            "since_ms": freeze.since_ms,
            "until_ms": freeze.until_ms,
            "reason": freeze.reason,
            "in_force": freeze.is_in_force(now_ms),
        })
    });
    Json(json!({ "freezes": of_file.chain(by_hand).collect::<Vec<_>>() }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Everything, if left out.
    #[serde(default)]
    services: Vec<ServiceName>,
    /// Until it is lifted, if left out.
    #[serde(default, deserialize_with = "super::whole::maybe")]
    until_ms: Option<u64>,
    #[serde(default)]
    reason: String,
}

/// What a body asks for, in words; none of one that no freeze can be made of.
pub(super) fn wanted(body: &[u8]) -> Option<String> {
    let Wanted { services, until_ms, .. } = serde_json::from_slice(body).ok()?;
    Some(Command::Freeze { services, until_ms }.to_string())
}

/// Freezes by hand.
pub(super) async fn freeze(
    State(context): State<Context>,
    Change { form, whose }: Change<Wanted>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Wanted { services, until_ms, reason } = form;
    let command = Command::Freeze { services: services.clone(), until_ms };
    context.access.command(whose.asks(command, &reason)).await?;
    // Of two that are alike either will do.
    let status = context.access.status();
    let mut newest = status.freezes.0.iter().rev();
    let made = newest.find(|(_, freeze)| freeze.services == services && freeze.until_ms == until_ms);
    Ok((StatusCode::CREATED, Json(json!({ "id": made.map(|(id, _)| id) }))))
}

/// What a request to lift one may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lift {
    #[serde(default)]
    reason: String,
}

/// Lifts a freeze that was made by hand.
pub(super) async fn thaw(
    State(context): State<Context>,
    path: Result<Path<String>, PathRejection>,
    Change { form, whose }: Change<Lift>,
) -> Result<StatusCode, Problem> {
    let Path(text) = path.map_err(|error| Problem::bad_request("malformed-path", error.body_text()))?;
    let Ok(freeze) = text.parse() else {
        let detail = "a freeze by hand has a number; one of the file ends when the file no longer has it";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-freeze", detail));
    };
    context.access.command(whose.asks(Command::Thaw { freeze }, &form.reason)).await?;
    Ok(StatusCode::NO_CONTENT)
}
