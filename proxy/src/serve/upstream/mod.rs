//! Connections to endpoints: one [`Pool`] for each endpoint and worker.

mod connect;
mod http1;
mod http2;
mod place;
mod pool;
mod resend;
mod translate;

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::{Request, Response, body::Incoming};
use serin_config::Outcome;

use self::{
    http1::Http1,
    http2::{Http2, Share},
};
pub(crate) use self::{
    place::Place,
    pool::{Bounds, Pool, Pools, Target},
};
use super::{
    body::{ClientSide, RequestBody},
    stream::Stream,
};

/// Why no response came.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The endpoint closed the connection before it took the request, or it may have: the same request may
    /// go out again on another connection.
    Again(Box<Request<RequestBody>>),
    /// The endpoint said that it has done nothing with the request; it is here if it had no body.
    Refused(Option<Box<Request<RequestBody>>>),
    /// The exchange failed.
    Failed(hyper::Error),
    /// A deadline passed.
    Late(Outcome),
}

/// How long the head of a response may take.
#[derive(Debug)]
pub(crate) struct Patience<'a> {
    /// For a connection to be ready for the request.
    pub(crate) connect: Duration,
    /// From the moment that the endpoint has the request.
    pub(crate) header: Option<Duration>,
    /// For the whole exchange.
    pub(crate) total: Option<Instant>,
    /// The client, if it sends a body.
    pub(crate) client: Option<&'a ClientSide>,
}

impl Patience<'_> {
    /// When it ends, and as what, for a request that began to go out at `began`.
    pub(crate) fn deadline(&self, began: Instant) -> Option<(Instant, Outcome)> {
        if self.client.is_some_and(ClientSide::is_too_long) {
            return Some((began, Outcome::ClientCancel));
        }
        // While the client owes a piece of its body, the endpoint owes nothing.
        let owed_since = self.client.map_or(Some(began), |client| client.endpoint_owes_since(began));
        let header =
            owed_since.zip(self.header).map(|(since, limit)| (since + limit, Outcome::HeaderTimeout));
        let total = self.total.map(|deadline| (deadline, Outcome::TotalTimeout));
        header.into_iter().chain(total).min_by_key(|(deadline, _)| *deadline)
    }
}

/// A connection for one exchange.
#[derive(Debug)]
pub(crate) enum Upstream {
    /// The exchange has the connection to itself.
    Http1(Box<Http1>),
    /// The exchange has a share of it.
    Http2(Box<Share>),
}

impl Upstream {
    /// Whether the connection has served a request before.
    pub(crate) fn is_reused(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_reused(),
            Self::Http2(share) => share.is_reused(),
        }
    }

    /// Sends a request at `now` and waits for the response's head.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
        now: Instant,
        patience: &Patience<'_>,
    ) -> Result<Response<Incoming>, SendError> {
        match self {
            Self::Http1(connection) => connection.send(request, now, patience).await,
            Self::Http2(share) => share.send(request, now, patience).await,
        }
    }

    /// Whether other exchanges are on the same connection.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// The socket of a connection that has changed to another protocol, and what was read of it already; none
    /// if the connection is shared, which can't change.
    pub(crate) fn into_stream(self) -> Option<(Stream, Bytes)> {
        match self {
            Self::Http1(connection) => Some(connection.into_stream()),
            Self::Http2(_) => None,
        }
    }

    /// Lets the connection serve no further request.
    pub(crate) fn retire(&mut self) {
        match self {
            Self::Http1(connection) => connection.retire(),
            Self::Http2(share) => share.retire(),
        }
    }

    /// Moves bytes; to be polled while a body streams.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http1(connection) => connection.drive(cx),
            // Its own task does that.
            Self::Http2(_) => {}
        }
    }

    /// Ready once `deadline` has passed.
    pub(crate) fn poll_deadline(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1(connection) => connection.poll_deadline(deadline, cx),
            Self::Http2(share) => share.poll_deadline(deadline, cx),
        }
    }
}
