//! One API in front of several control planes: a follower answers reads from what it follows, and passes changes on, and
//! reads of what only the leader knows ([`super::there`]).
//!
//! A read says by its headers how far it can be trusted: `x-serin-role` is `leader` or `follower`, for who was asked;
//! `x-serin-leader` names the leader where the answer is its own; and `x-serin-stale-seconds` is there while the store has
//! not been heard of for so long, so that what is shown may be old.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use super::{
    Context,
    peer::Peer,
    problem::Problem,
    there::{answered, there},
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
        // The leader would know whoever asks by a token only, and not by the certificate that was shown here.
        Leadership::Follower { leader }
            if context.known.ask() && !request.headers().contains_key(header::AUTHORIZATION) =>
        {
            return Problem::from(CommandError::NotLeader(leader.map(Box::new))).into_response();
        }
        Leadership::Follower { leader } => {
            let from = request.extensions().get::<Peer>().map_or("unknown".into(), |peer| peer.from.clone());
            let passed = forward(request, &from, leader.as_ref(), standing).await;
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
