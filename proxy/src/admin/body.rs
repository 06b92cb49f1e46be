//! What a change says, read within its bound, and whether it may be made at all.
//!
//! The listener is on loopback or a Unix socket by default, and every web page that the operator opens can
//! send requests to loopback. A page of another origin can't send JSON without a preflight, which is never
//! answered; one whose name was rebound to 127.0.0.1 still sends that name. So a change must come as JSON, to
//! an IP address or `localhost`.

use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serin_config::limits::{API_BODY_BYTES_MAX, API_TIMEOUT};

use super::problem::Problem;

/// Whether a change may be made by this request.
pub(super) fn check(headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let host = uri.authority().map(|authority| authority.as_str().into()).or_else(|| text(header::HOST));
    if host.is_some_and(|host| !is_own_name(&host)) {
        return Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "a change must be sent to an IP address or localhost, not to a name",
        ));
    }
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let media = kind.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "a change must be sent with \"content-type: application/json\"",
    ))
}

fn is_own_name(host: &str) -> bool {
    let bare = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    // A Unix socket has no host; clients then write what they like, or nothing.
    bare.is_empty() || bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

/// The body as that form; an empty one is an empty object.
pub(super) async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Problem> {
    let limited = Limited::new(request.into_body(), API_BODY_BYTES_MAX);
    let collected = tokio::time::timeout(API_TIMEOUT, limited.collect()).await;
    let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
    let bytes = collected.map_err(|_| late())?.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let text = format!("the body is larger than {API_BODY_BYTES_MAX} bytes");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text);
        }
        Problem::wrong(format!("the body could not be read: {error}"))
    })?;
    let bytes = bytes.to_bytes();
    let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text)
        .map_err(|error| Problem::wrong(format!("the body is not what is expected here: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(host: &str, kind: &str) -> Option<StatusCode> {
        let headers = [(header::HOST, host), (header::CONTENT_TYPE, kind)];
        let headers = headers.into_iter().map(|(name, value)| (name, value.parse().unwrap()));
        let problem = check(&headers.collect(), &Uri::from_static("/faults")).err()?;
        Some(problem.response().status())
    }

    #[test]
    fn a_change_comes_as_json_and_not_to_a_name() {
        for host in ["127.0.0.1:9901", "localhost", "[::1]:9901", ""] {
            assert_eq!(status(host, "application/json; charset=utf-8"), None, "{host}");
        }
        assert_eq!(status("evil.example", "application/json"), Some(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(status("localhost", "text/plain"), Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
}
