//! A JSON body, read within its bound, or the problem with it.

use axum::{
    extract::{FromRequest, Request, rejection::BytesRejection},
    response::IntoResponse,
};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serin_config::limits::API_BODY_BYTES_MAX;

use super::problem::Problem;

/// A body of that form; unknown fields are refused by the form itself.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = axum::body::Bytes::from_request(request, state).await.map_err(unreadable)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::bad_request("malformed-body", format!("the body is not what is expected here: {error}"))
                .with("line", error.line().into())
                .with("column", error.column().into())
        })
    }
}

fn unreadable(rejection: BytesRejection) -> Problem {
    let text = rejection.body_text();
    if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("the body is larger than {API_BODY_BYTES_MAX} bytes");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail);
    }
    Problem::bad_request("unreadable-body", text)
}
