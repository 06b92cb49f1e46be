//! A copy on its way: to an endpoint, and its answer to the end.

use std::{future::poll_fn, pin::Pin, time::Instant};

use http::{
    Request, Response,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body::Body;
use hyper::body::Incoming;
use serin_config::{
    Outcome,
    limits::{MIRROR_ANSWER_MAX, STALE_CONNECTION_RETRIES_MAX},
};
use serin_split::{balance::Tried, classify, mirror::Seen};

use super::{Mirror, micros_since};
use crate::{
    clock,
    serve::{
        body::RequestBody,
        head,
        upstream::{Patience, Pool, SendError, Upstream},
    },
};

/// Sends the copy and reads its answer: how it ended, and what to compare.
pub(super) async fn exchange(
    mirror: &Mirror,
    mut request: Request<RequestBody>,
    started: Instant,
) -> Result<(Outcome, Option<Seen>), Outcome> {
    // How copies fare says nothing of endpoints; that they are under way does, for as long as this is held.
    let chosen = mirror.backend.choice.choose(started, None, &Tried::default()).ok_or(Outcome::NoEndpoint)?;
    let pool = chosen.pool();
    let total = Some(started + mirror.timeout);
    let patience = Patience { connect: mirror.connect, header: None, total, client: None };
    for again in 0..=STALE_CONNECTION_RETRIES_MAX {
        let pooled = if again < STALE_CONNECTION_RETRIES_MAX { pool.checkout(started) } else { None };
        let mut upstream = match pooled {
            Some(upstream) => upstream,
            None => pool.connect(&patience, clock::now()).await?,
        };
        match upstream.send(request, clock::now(), &patience).await {
            Ok(response) if response.status().is_informational() => return Err(Outcome::ProtocolError),
            Ok(response) => return Ok(read(response, upstream, pool, started).await),
            Err(SendError::Again(same)) if upstream.is_reused() => request = *same,
            Err(SendError::Late(outcome)) => return Err(outcome),
            Err(SendError::Failed(error)) if error.is_parse() => return Err(Outcome::ProtocolError),
            Err(SendError::Again(_) | SendError::Refused(_) | SendError::Failed(_)) => {
                return Err(Outcome::ResetBeforeHeaders);
            }
        }
    }
    Err(Outcome::ResetBeforeHeaders)
}

/// Reads an answer to its end; one that is too long is cut, and not compared.
async fn read(
    response: Response<Incoming>,
    mut upstream: Upstream,
    pool: &Pool,
    started: Instant,
) -> (Outcome, Option<Seen>) {
    let headers_us = micros_since(started);
    let (head, mut incoming) = response.into_parts();
    let (mut outcome, mut grpc) = head::judge(&head);
    if head.headers.contains_key(TRANSFER_ENCODING) && head.headers.contains_key(CONTENT_LENGTH) {
        upstream.retire();
    }
    let mut length = 0;
    loop {
        let piece = poll_fn(|cx| {
            let polled = Pin::new(&mut incoming).poll_frame(cx);
            if polled.is_ready() {
                return polled;
            }
            upstream.drive(cx);
            Pin::new(&mut incoming).poll_frame(cx)
        });
        match piece.await {
            None => break,
            Some(Err(_)) => return (Outcome::ResetMidBody, None),
            Some(Ok(frame)) => {
                length += frame.data_ref().map_or(0, |data| data.len() as u64);
                if let Some(last) = frame.trailers_ref().filter(|_| grpc).and_then(classify::grpc) {
                    (outcome, grpc) = (last, false);
                }
            }
        }
        if length > MIRROR_ANSWER_MAX {
            return (outcome, None);
        }
    }
    pool.put_back(upstream, clock::now());
    let outcome = if grpc && outcome == Outcome::Ok { Outcome::GrpcError } else { outcome };
    (outcome, Some(Seen { status: head.status.as_u16(), length, headers_us }))
}
