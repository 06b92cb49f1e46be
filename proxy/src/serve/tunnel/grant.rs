//! What an endpoint says to a wish.

use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, TRANSFER_ENCODING, UPGRADE},
    response,
};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use serin_config::Outcome;

use super::{Wish, websocket};
use crate::serve::upstream::Upstream;

/// How a request with a wish was answered.
#[derive(Debug)]
pub(crate) enum Grant {
    /// The tunnel is open on the endpoint's side; over HTTP/2 it is a stream.
    Granted(Option<OnUpgrade>),
    /// An ordinary answer. The connections end with it (RFC 9931): who thinks that the other has changed
    /// protocols would read the next request as something else.
    Refused,
}

/// Reads the answer to a wish. Not every change of protocols is the one that was asked for.
pub(crate) fn granted(
    wish: &Wish,
    upstream: &Upstream,
    response: &mut Response<Incoming>,
) -> Result<Grant, Outcome> {
    if upstream.is_shared() {
        return Ok(match response.status() {
            StatusCode::OK => Grant::Granted(response.extensions_mut().remove::<OnUpgrade>()),
            _ => Grant::Refused,
        });
    }
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS if agrees(wish, response.headers()) => Ok(Grant::Granted(None)),
        status if status.is_informational() => Err(Outcome::ProtocolError),
        _ => Ok(Grant::Refused),
    }
}

fn agrees(wish: &Wish, headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let (Some(protocol), None) = (protocols.next(), protocols.next()) else { return false };
    let same = protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(wish.protocol().as_bytes());
    // A client of HTTP/1.1 checks the proof of its own key itself; the key of one of HTTP/2 was ours.
    let proven = wish.stream.is_none()
        || wish.key.as_ref().is_none_or(|key| {
            headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|proof| *proof == websocket::accept(key))
        });
    same && proven
}

/// The head that tells the client that the tunnel is open, in its own protocol.
pub(super) fn head_for_client(wish: &Wish, from_shared: bool, head: &mut response::Parts) {
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(TRANSFER_ENCODING);
    if wish.stream.is_some() {
        head.status = StatusCode::OK;
        head.headers.remove(SEC_WEBSOCKET_ACCEPT);
        return;
    }
    head.status = StatusCode::SWITCHING_PROTOCOLS;
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(UPGRADE, wish.protocol().clone());
    if let (true, Some(key)) = (from_shared, &wish.key) {
        head.headers.insert(SEC_WEBSOCKET_ACCEPT, websocket::accept(key));
    }
}
