//! Headers that belong to one hop and must not travel on (RFC 9110, 7.6.1).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, TE},
};

/// The headers of one hop. `expect` is among a request's, since Serin answers `100-continue` itself when it
/// begins to read the body; `x-serin-*` because only Serin may say them.
fn is_of_hop(name: &str) -> bool {
    match name {
        "connection" | "transfer-encoding" | "keep-alive" | "upgrade" | "te" | "proxy-connection" => true,
        "expect" | "http2-settings" | "proxy-authorization" | "proxy-authenticate" => true,
        _ => name.starts_with("x-serin-") || (name.contains('_') && is_alias(name)),
    }
}

/// A name with underscores that some endpoints can't tell from one that Serin answers for: what hands headers
/// over as variables (CGI, WSGI) calls both `X_FORWARDED_FOR`. A stranger could say by it who the client is.
#[cold]
fn is_alias(name: &str) -> bool {
    let dashed = name.replace('_', "-");
    matches!(dashed.as_str(), "content-length" | "transfer-encoding" | "x-real-ip")
        || dashed.starts_with("x-forwarded-")
        || dashed.starts_with("x-serin-")
}

/// What a `Connection` header may not name: taking these away would let a client strip what the endpoint
/// decides by, or break the framing.
fn is_protected(name: &str) -> bool {
    const PROTECTED: [&str; 12] = [
        "host",
        "content-length",
        "transfer-encoding",
        "authorization",
        "cookie",
        "set-cookie",
        "forwarded",
        "traceparent",
        "tracestate",
        "x-real-ip",
        "cache-control",
        "content-type",
    ];
    PROTECTED.iter().any(|known| name.eq_ignore_ascii_case(known))
        || name.get(..12).is_some_and(|head| head.eq_ignore_ascii_case("x-forwarded-"))
}

/// Takes away the headers of the sender's hop, and tells whether one of them said that the sender takes
/// trailers. Most messages have none, which one pass over the names shows for less than one look-up for each
/// name.
pub fn strip(headers: &mut HeaderMap) -> bool {
    let mut of_hop = headers.keys().filter(|name| is_of_hop(name.as_str()));
    match (of_hop.next(), of_hop.next()) {
        (None, _) => return false,
        (Some(only), None) if only == CONNECTION && names_nothing(headers) => {
            headers.remove(CONNECTION);
            return false;
        }
        _ => {}
    }
    let trailers = takes_trailers(headers);
    if headers.contains_key(CONNECTION) {
        strip_named(headers);
    }
    let of_hop: Vec<HeaderName> = headers.keys().filter(|name| is_of_hop(name.as_str())).cloned().collect();
    for name in of_hop {
        headers.remove(name);
    }
    trailers
}

/// Whether all that `Connection` says is what becomes of the connection, as in nearly every message that has one.
fn names_nothing(headers: &HeaderMap) -> bool {
    let said = |line: &HeaderValue| {
        let line = line.as_bytes();
        line.eq_ignore_ascii_case(b"keep-alive") || line.eq_ignore_ascii_case(b"close")
    };
    headers.get_all(CONNECTION).iter().all(said)
}

/// Whether `te: trailers` is said (RFC 9110, 10.1.4).
fn takes_trailers(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(TE).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    codings.map(<[u8]>::trim_ascii).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// Says on the next hop that trailers are taken. TE is of one hop, so `Connection` names it.
pub fn take_trailers(headers: &mut HeaderMap) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONNECTION, HeaderValue::from_static("te"));
}

/// Takes away what any of the `Connection` lines names, and the lines themselves.
fn strip_named(headers: &mut HeaderMap) {
    let mut named: Vec<HeaderName> = Vec::new();
    for line in headers.get_all(CONNECTION) {
        let tokens = line.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii);
        let names = tokens.filter_map(|token| HeaderName::from_bytes(token).ok());
        named.extend(names.filter(|name| !is_protected(name.as_str())));
    }
    for name in named {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn what_any_connection_line_names_goes() {
        let mut map = headers(&[
            ("connection", "close, X-One"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
        ]);
        strip(&mut map);
        assert_eq!(map, headers(&[("x-three", "3")]));
    }

    #[test]
    fn names_that_an_endpoint_could_take_for_ours_go() {
        let mut map = headers(&[
            ("x_forwarded_for", "192.0.2.1"),
            ("x-forwarded_client-cert", "forged"),
            ("x_real_ip", "192.0.2.1"),
            ("transfer_encoding", "chunked"),
            ("content_length", "3"),
            ("x_serin_version", "v2"),
            ("user_id", "7"),
        ]);
        strip(&mut map);
        assert_eq!(map, headers(&[("user_id", "7")]));
    }

    #[test]
    fn a_client_can_not_strip_what_the_endpoint_decides_by() {
        let kept = [
            ("host", "a"),
            ("authorization", "secret"),
            ("x-forwarded-for", "192.0.2.1"),
            ("traceparent", "t"),
        ];
        let mut map = headers(&kept);
        map.append(CONNECTION, "Host, Authorization, X-Forwarded-For, traceparent".parse().unwrap());
        strip(&mut map);
        assert_eq!(map, headers(&kept));
    }

    #[test]
    fn who_takes_trailers_is_told_apart() {
        for (te, takes) in [("trailers", true), ("gzip;q=0.5, Trailers", true), ("gzip", false)] {
            let mut map = headers(&[("te", te)]);
            assert_eq!(strip(&mut map), takes, "{te}");
            assert!(map.is_empty());
        }
        assert!(!strip(&mut headers(&[("connection", "te")])));
    }

    #[test]
    fn an_endpoint_keeps_its_hop_to_itself() {
        let mut map = headers(&[
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-serin-version", "v9"),
            ("etag", "\"1\""),
        ]);
        strip(&mut map);
        assert_eq!(map, headers(&[("etag", "\"1\"")]));
    }
}
