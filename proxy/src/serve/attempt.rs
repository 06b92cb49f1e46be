//! One attempt: an endpoint of the version is chosen, a connection is taken from its pool or opened, the
//! request goes out, and the head of the answer comes in.

use std::rc::Rc;

use http::{Request, Response};
use hyper::body::Incoming;
use serin_config::{Outcome, limits::STALE_CONNECTION_RETRIES_MAX};
use serin_split::{balance::Tried, resilience::retry::Failed, vet};

use super::{
    body::RequestBody,
    record::Exchange,
    tunnel::{Grant, Wish, granted},
    upstream::{Patience, Pool, SendError, Upstream},
};
use crate::clock;

/// The head of an answer, and the connection over which its body comes.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) upstream: Upstream,
    pub(crate) response: Response<Incoming>,
    pub(crate) pool: Rc<Pool>,
    /// What the endpoint said to the client's wish, if there was one.
    pub(crate) grant: Option<Grant>,
}

/// Why no answer came.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the attempt counts as.
    pub(crate) outcome: Outcome,
    /// How it failed, for whoever may try again.
    pub(crate) failed: Failed,
    /// The request, if not one byte of it went out: it may then be sent again, whatever its method.
    pub(crate) unsent: Option<Box<Request<RequestBody>>>,
}

impl Failure {
    fn sent(outcome: Outcome) -> Self {
        Self { outcome, failed: Failed::Without(outcome), unsent: None }
    }

    fn unsent(outcome: Outcome, request: Box<Request<RequestBody>>) -> Self {
        Self { outcome, failed: Failed::Without(outcome), unsent: Some(request) }
    }
}

/// Makes one attempt on the exchange's version, on an endpoint that was not `tried` if there is any.
pub(crate) async fn attempt(
    exchange: &mut Exchange,
    mut request: Request<RequestBody>,
    patience: &Patience<'_>,
    wish: Option<&Wish>,
    tried: &mut Tried,
) -> Result<Answer, Failure> {
    let Some(pool) = exchange.choose(tried) else {
        return Err(Failure::unsent(Outcome::NoEndpoint, Box::new(request)));
    };
    exchange.goes_to(pool.address(), request.headers_mut());
    let (upstream, mut response) = exchanged(exchange, request, &pool, patience).await?;
    let grant = match wish {
        Some(wish) => Some(granted(wish, &upstream, &mut response).map_err(Failure::sent)?),
        // Nobody asked for another protocol, so these are no bytes of HTTP.
        None if response.status().is_informational() => return Err(Failure::sent(Outcome::ProtocolError)),
        None => None,
    };
    Ok(Answer { upstream, response, pool, grant })
}

/// Over a pooled connection if there is one; a request that crossed with the endpoint's closing of it goes
/// out again on another.
async fn exchanged(
    exchange: &mut Exchange,
    mut request: Request<RequestBody>,
    pool: &Rc<Pool>,
    patience: &Patience<'_>,
) -> Result<(Upstream, Response<Incoming>), Failure> {
    for again in 0.. {
        let pooled =
            if again < STALE_CONNECTION_RETRIES_MAX { pool.checkout(exchange.started()) } else { None };
        let mut now = clock::now();
        if again == 0 {
            exchange.handed_over(now);
        }
        let mut upstream = match pooled {
            Some(upstream) => upstream,
            None => match pool.connect(patience, now).await {
                Ok(upstream) => {
                    now = clock::now();
                    upstream
                }
                Err(outcome) => return Err(Failure::unsent(outcome, Box::new(request))),
            },
        };
        match upstream.send(request, now, patience).await {
            // Only the chunks are undone here: any other coding would be passed on without its name.
            Ok(response) if !vet::is_at_most_chunked(response.headers()) => {
                return Err(Failure::sent(Outcome::ProtocolError));
            }
            Ok(response) => return Ok((upstream, response)),
            Err(SendError::Again(same)) if upstream.is_reused() => request = *same,
            // On a fresh connection only what was not written comes back.
            Err(SendError::Again(same)) => {
                let (outcome, failed) = (Outcome::ResetBeforeHeaders, Failed::Unsent);
                return Err(Failure { outcome, failed, unsent: Some(same) });
            }
            Err(SendError::Refused(unsent)) => {
                let (outcome, failed) = (Outcome::ResetBeforeHeaders, Failed::Refused);
                return Err(Failure { outcome, failed, unsent });
            }
            Err(SendError::Late(outcome)) => return Err(Failure::sent(outcome)),
            Err(SendError::Failed(error)) if error.is_parse() => {
                return Err(Failure::sent(Outcome::ProtocolError));
            }
            Err(SendError::Failed(_)) => return Err(Failure::sent(Outcome::ResetBeforeHeaders)),
        }
    }
    Err(Failure::sent(Outcome::ResetBeforeHeaders))
}
