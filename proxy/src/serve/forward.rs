//! To the endpoint and back: the head that goes out, the wait for an answer, the head that comes in.

use std::{rc::Rc, time::Instant};

use http::{
    HeaderMap, HeaderValue, Request, Response, Uri, Version,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    request, response,
    uri::PathAndQuery,
};
use http_body::Body;
use hyper::body::Incoming;
use serin_config::{Outcome, Timeouts, limits::STALE_CONNECTION_RETRIES_MAX};
use serin_split::{classify, forwarded, hop, trace, vet};

use super::{
    body::{ClientSide, RequestBody, ResponseBody, StreamLimits, Streaming},
    fault,
    record::Exchange,
    upstream::{Patience, Pool, SendError, Upstream},
    worker::{Peer, Worker},
};
use crate::clock;

/// Sends a prepared request on the exchange's lane, and streams the answer back.
pub(crate) async fn forward(
    mut exchange: Exchange,
    request: Request<RequestBody>,
    timeouts: &Timeouts,
    client: Option<&ClientSide>,
) -> Response<ResponseBody> {
    let total = timeouts.total.map(|total| exchange.started() + total);
    let Some(pool) = exchange.lane().next_pool().cloned() else { return fail(exchange, Outcome::NoEndpoint) };
    let patience = Patience { header: timeouts.header, total, client };
    let sent = attempt(&mut exchange, request, &pool, timeouts, &patience).await;
    let (mut upstream, response) = match sent {
        Ok(answered) => answered,
        Err(_) if client.is_some_and(ClientSide::has_failed) => return fail(exchange, Outcome::ClientCancel),
        Err(outcome) => return fail(exchange, outcome),
    };
    if let Some(client) = client {
        client.answered();
    }
    let came_at = clock::now();
    exchange.headers_came(came_at);
    let (mut head, incoming) = response.into_parts();
    let verdict = judge(&head);
    if head.headers.contains_key(TRANSFER_ENCODING) && head.headers.remove(CONTENT_LENGTH).is_some() {
        // RFC 9112, 6.3: the coding overrides a length, which must not be passed on; who sends both may be up
        // to something.
        upstream.retire();
    }
    clean(&mut head);
    let limits = StreamLimits { idle: timeouts.idle, total };
    let body = Streaming::begin(incoming, (upstream, exchange), pool, verdict, limits);
    Response::from_parts(head, ResponseBody::streaming(body))
}

fn fail(exchange: Exchange, outcome: Outcome) -> Response<ResponseBody> {
    exchange.finish(outcome, clock::now());
    fault::response(outcome)
}

/// Over a pooled connection if there is one; a request that crossed with the endpoint's closing of it goes
/// out again on another.
async fn attempt(
    exchange: &mut Exchange,
    mut request: Request<RequestBody>,
    pool: &Rc<Pool>,
    timeouts: &Timeouts,
    patience: &Patience<'_>,
) -> Result<(Box<Upstream>, Response<Incoming>), Outcome> {
    for again in 0.. {
        let pooled =
            if again < STALE_CONNECTION_RETRIES_MAX { pool.checkout(exchange.started()) } else { None };
        let mut now = clock::now();
        if again == 0 {
            exchange.handed_over(now);
        }
        let mut upstream = match pooled {
            Some(upstream) => upstream,
            None => {
                let upstream = connect(pool, timeouts, patience.total, now).await?;
                now = clock::now();
                upstream
            }
        };
        match upstream.send(request, now, patience).await {
            // Nobody asked for another protocol, so these are no bytes of HTTP.
            Ok(response) if response.status().is_informational() => return Err(Outcome::ProtocolError),
            // Only the chunks are undone here: any other coding would be passed on without its name.
            Ok(response) if !vet::is_at_most_chunked(response.headers()) => {
                return Err(Outcome::ProtocolError);
            }
            Ok(response) => return Ok((upstream, response)),
            Err(SendError::Again(same)) if upstream.is_reused() => request = *same,
            Err(SendError::Again(_)) => return Err(Outcome::ResetBeforeHeaders),
            Err(SendError::Late(outcome)) => return Err(outcome),
            Err(SendError::Failed(error)) if error.is_parse() => return Err(Outcome::ProtocolError),
            Err(SendError::Failed(_)) => return Err(Outcome::ResetBeforeHeaders),
        }
    }
    Err(Outcome::ResetBeforeHeaders)
}

async fn connect(
    pool: &Pool,
    timeouts: &Timeouts,
    total: Option<Instant>,
    now: Instant,
) -> Result<Box<Upstream>, Outcome> {
    let own = now + timeouts.connect;
    let (deadline, late) = match total {
        Some(total) if total < own => (total, Outcome::TotalTimeout),
        _ => (own, Outcome::ConnectTimeout),
    };
    match tokio::time::timeout_at(deadline.into(), Upstream::connect(pool.address())).await {
        Ok(Ok(upstream)) => Ok(upstream),
        Ok(Err(error)) => {
            tracing::debug!(endpoint = %pool.address(), %error, "connection refused");
            Err(Outcome::ConnectFail)
        }
        Err(_) => Err(late),
    }
}

/// The head for the endpoint: the client's, without what belongs to its hop, and with what the endpoint
/// should know of the client.
pub(crate) fn prepare(
    mut head: request::Parts,
    authority: Option<HeaderValue>,
    body: RequestBody,
    peer: &Peer,
    worker: &Worker,
) -> Request<RequestBody> {
    if let Some(authority) = authority {
        head.headers.insert(HOST, authority);
    }
    join_cookies(&mut head.headers);
    forwarded::write(&mut head.headers, peer.header.as_ref(), peer.trusted);
    if hop::strip(&mut head.headers) {
        hop::take_trailers(&mut head.headers);
    }
    trace::propagate(
        &mut head.headers,
        || [worker.random(), worker.random(), worker.random()],
        || worker.chance(worker.telemetry.trace_sampling.ppm()),
    );
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
fn judge(head: &response::Parts) -> (Outcome, bool) {
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
fn clean(head: &mut response::Parts) {
    hop::strip(&mut head.headers);
    head.extensions.clear();
    head.version = Version::HTTP_11;
}
