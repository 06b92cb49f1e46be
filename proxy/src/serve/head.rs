//! Heads on their way: what the endpoint gets to see of the client's, and the client of the endpoint's.

use http::{
    HeaderMap, HeaderValue, Request, Uri, Version,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    request, response,
    uri::PathAndQuery,
};
use http_body::Body;
use serin_config::Outcome;
use serin_split::{classify, client_cert, forwarded, hop};

use super::{
    body::RequestBody,
    story::Trail,
    worker::{Peer, Worker},
};

/// The head for the endpoint: the client's, without what belongs to its hop, and with what the endpoint
/// should know of the client.
pub(crate) fn prepare(
    mut head: request::Parts,
    authority: Option<HeaderValue>,
    body: RequestBody,
    peer: &Peer,
    trail: &Trail,
    worker: &Worker,
) -> Request<RequestBody> {
    if let Some(authority) = authority {
        head.headers.insert(HOST, authority);
    }
    join_cookies(&mut head.headers);
    say_length_once(&mut head.headers);
    forwarded::write(&mut head.headers, peer.header.as_ref(), peer.trusted, peer.secure);
    let proved = peer.identity.as_ref().and_then(|identity| identity.header.as_ref());
    client_cert::write(&mut head.headers, proved);
    if hop::strip(&mut head.headers) {
        hop::take_trailers(&mut head.headers);
    }
    trail.write(&mut head.headers, worker);
    if !body.is_end_stream() && body.size_hint().exact().is_none() {
        // The client side would send a GET with a body of unknown length as one without.
        head.headers.remove(CONTENT_LENGTH);
        head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if head.uri.authority().is_some() {
        let path = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        head.uri = Uri::from(path);
    }
    head.version = Version::HTTP_11;
    head.extensions.clear();
    Request::from_parts(head, body)
}

/// HTTP/2 may spread cookies over several fields; HTTP/1.1 must not (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(http::header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(joined) {
        headers.insert(http::header::COOKIE, value);
    }
}

/// What the response's head says of the attempt, and whether gRPC trailers will have the last word.
pub(crate) fn judge(head: &response::Parts) -> (Outcome, bool) {
    let by_status = classify::status(head.status);
    if by_status != Outcome::Ok || !classify::is_grpc(&head.headers) {
        return (by_status, false);
    }
    match classify::grpc(&head.headers) {
        Some(outcome) => (outcome, false),
        None => (Outcome::Ok, true),
    }
}

/// The head for the client: the endpoint's, without what belongs to its hop.
pub(crate) fn clean(head: &mut response::Parts) {
    hop::strip(&mut head.headers);
    say_length_once(&mut head.headers);
    head.extensions.clear();
    head.version = Version::HTTP_11;
}

/// A length that is said several times over, always the same, is passed on once (RFC 9110, 8.6); one that
/// contradicts itself did not get here.
fn say_length_once(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lines.next() else { return };
    if lines.next().is_none() && !first.as_bytes().contains(&b',') {
        return;
    }
    let length = first.as_bytes().split(|b| *b == b',').next().unwrap_or_default().trim_ascii();
    if let Ok(length) = HeaderValue::from_bytes(length) {
        headers.insert(CONTENT_LENGTH, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_said_once() {
        for lines in [&["5"][..], &["5", "5"], &["5, 5"], &["5,5", "5"]] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_LENGTH, line.parse().unwrap());
            }
            say_length_once(&mut headers);
            assert_eq!(headers.get_all(CONTENT_LENGTH).iter().collect::<Vec<_>>(), ["5"], "{lines:?}");
        }
    }
}
