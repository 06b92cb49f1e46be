//! Is this a request that may go on? What the HTTP library lets through is judged here, before routing.

use http::{
    HeaderMap, Method, StatusCode, Uri, Version,
    header::{EXPECT, HOST, TRANSFER_ENCODING},
};
use serin_config::limits::HEADER_FIELDS_MAX;

/// Why a request is refused. It is the client's fault, and no version is charged with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// What was wrong, as the client gets to read it.
    pub detail: &'static str,
}

const fn refusal(status: StatusCode, detail: &'static str) -> Refusal {
    Refusal { status, detail }
}

/// Checks a request head and finds its authority: the host, perhaps with a port, that it asks for.
pub fn vet<'a>(
    method: &Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
) -> Result<&'a str, Refusal> {
    if matches!(*method, Method::CONNECT | Method::TRACE) || method.as_str() == "TRACK" {
        return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "this method is not served here"));
    }
    // HTTP/2 bounds the bytes of a head only.
    if headers.len() > HEADER_FIELDS_MAX {
        let too_many = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(refusal(too_many, "there are too many header fields"));
    }
    if !is_at_most_chunked(headers) {
        let detail = "the only transfer coding that is understood is \"chunked\"";
        return Err(refusal(StatusCode::NOT_IMPLEMENTED, detail));
    }
    if headers.get(EXPECT).is_some_and(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(refusal(
            StatusCode::EXPECTATION_FAILED,
            "the only expectation that is met is \"100-continue\"",
        ));
    }
    if version == Version::HTTP_2 && headers.values().any(|value| is_padded(value.as_bytes())) {
        return Err(refusal(StatusCode::BAD_REQUEST, "a header's value begins or ends with white space"));
    }
    let path = uri.path();
    let of_server = path == "*" && *method == Method::OPTIONS;
    if !path.starts_with('/') && !of_server {
        return Err(refusal(StatusCode::BAD_REQUEST, "the request target is not a path"));
    }
    authority(uri, version, headers)
}

/// RFC 9113, 8.2.1: such a value is malformed. In HTTP/1 the white space is no part of the value, and gone by now.
fn is_padded(value: &[u8]) -> bool {
    let white = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    white(value.first()) || white(value.last())
}

/// Whether a message has no transfer coding, or `chunked` alone, which is all that the HTTP library undoes.
pub fn is_at_most_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next();
    first.is_none_or(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}

/// RFC 9112, 3.2: exactly one Host in HTTP/1.1, and it must not contradict an authority in the target.
/// RFC 9113, 8.3.1: the same for `:authority` and `host`.
fn authority<'a>(uri: &'a Uri, version: Version, headers: &'a HeaderMap) -> Result<&'a str, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match hosts.next().map(http::HeaderValue::to_str) {
        None => None,
        Some(Ok(host)) => Some(host),
        Some(Err(_)) => return Err(refusal(StatusCode::BAD_REQUEST, "the Host header is not a host")),
    };
    if hosts.next().is_some() {
        return Err(refusal(StatusCode::BAD_REQUEST, "there is more than one Host header"));
    }
    let target = uri.authority().map(http::uri::Authority::as_str);
    match (target, host) {
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(host) => Err(refusal(
            StatusCode::BAD_REQUEST,
            "the Host header and the request target name different hosts",
        )),
        (Some(target), _) => checked(target),
        (None, Some(host)) => checked(host),
        (None, None) if version == Version::HTTP_11 || version == Version::HTTP_2 => {
            Err(refusal(StatusCode::BAD_REQUEST, "there is no Host header"))
        }
        (None, None) => Ok(""),
    }
}

fn checked(host: &str) -> Result<&str, Refusal> {
    let allowed = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'.' | b'-'
                    | b'_'
                    | b':'
                    | b'['
                    | b']'
                    | b'~'
                    | b'%'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
            )
    };
    if host.bytes().all(allowed) && has_sound_port(host) {
        Ok(host)
    } else {
        Err(refusal(StatusCode::BAD_REQUEST, "the Host header is not a host"))
    }
}

/// Brackets hold an IPv6 address and stand at its ends; what follows a colon outside them is a port.
fn has_sound_port(host: &str) -> bool {
    let after = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, after)) if !address.is_empty() => after,
            _ => return false,
        },
        None => host.find(':').map_or("", |colon| &host[colon..]),
    };
    let bracketed_inside = host.bytes().skip(1).any(|b| b == b'[') || after.contains(']');
    let stray = !host.starts_with('[') && host.contains(']');
    let port = after.strip_prefix(':').unwrap_or(after);
    let sound = after.is_empty()
        || (after.starts_with(':')
            && (port.is_empty()
                || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok())));
    sound && !bracketed_inside && !stray
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(method: &Method, uri: &str, version: Version, lines: &[(&str, &str)]) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                name.parse::<http::HeaderName>().unwrap(),
                http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        let uri = uri.parse().unwrap();
        vet(method, &uri, version, &headers).map(Into::into).map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn exactly_one_host_is_needed_and_it_must_agree() {
        let get = |uri: &str, lines: &[(&str, &str)]| judge(&Method::GET, uri, Version::HTTP_11, lines);
        assert_eq!(get("/", &[("host", "a.example:80")]), Ok("a.example:80".into()));
        assert_eq!(get("/", &[]), Err(400));
        assert_eq!(get("/", &[("host", "a"), ("host", "a")]), Err(400));
        assert_eq!(get("/", &[("host", "a b")]), Err(400));
        assert_eq!(get("/", &[("host", "a/b")]), Err(400));
        for odd in ["a:b:c", "]]]", "[::1", "[]", "[::1]x", "a[b", "a:99999999", "[[::1]]", "a:+1"] {
            assert_eq!(get("/", &[("host", odd)]), Err(400), "{odd}");
        }
        for sound in ["a", "a:", "a:80", "[::1]", "[::1]:443", "1.2.3.4:8080"] {
            assert_eq!(get("/", &[("host", sound)]), Ok(sound.into()));
        }
        assert_eq!(get("/", &[("host", "ä")]), Err(400));
        assert_eq!(get("http://a.example/", &[("host", "b.example")]), Err(400));
        assert_eq!(get("http://a.example/", &[("host", "A.example")]), Ok("a.example".into()));
        assert_eq!(judge(&Method::GET, "/", Version::HTTP_10, &[]), Ok(String::new()));
    }

    #[test]
    fn white_space_around_a_value_is_malformed_in_http2() {
        let with = |version, value| judge(&Method::GET, "/", version, &[("host", "a"), ("x-a", value)]);
        for padded in [" b", "b ", "\tb", "b\t", " "] {
            assert_eq!(with(Version::HTTP_2, padded), Err(400), "{padded:?}");
            assert_eq!(with(Version::HTTP_11, padded), Ok("a".into()), "{padded:?}");
        }
        for sound in ["", "b", "b c"] {
            assert_eq!(with(Version::HTTP_2, sound), Ok("a".into()), "{sound:?}");
        }
    }

    #[test]
    fn only_chunked_is_understood() {
        let with = |coding: &str| {
            judge(&Method::POST, "/", Version::HTTP_11, &[("host", "a"), ("transfer-encoding", coding)])
        };
        assert_eq!(with("Chunked"), Ok("a".into()));
        assert_eq!(with("gzip, chunked"), Err(501));
        assert_eq!(with("identity"), Err(501));
    }

    #[test]
    fn only_the_expectation_that_can_be_met_is_taken() {
        let with = |expected: &str| {
            judge(&Method::POST, "/", Version::HTTP_11, &[("host", "a"), ("expect", expected)])
        };
        assert_eq!(with("100-Continue"), Ok("a".into()));
        assert_eq!(with("200-ok"), Err(417));
        assert_eq!(with(""), Err(417));
    }

    #[test]
    fn methods_that_reach_past_the_endpoint_are_refused() {
        assert_eq!(
            judge(&Method::CONNECT, "a.example:443", Version::HTTP_11, &[("host", "a.example:443")]),
            Err(405)
        );
        assert_eq!(judge(&Method::TRACE, "/", Version::HTTP_11, &[("host", "a")]), Err(405));
        assert_eq!(judge(&Method::OPTIONS, "*", Version::HTTP_11, &[("host", "a")]), Ok("a".into()));
        assert_eq!(judge(&Method::GET, "*", Version::HTTP_11, &[("host", "a")]), Err(400));
    }
}
