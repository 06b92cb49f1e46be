//! From a version that was picked to an answer for the client: the loop over attempts.

use std::{rc::Rc, time::Duration};

use http::{
    HeaderValue, Request, Response,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use serin_config::{Outcome, Timeouts};
use serin_split::balance::Tried;

use super::{
    attempt::{self, Answer, Failure},
    body::{ClientSide, RequestBody, ResponseBody, StreamLimits, Streaming},
    fault, head,
    record::Exchange,
    tunnel::{Grant, Tunnel, Wish},
    upstream::Patience,
    watch::Activity,
};
use crate::clock;

/// Sends a prepared request on the exchange's lane, and streams the answer back.
pub(crate) async fn forward(
    mut exchange: Exchange,
    request: Request<RequestBody>,
    timeouts: &Timeouts,
    client: Option<Rc<ClientSide>>,
    wish: Option<Wish>,
    activity: &Rc<Activity>,
) -> Response<ResponseBody> {
    let total = timeouts.total.map(|total| exchange.started() + total);
    let client = client.as_deref();
    let patience = Patience { connect: timeouts.connect, header: timeouts.header, total, client };
    let mut tried = Tried::default();
    match attempt::attempt(&mut exchange, request, &patience, wish.as_ref(), &mut tried).await {
        Ok(answer) => {
            if let Some(client) = client {
                client.answered();
            }
            match (wish, &answer.grant) {
                (Some(wish), Some(Grant::Granted(_))) => {
                    tunnel(exchange, answer, wish, timeouts.tunnel, activity)
                }
                (Some(_), _) => {
                    hang_up(stream(exchange, answer, StreamLimits { idle: timeouts.idle, total }))
                }
                (None, _) => stream(exchange, answer, StreamLimits { idle: timeouts.idle, total }),
            }
        }
        Err(_) if client.is_some_and(ClientSide::has_failed) => fail(exchange, Outcome::ClientCancel),
        Err(Failure { outcome, .. }) => fail(exchange, outcome),
    }
}

/// Joins the client's connection and the endpoint's.
fn tunnel(
    mut exchange: Exchange,
    answer: Answer,
    wish: Wish,
    idle: Option<Duration>,
    activity: &Rc<Activity>,
) -> Response<ResponseBody> {
    exchange.headers_came(&answer.response, clock::now());
    let Answer { upstream, response, grant, .. } = answer;
    let stream = if let Some(Grant::Granted(stream)) = grant { stream } else { None };
    let (mut head, _) = response.into_parts();
    head::clean(&mut head);
    Tunnel::new(upstream, stream, exchange, idle).open(wish, &mut head, activity);
    Response::from_parts(head, ResponseBody::none())
}

/// The client's connection ends with this answer, as the endpoint's does.
fn hang_up(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Passes the answer on: its head now, its body as it comes.
fn stream(mut exchange: Exchange, answer: Answer, limits: StreamLimits) -> Response<ResponseBody> {
    let Answer { mut upstream, response, pool, grant } = answer;
    exchange.headers_came(&response, clock::now());
    let (mut head, incoming) = response.into_parts();
    let verdict = head::judge(&head);
    if grant.is_some() && !upstream.is_shared() {
        upstream.retire();
    }
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
