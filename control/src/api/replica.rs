//! One API in front of several control planes: a follower answers reads from what it follows, and passes changes on, and
//! reads of what only the leader knows ([`super::there`]).
//!
//! A read says by its headers how far it can be trusted: `x-serin-role` is `leader` or `follower`, for who was asked;
//! `x-serin-leader` names the leader where the answer is its own; and `x-serin-stale-seconds` is there while the store has
//! not been heard of for so long, so that what is shown may be old.

use axum::{
    body::to_bytes,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serin_config::limits::{API_BODY_BYTES_MAX, API_REFUSED_BODY_WAIT};
use tokio::time::timeout;

use super::{
    Context,
    peer::Peer,
    problem::Problem,
    there::{answered, by_certificate, there},
};
use crate::{
    access::CommandError,
    lead::{
        Leadership,
        forward::{ForwardError, forward},
    },
};

const ROLE: HeaderName = HeaderName::from_static("x-serin-role");
const STALE: HeaderName = HeaderName::from_static("x-serin-stale-seconds");

/// Answers nothing before what is stored was read: this one would say that there are no rollouts and that nobody's token is
/// known, and all of it would be false.
pub(super) async fn know(State(context): State<Context>, request: Request, next: Next) -> Response {
    if context.access.standing.knows().await {
        return next.run(request).await;
    }
    let detail = "this control plane has begun and has not read yet what is stored, since etcd does not answer: ask another \
                  one, or look at etcd (without a majority of its members it answers nobody)";
    hear_out(request).await;
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-read-yet", detail).into_response()
}

pub(super) async fn stand(State(context): State<Context>, request: Request, next: Next) -> Response {
    let standing = &context.access.standing;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let role = match standing.now() {
        Leadership::Leader => "leader",
        Leadership::Follower { leader } if reads => {
            if let (Some(there), Some(leader)) = (there(&context, &request), leader)
                && let Some(mut answer) = answered(&context, there, &leader).await
            {
                answer.headers_mut().insert(ROLE, HeaderValue::from_static("follower"));
                return answer;
            }
            "follower"
        }
        Leadership::Follower { leader } if by_certificate(&context, request.headers()) => {
            hear_out(request).await;
            return Problem::from(CommandError::NotLeader(leader.map(Box::new))).into_response();
        }
        Leadership::Follower { leader: None } => {
            hear_out(request).await;
            return Problem::from(ForwardError::NoLeader).into_response();
        }
        Leadership::Follower { leader: Some(leader) } => {
            let from = request.extensions().get::<Peer>().map_or("unknown".into(), |peer| peer.from.clone());
            let passed = forward(request, &from, &leader, standing).await;
            return passed.unwrap_or_else(|error| Problem::from(error).into_response());
        }
    };
    let mut response = next.run(request).await;
    response.headers_mut().insert(ROLE, HeaderValue::from_static(role));
    if let Some(stale) = standing.stale() {
        response.headers_mut().insert(STALE, HeaderValue::from(stale.as_secs().max(1)));
    }
    response
}

/// Reads what nobody can be asked for, so that the audit log may tell of it.
async fn hear_out(request: Request) {
    let _ = timeout(API_REFUSED_BODY_WAIT, to_bytes(request.into_body(), API_BODY_BYTES_MAX)).await;
}

impl From<ForwardError> for Problem {
    fn from(error: ForwardError) -> Self {
        let (status, kind) = match &error {
            ForwardError::NoLeader | ForwardError::Again => (StatusCode::SERVICE_UNAVAILABLE, "no-leader"),
            ForwardError::Unreachable { .. } => (StatusCode::BAD_GATEWAY, "leader-not-reached"),
            ForwardError::NoAnswer(_) => (StatusCode::GATEWAY_TIMEOUT, "leader-did-not-answer"),
            ForwardError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"),
        };
        let fate_unknown = matches!(error, ForwardError::NoAnswer(_));
        let problem = Self::new(status, kind, error.to_string());
        if fate_unknown { problem.with_unknown_fate() } else { problem }
    }
}
