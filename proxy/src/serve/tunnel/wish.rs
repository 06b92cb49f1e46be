//! What a client wants its connection to become.

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, TRANSFER_ENCODING, UPGRADE},
    request,
};
use hyper::{ext::Protocol, upgrade::OnUpgrade};
use serin_split::vet::Refusal;

use super::websocket;

/// A protocol, and how the client's side of the tunnel will be had.
#[derive(Debug)]
pub(crate) struct Wish {
    /// As the service allows it, in lower case.
    protocol: HeaderValue,
    /// The side of an HTTP/2 stream; over HTTP/1.1 it is the connection itself.
    pub(super) stream: Option<OnUpgrade>,
    /// The key of a WebSocket client: its own over HTTP/1.1, one of ours for a client of HTTP/2.
    pub(super) key: Option<HeaderValue>,
}

const NOT_ALLOWED: Refusal =
    Refusal { status: StatusCode::NOT_IMPLEMENTED, detail: "this protocol is not served here" };

/// Turns an extended `CONNECT` into the request that it stands for, so that it is vetted and routed as that.
/// Returns its protocol.
pub(crate) fn unfold(head: &mut request::Parts) -> Option<Protocol> {
    let protocol = head.extensions.remove::<Protocol>()?;
    if head.method != Method::CONNECT {
        return None;
    }
    head.method = Method::GET;
    Some(protocol)
}

/// Reads the wish of a request, before the fields of its hop are stripped. `extended` is what [`unfold`]
/// found, `random` makes a key where the client's protocol has none.
///
/// An `Upgrade` that is not allowed, or is not sound, is not seen: its request is answered in HTTP/1.1. An
/// extended `CONNECT` has no such meaning, and is refused (RFC 9220, 3).
pub(crate) fn wished(
    head: &mut request::Parts,
    extended: Option<&Protocol>,
    allowed: &[String],
    random: impl FnOnce() -> [u64; 2],
) -> Result<Option<Wish>, Refusal> {
    if let Some(protocol) = extended {
        let protocol = allowed.iter().find(|known| known.eq_ignore_ascii_case(protocol.as_str()));
        let protocol = protocol.and_then(|known| HeaderValue::from_str(known).ok()).ok_or(NOT_ALLOWED)?;
        let stream = head.extensions.remove::<OnUpgrade>();
        let key = (protocol == websocket::PROTOCOL).then(|| websocket::key(random()));
        return Ok(Some(Wish { protocol, stream, key }));
    }
    if head.version != Version::HTTP_11 || !head.headers.contains_key(UPGRADE) {
        return Ok(None);
    }
    let has_body = head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
    let Some(protocol) = asked(&head.headers, allowed).filter(|_| !has_body && head.method == Method::GET)
    else {
        return Ok(None);
    };
    let key = head.headers.get(SEC_WEBSOCKET_KEY).cloned();
    Ok(Some(Wish { protocol, stream: None, key }))
}

/// The one protocol that is asked for, if it is allowed and the connection's options name the field.
fn asked(headers: &HeaderMap, allowed: &[String]) -> Option<HeaderValue> {
    let mut lines = headers.get_all(UPGRADE).iter();
    let (first, None) = (lines.next()?, lines.next()) else { return None };
    let named = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|b| *b == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    let protocol =
        allowed.iter().find(|known| first.as_bytes().trim_ascii().eq_ignore_ascii_case(known.as_bytes()));
    HeaderValue::from_str(protocol.filter(|_| named)?).ok()
}

impl Wish {
    /// Writes the wish into a head that is ready for an endpoint of HTTP/1.1.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
        if let Some(key) = &self.key {
            headers.insert(SEC_WEBSOCKET_KEY, key.clone());
        }
        if self.protocol == websocket::PROTOCOL {
            headers.insert(http::header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
    }

    pub(super) fn protocol(&self) -> &HeaderValue {
        &self.protocol
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(lines: &[(&'static str, &'static str)]) -> Option<Wish> {
        let mut request = http::Request::get("/");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        wished(&mut head, None, &["websocket".into()], || [0; 2]).unwrap()
    }

    #[test]
    fn one_allowed_protocol_that_the_connection_names_is_a_wish() {
        let lines =
            [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"), ("sec-websocket-key", "k")];
        let wish = wish(&lines).unwrap();
        assert_eq!((wish.protocol, wish.key), ("websocket".parse().unwrap(), Some("k".parse().unwrap())));
    }

    #[test]
    fn whatever_is_not_sound_or_not_allowed_is_no_wish() {
        for lines in [
            &[("upgrade", "websocket")][..],
            &[("connection", "upgrade"), ("upgrade", "h2c")],
            &[("connection", "upgrade"), ("upgrade", "websocket, h2c")],
            &[("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "h2c")],
            &[("connection", "upgrade"), ("upgrade", "websocket"), ("content-length", "3")],
        ] {
            assert!(wish(lines).is_none(), "{lines:?}");
        }
    }

    #[test]
    fn an_extended_connect_becomes_a_get_and_a_protocol_that_is_not_allowed_is_refused() {
        let connect = |protocol| {
            let mut request = http::Request::connect("http://a.example/chat").body(()).unwrap();
            request.extensions_mut().insert(Protocol::from_static(protocol));
            request.into_parts().0
        };
        for (protocol, granted) in [("websocket", true), ("connect-udp", false)] {
            let mut head = connect(protocol);
            let extended = unfold(&mut head);
            assert_eq!(head.method, Method::GET);
            let wish = wished(&mut head, extended.as_ref(), &["websocket".into()], || [7; 2]);
            assert_eq!(wish.is_ok_and(|wish| wish.is_some()), granted, "{protocol}");
        }
    }
}
