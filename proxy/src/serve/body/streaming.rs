//! An endpoint's body, and what ends with it.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use serin_config::Outcome;
use serin_split::classify;

use super::BoxError;
use crate::{
    clock,
    serve::{
        injected::Throttle,
        record::Exchange,
        upstream::{Pool, Upstream},
    },
};

/// Time limits while a body streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamLimits {
    /// Between two pieces.
    pub(crate) idle: Option<Duration>,
    /// For the whole exchange.
    pub(crate) total: Option<Instant>,
    /// Bytes a second, for a fault that was injected.
    pub(crate) throttle: Option<u32>,
}

/// An endpoint's body, with the connection that it comes over and the attempt that it ends.
#[derive(Debug)]
pub(crate) struct Streaming {
    pub(super) incoming: Incoming,
    /// Absent once the body has ended.
    running: Option<(Upstream, Exchange)>,
    pool: Rc<Pool>,
    outcome: Outcome,
    /// A gRPC response has its status in its trailers.
    grpc: bool,
    limits: StreamLimits,
    /// When the wait for the next piece began; none while pieces come without one.
    waiting_since: Option<Instant>,
    has_waited: bool,
    throttle: Option<Box<Throttle>>,
}

impl Streaming {
    /// Begins to stream. `outcome` is what it will be if the body comes to its end.
    pub(crate) fn begin(
        incoming: Incoming,
        (upstream, exchange): (Upstream, Exchange),
        pool: Rc<Pool>,
        (outcome, grpc): (Outcome, bool),
        limits: StreamLimits,
    ) -> Self {
        let running = Some((upstream, exchange));
        let throttle = limits.throttle.map(|rate| Box::new(Throttle::new(rate)));
        let (waiting_since, has_waited) = (None, false);
        let mut body =
            Self { incoming, running, pool, outcome, grpc, limits, waiting_since, has_waited, throttle };
        if body.incoming.is_end_stream() {
            body.complete();
        }
        body
    }

    /// The body has come whole: count the attempt, and keep the connection for the next.
    fn complete(&mut self) {
        if let Some((upstream, mut exchange)) = self.running.take() {
            let now = clock::now();
            if !self.has_waited {
                exchange.answered_at_once(now);
            }
            // A gRPC response without a status broke off, whatever its HTTP status says.
            let unfinished = self.grpc && self.outcome == Outcome::Ok;
            exchange.finish(if unfinished { Outcome::GrpcError } else { self.outcome }, now);
            self.pool.put_back(upstream, now);
        }
    }

    /// The body was cut short: count that, and close the connection.
    fn fail(&mut self, outcome: Outcome) {
        if let Some((_closed, exchange)) = self.running.take() {
            exchange.finish(outcome, clock::now());
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(mut throttle) = self.throttle.take() else { return self.poll_piece(cx) };
        let polled = throttle.poll(cx, |cx| self.poll_piece(cx));
        self.throttle = Some(throttle);
        polled
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream() && self.throttle.as_ref().is_none_or(|throttle| throttle.is_empty())
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_pending() {
            let Some((upstream, _)) = &mut self.running else { return Poll::Ready(None) };
            upstream.drive(cx);
            polled = Pin::new(&mut self.incoming).poll_frame(cx);
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting_since = None;
                if let (true, Some(trailers)) = (self.grpc, frame.trailers_ref()) {
                    self.read_status(trailers);
                }
                // Nobody asks for what comes after trailers.
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.complete();
                } else if self.limits.total.is_some_and(|deadline| clock::now() >= deadline) {
                    // Pieces that never have to be waited for would outrun the timer.
                    return Poll::Ready(Some(Err(self.give_up(Outcome::TotalTimeout))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.fail(Outcome::ResetMidBody);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                self.complete();
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_limits(cx).map(|error| Some(Err(error))),
        }
    }

    fn read_status(&mut self, headers: &http::HeaderMap) {
        if let Some(outcome) = classify::grpc(headers) {
            (self.grpc, self.outcome) = (false, outcome);
        }
    }

    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<BoxError> {
        self.has_waited = true;
        let since = *self.waiting_since.get_or_insert_with(clock::now);
        let idle = self.limits.idle.map(|idle| (since + idle, Outcome::IdleTimeout));
        let total = self.limits.total.map(|deadline| (deadline, Outcome::TotalTimeout));
        let Some((deadline, outcome)) = idle.into_iter().chain(total).min_by_key(|(deadline, _)| *deadline)
        else {
            return Poll::Pending;
        };
        let Some((upstream, _)) = &mut self.running else { return Poll::Pending };
        upstream.poll_deadline(deadline, cx).map(|()| self.give_up(outcome))
    }

    fn give_up(&mut self, outcome: Outcome) -> BoxError {
        self.fail(outcome);
        format!("the endpoint's body was given up: {}", outcome.label()).into()
    }
}
