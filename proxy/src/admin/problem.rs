//! What the admin listener says of a request that it can't serve: JSON, with what would be right.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use super::reply;

/// A request that can't be served.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    text: String,
    allow: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), allow: None }
    }

    /// What was sent is not what is expected.
    pub(super) fn wrong(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// There is no such thing.
    pub(super) fn missing(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// The path is served, by other methods.
    pub(super) fn method(allow: &'static str) -> Self {
        let text = format!("only {allow} is served here");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, text, allow: Some(allow) }
    }

    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let body = json!({ "status": self.status.as_u16(), "error": self.text }).to_string();
        let mut response = reply(self.status, "application/json", body + "\n");
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
