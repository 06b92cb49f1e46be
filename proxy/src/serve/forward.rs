//! From a version that was picked to an answer for the client: the loop over attempts.

use std::rc::Rc;

use http::{
    Request, Response,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use serin_config::{Outcome, Timeouts};

use super::{
    attempt::{self, Answer, Failure},
    body::{ClientSide, RequestBody, ResponseBody, StreamLimits, Streaming},
    fault, head,
    record::Exchange,
    upstream::Patience,
};
use crate::clock;

/// Sends a prepared request on the exchange's lane, and streams the answer back.
pub(crate) async fn forward(
    mut exchange: Exchange,
    request: Request<RequestBody>,
    timeouts: &Timeouts,
    client: Option<Rc<ClientSide>>,
) -> Response<ResponseBody> {
    let total = timeouts.total.map(|total| exchange.started() + total);
    let client = client.as_deref();
    let patience = Patience { connect: timeouts.connect, header: timeouts.header, total, client };
    match attempt::attempt(&mut exchange, request, &patience).await {
        Ok(answer) => {
            if let Some(client) = client {
                client.answered();
            }
            stream(exchange, answer, StreamLimits { idle: timeouts.idle, total })
        }
        Err(_) if client.is_some_and(ClientSide::has_failed) => fail(exchange, Outcome::ClientCancel),
        Err(Failure { outcome, .. }) => fail(exchange, outcome),
    }
}

/// Passes the answer on: its head now, its body as it comes.
fn stream(mut exchange: Exchange, answer: Answer, limits: StreamLimits) -> Response<ResponseBody> {
    let Answer { mut upstream, response, pool } = answer;
    exchange.headers_came(clock::now());
    let (mut head, incoming) = response.into_parts();
    let verdict = head::judge(&head);
    if head.headers.contains_key(TRANSFER_ENCODING) && head.headers.remove(CONTENT_LENGTH).is_some() {
        // RFC 9112, 6.3: the coding overrides a length, which must not be passed on; who sends both may be up
        // to something.
        upstream.retire();
    }
    head::clean(&mut head);
    let body = Streaming::begin(incoming, (upstream, exchange), pool, verdict, limits);
    Response::from_parts(head, ResponseBody::streaming(body))
}

fn fail(exchange: Exchange, outcome: Outcome) -> Response<ResponseBody> {
    exchange.finish(outcome, clock::now());
    fault::response(outcome)
}
