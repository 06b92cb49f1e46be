//! A request for a change, before its body means anything: who asks, on which plan that rests, under which key, and
//! the JSON of the body, read within its bound.

use aws_lc_rs::digest::{Context as Hash, SHA256};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    response::IntoResponse,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, StatusCode, header, request::Parts};
use serde::de::DeserializeOwned;
use serin_config::{
    Generation,
    limits::{API_BODY_BYTES_MAX, REPEAT_KEY_BYTES_MAX},
};

use super::{identity::Identity, problem::Problem};
use crate::{
    command::{Actor, Command, Request as Asked},
    repeat::RepeatKey,
};

/// The header with the key of a change.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Of a generation in a header: what fits a number in any case.
pub(super) const GENERATION_DIGITS_MAX: usize = 19;

/// A change, and the form that its body has. Unknown fields are refused by the form itself.
pub(super) struct Change<T> {
    pub(super) form: T,
    pub(super) whose: Whose,
}

/// Who asks for a change, and under which conditions.
pub(super) struct Whose {
    pub(super) identity: Identity,
    if_match: Option<Generation>,
    key: Option<RepeatKey>,
}

impl Whose {
    /// The plan on which the caller's choice rests, by the header or the body.
    pub(super) fn if_generation(&self, of_body: Option<Generation>) -> Result<Option<Generation>, Problem> {
        match (self.if_match, of_body) {
            (Some(header), Some(body)) if header != body => {
                let detail = format!(
                    "if-match says plan {header}, and if_generation plan {body}: send the one on which your choice rests"
                );
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "two-generations", detail))
            }
            (header, body) => Ok(header.or(body)),
        }
    }

    /// The request for this command.
    pub(super) fn asks(&self, command: Command, reason: &str) -> Asked {
        let asked = Asked::new(command, Actor::Api, reason).by(self.identity.caller.clone());
        match &self.key {
            Some(key) => asked.once(key.clone()),
            None => asked,
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Change<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let head = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(head, state).await.map_err(unreadable)?;
        let whose = whose(&parts, &bytes)?;
        // A request to delete has nothing more to say.
        let text: &[u8] =
            if bytes.is_empty() && parts.method == http::Method::DELETE { b"{}" } else { &bytes };
        Ok(Self { form: read(text)?, whose })
    }
}

/// Reads a form. It is an object: a list of its values in the right order, which the reader would take, too, is what
/// nobody means.
fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let wrong = |what: &dyn std::fmt::Display, line: usize, column: usize| {
        Problem::bad_request("malformed-body", format!("the body is not what is expected here: {what}"))
            .with("line", line.into())
            .with("column", column.into())
    };
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(wrong(&"a list stands where an object must", 1, 1));
    }
    serde_json::from_slice(text).map_err(|error| wrong(&error, error.line(), error.column()))
}

fn whose(parts: &Parts, body: &[u8]) -> Result<Whose, Problem> {
    // The guard puts it there; without it nobody is anybody.
    let identity = parts
        .extensions
        .get::<Identity>()
        .cloned()
        .ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "nobody knows who asks"))?;
    let key = match one(&parts.headers, &IDEMPOTENCY_KEY)? {
        None => None,
        Some(text) if is_key(text) => Some(RepeatKey {
            key: hashed(&[identity.caller.name.as_bytes(), text.as_bytes()]),
            change: hashed(&[parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), body]),
        }),
        Some(_) => {
            let detail = format!(
                "an idempotency-key has from 1 to {REPEAT_KEY_BYTES_MAX} visible ASCII characters, no spaces"
            );
            return Err(Problem::bad_request("malformed-header", detail));
        }
    };
    Ok(Whose { identity, if_match: if_match(&parts.headers)?, key })
}

fn is_key(text: &str) -> bool {
    (1..=REPEAT_KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The generation in an `if-match` header: one strong entity tag, whose quotes may be left out.
fn if_match(headers: &HeaderMap) -> Result<Option<Generation>, Problem> {
    let Some(text) = one(headers, &header::IF_MATCH)? else { return Ok(None) };
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let right = (1..=GENERATION_DIGITS_MAX).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_digit());
    match bare.parse() {
        Ok(number) if right => Ok(Some(Generation(number))),
        _ => {
            let detail = "if-match names the plan on which your choice rests, such as if-match: \"7\"";
            Err(Problem::bad_request("malformed-header", detail))
        }
    }
}

/// The value of a header that may stand once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.trim())),
        _ => Err(Problem::bad_request(
            "malformed-header",
            format!("{name} stands once, in visible ASCII characters"),
        )),
    }
}

/// A hash of all parts, each with its length, so that none can be taken for a piece of another.
fn hashed(parts: &[&[u8]]) -> String {
    let mut hash = Hash::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(hash.finish().as_ref())
}

fn unreadable(rejection: BytesRejection) -> Problem {
    let text = rejection.body_text();
    if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("the body is larger than {API_BODY_BYTES_MAX} bytes");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail);
    }
    Problem::bad_request("unreadable-body", text)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn generation(value: &'static str) -> Option<Option<u64>> {
        let headers = HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(value))]);
        if_match(&headers).ok().map(|found| found.map(|generation| generation.0))
    }

    #[test]
    fn the_plan_in_if_match_is_one_number_with_or_without_quotes() {
        assert_eq!(generation("\"7\""), Some(Some(7)));
        assert_eq!(generation("7"), Some(Some(7)));
        for odd in ["*", "W/\"7\"", "\"7", "\"7\", \"8\"", "+7", "-1", "\"\"", "\"99999999999999999999\""] {
            assert_eq!(generation(odd), None, "{odd}");
        }
        assert!(matches!(if_match(&HeaderMap::new()), Ok(None)));
    }

    #[test]
    fn parts_are_hashed_each_for_itself() {
        assert_ne!(hashed(&[b"ab", b"c"]), hashed(&[b"a", b"bc"]));
        assert_eq!(hashed(&[b"ab", b"c"]), hashed(&[b"ab", b"c"]));
    }
}
