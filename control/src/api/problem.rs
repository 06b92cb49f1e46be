//! Errors as problem details (RFC 9457): what was wrong, and what would be right.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::{access::CommandError, refusal::Refusal, status::weights, tokens::TokenRefusal};

/// One problem.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) detail: String,
    more: Map<String, Value>,
    in_audit_log: bool,
    fate_unknown: bool,
    group: Option<String>,
}

/// What a response with a problem says of itself, for the audit log.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) kind: &'static str,
    pub(super) detail: String,
    /// Whether the keeper has told the audit log of it.
    pub(super) in_audit_log: bool,
    /// Whether what was asked for may be done all the same.
    pub(super) fate_unknown: bool,
    /// The group of services that stands in the way, where one does.
    pub(super) group: Option<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, kind, detail, more: Map::new(), in_audit_log: false, fate_unknown: false, group: None }
    }

    pub(super) fn bad_request(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, detail)
    }

    /// Somebody asks too much.
    pub(super) fn too_many(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail)
    }

    pub(super) fn no_service(name: &str) -> Self {
        Refusal::NoService(name.to_owned()).into()
    }

    /// Leaves services out of what it shows of the plan in force.
    pub(super) fn without_services(mut self, leave_out: impl Fn(&str) -> bool) -> Self {
        let shown = self.more.get_mut("current").and_then(|current| current.get_mut("services"));
        if let Some(Value::Object(services)) = shown {
            services.retain(|name, _| !leave_out(name));
        }
        self
    }

    /// It is for this group that nobody else may ask.
    pub(super) fn of_group(self, name: &str) -> Self {
        Self { group: Some(name.to_owned()), ..self }
    }

    /// What was asked for may be done all the same.
    pub(super) fn with_unknown_fate(self) -> Self {
        Self { fate_unknown: true, ..self }
    }

    /// Adds a member.
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }
}

impl Problem {
    /// As JSON.
    pub(super) fn text(self) -> String {
        let mut members = self.more;
        members.insert("type".into(), format!("urn:serin:problem:{}", self.kind).into());
        members.insert("title".into(), self.kind.replace('-', " ").into());
        members.insert("status".into(), self.status.as_u16().into());
        members.insert("detail".into(), self.detail.into());
        Value::Object(members).to_string()
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let told = Told {
            kind: self.kind,
            detail: self.detail.clone(),
            in_audit_log: self.in_audit_log,
            fate_unknown: self.fate_unknown,
            group: self.group.take(),
        };
        let status = self.status;
        let mut response = (status, self.text()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(told);
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        use StatusCode as S;
        let status = match &refusal {
            Refusal::NoService(_)
            | Refusal::NoGroup(_)
            | Refusal::NoFreeze(_)
            | Refusal::Token(TokenRefusal::None(_)) => S::NOT_FOUND,
            Refusal::NoVersion { .. }
            | Refusal::KeyTaken
            | Refusal::UrgentWithoutReason
            | Refusal::FreezeInThePast
            | Refusal::Token(TokenRefusal::Name(_) | TokenRefusal::NoService(_) | TokenRefusal::ForNothing) => {
                S::UNPROCESSABLE_ENTITY
            }
            // All others could be done at another time.
            _ => S::CONFLICT,
        };
        let problem = Self::new(status, refusal.kind(), refusal.to_string());
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
        let status = match error {
            CommandError::Refused(refusal) => return Self { in_audit_log: true, ..refusal.into() },
            CommandError::Store(_)
            | CommandError::NotLeader(_)
            | CommandError::Busy
            | CommandError::Stopped => S::SERVICE_UNAVAILABLE,
            CommandError::Late => S::GATEWAY_TIMEOUT,
        };
        // The keeper tells of all that came to it and was answered.
        let in_audit_log = matches!(error, CommandError::Store(_));
        let fate_unknown = matches!(error, CommandError::Late);
        Self { in_audit_log, fate_unknown, ..Self::new(status, error.kind(), error.to_string()) }
    }
}
