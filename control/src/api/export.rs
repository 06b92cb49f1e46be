//! The kept windows of a rollout, as lines that `serin judge` reads.
//!
//! They are made chunk by chunk while the answer is sent: as text they are some ten times what is stored.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::StatusCode;

use super::{Context, lines::Lines, problem::Problem};
use crate::{history::export::Export, store::ReadError};

pub(super) async fn of_service(
    State(context): State<Context>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let Path((service, id)) = path.map_err(malformed)?;
    let id = number(&id)?;
    let status = context.access.status();
    let found = status.services.get(service.as_str()).ok_or_else(|| Problem::no_service(&service))?;
    let present = found.rollout.iter().map(|rollout| rollout.id);
    if !present.chain(found.earlier.iter().map(|rollout| rollout.id)).any(|known| known == id) {
        return Err(none(format!("service \"{service}\" has no rollout {id}, or no longer")));
    }
    windows(&context, id).await
}

pub(super) async fn of_any(
    State(context): State<Context>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) = path.map_err(malformed)?;
    windows(&context, number(&id)?).await
}

async fn windows(context: &Context, id: u64) -> Result<Response, Problem> {
    let chunks = context.access.archive.windows(id).await.map_err(|error| unreadable(&error))?;
    if chunks.is_empty() {
        return Err(none(format!(
            "no windows are kept of a rollout {id}: they are stored every few seconds"
        )));
    }
    let export = Export::new(id, chunks).map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged-windows", error.to_string())
    })?;
    Ok(Lines(export).into_response())
}

fn number(text: &str) -> Result<u64, Problem> {
    let detail =
        || format!("\"{}\" is not the number of a rollout", text.chars().take(40).collect::<String>());
    text.parse().map_err(|_| Problem::bad_request("malformed-path", detail()))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn malformed(rejection: PathRejection) -> Problem {
    Problem::bad_request("malformed-path", rejection.body_text())
}

fn none(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-windows", detail)
}

fn unreadable(error: &ReadError) -> Problem {
    let status = match error {
        ReadError::Busy | ReadError::Closed => StatusCode::SERVICE_UNAVAILABLE,
        ReadError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Problem::new(status, "windows-not-read", error.to_string())
}
