//! Errors as problem details (RFC 9457): what was wrong, and what would be right.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::{access::CommandError, refusal::Refusal, status::weights, store::StoreError};

/// One problem.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    more: Map<String, Value>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into(), more: Map::new() }
    }

    pub(super) fn bad_request(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, detail)
    }

    pub(super) fn no_service(name: &str) -> Self {
        Refusal::NoService(name.to_owned()).into()
    }

    /// Adds a member.
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut members = self.more;
        members.insert("type".into(), format!("urn:serin:problem:{}", self.kind).into());
        members.insert("title".into(), self.kind.replace('-', " ").into());
        members.insert("status".into(), self.status.as_u16().into());
        members.insert("detail".into(), self.detail.into());
        let mut response = (self.status, Value::Object(members).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        use StatusCode as S;
        let (status, kind) = match &refusal {
            Refusal::Stale { .. } => (S::CONFLICT, "stale-generation"),
            Refusal::NoService(_) => (S::NOT_FOUND, "no-such-service"),
            Refusal::NoVersion { .. } => (S::UNPROCESSABLE_ENTITY, "no-such-version"),
            Refusal::RolloutRuns { .. } => (S::CONFLICT, "rollout-in-progress"),
            Refusal::AlreadyRuns { .. } => (S::CONFLICT, "rollout-in-progress"),
            Refusal::NoCanary(_) => (S::CONFLICT, "no-canary"),
            Refusal::AlreadyWhole { .. } => (S::CONFLICT, "canary-has-all-traffic"),
            Refusal::ThirdVersion { .. } => (S::CONFLICT, "third-version-has-traffic"),
            Refusal::NoRollout(_) => (S::CONFLICT, "no-rollout"),
            Refusal::Rollout { .. } => (S::CONFLICT, "rollout-state"),
            Refusal::NothingToUndo { .. } => (S::CONFLICT, "nothing-to-undo"),
            Refusal::MovedSince { .. } => (S::CONFLICT, "weights-moved-since"),
            Refusal::NoWayBack { .. } => (S::CONFLICT, "no-way-back"),
            Refusal::NothingToRetry { .. } => (S::CONFLICT, "nothing-to-retry"),
            Refusal::RetryOfAnother { .. } => (S::CONFLICT, "other-roles"),
            Refusal::ReloadDuringRollout { .. }
            | Refusal::ReloadDropsVersion { .. }
            | Refusal::ReloadDropsService(_) => (S::CONFLICT, "reload-refused"),
        };
        let problem = Self::new(status, kind, refusal.to_string());
        match refusal {
            Refusal::Stale { current, .. } => {
                let splits = current
                    .services()
                    .map(|(service, split)| (service.name.to_string(), json!({ "weights": weights(split) })));
                let services: Map<String, Value> = splits.collect();
                problem.with("current", json!({ "generation": current.generation(), "services": services }))
            }
            _ => problem,
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        use StatusCode as S;
        let (status, kind) = match error {
            CommandError::Refused(refusal) => return refusal.into(),
            CommandError::Store(StoreError::Full(_)) => (S::SERVICE_UNAVAILABLE, "disk-full"),
            CommandError::Store(_) => (S::SERVICE_UNAVAILABLE, "store-failed"),
            CommandError::Busy => (S::SERVICE_UNAVAILABLE, "too-many-commands"),
            CommandError::Late => (S::GATEWAY_TIMEOUT, "timeout"),
            CommandError::Stopped => (S::SERVICE_UNAVAILABLE, "stopped"),
        };
        Self::new(status, kind, error.to_string())
    }
}
