//! Who may ask: the bearer token, and the defence against browsers.
//!
//! The API listens on loopback by default, and every web page that the operator opens can send requests
//! there. Two checks keep it out. A page on another origin can send a form but not JSON without a preflight,
//! which is never answered; so a change must come as JSON. And a page whose host name was rebound to
//! 127.0.0.1 is of the same origin, but its requests still carry that name; so without a token the `host`
//! header must be an IP address or `localhost`.
//!
//! Nobody is answered when a fault has ended the keeper: the snapshot would go on to tell of rollouts in
//! progress that nobody watches.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, header};

use super::{Context, problem::Problem};
use crate::access::CommandError;

pub(super) async fn guard(State(context): State<Context>, request: Request, next: Next) -> Response {
    match check(&context, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(context: &Context, request: &Request) -> Result<(), Problem> {
    if let Some(token) = &context.token {
        let given = request.headers().get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
        let right = given.and_then(bearer).is_some_and(|given| token.matches(given));
        if !right {
            let detail = "send the token of control.token as \"authorization: Bearer TOKEN\"";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail));
        }
    }
    if context.names_refused
        && let Some(host) = host(request).filter(|host| !is_own_name(host))
    {
        let detail = format!(
            "the host \"{}\" is a name: without a token, use the IP address or localhost",
            host.chars().take(80).collect::<String>()
        );
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host-refused", detail));
    }
    if context.access.has_stopped() {
        return Err(CommandError::Stopped.into());
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && !is_json(request) {
        let detail = "a change must be sent with \"content-type: application/json\"";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", detail));
    }
    Ok(())
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// The host that the client named; none in HTTP/1.0 without one, which no browser sends.
fn host(request: &Request) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str().to_owned());
    }
    let value = request.headers().get(header::HOST)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn is_own_name(host: &str) -> bool {
    let bare = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

fn is_json(request: &Request) -> bool {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    media.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_own_names() {
        for own in
            ["127.0.0.1:9000", "127.0.0.1", "[::1]:9000", "[::1]", "localhost:1", "LOCALHOST", "10.0.0.7:80"]
        {
            assert!(is_own_name(own), "{own}");
        }
        for foreign in
            ["evil.example", "evil.example:9000", "localhost.evil.example", "127.0.0.1.evil.example:80", ""]
        {
            assert!(!is_own_name(foreign), "{foreign}");
        }
    }

    #[test]
    fn the_bearer_scheme_is_read_in_any_case() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer  abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"Basic abc"), None);
        assert_eq!(bearer(b"x"), None);
    }
}
