//! Connections to endpoints: one pool for each endpoint and worker.
//!
//! A connection is driven by whoever uses it: the task that serves the client polls the HTTP machinery of
//! the endpoint's side itself, so a request needs no second task, no channel between threads and no wake-up
//! of its own. While a connection waits in the pool nobody polls it; the runtime still notes in its
//! readiness that the endpoint has closed it, which [`Pool::checkout`] sees without a system call.

use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use serin_config::{
    Address,
    limits::{HEAD_BYTES_MAX, HEADER_FIELDS_MAX},
};

use super::{body::RequestBody, stream::Stream, timer::LazyTimer};

/// Why no response came.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Nothing was written: the same request may go out again on another connection.
    Unsent(Box<Request<RequestBody>>),
    /// The exchange failed.
    Failed(hyper::Error),
    /// The deadline passed.
    Timeout,
}

/// An open connection to an endpoint.
pub(crate) struct Upstream {
    sender: SendRequest<RequestBody>,
    driver: Connection<TokioIo<Stream>, RequestBody>,
    ended: bool,
    timer: LazyTimer,
    idle_since: Option<Instant>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("ended", &self.ended).field("idle_since", &self.idle_since).finish()
    }
}

impl Upstream {
    /// Opens a connection; the caller sets the time limit.
    pub(crate) async fn connect(address: &Address) -> io::Result<Box<Self>> {
        let stream = Stream::connect(address).await?;
        let mut builder = http1::Builder::new();
        builder.max_headers(HEADER_FIELDS_MAX).max_buf_size(HEAD_BYTES_MAX).max_header_size(HEAD_BYTES_MAX);
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        Ok(Box::new(Self { sender, driver, ended: false, timer: LazyTimer::default(), idle_since: None }))
    }

    /// Whether this connection has served a request before.
    pub(crate) fn is_reused(&self) -> bool {
        self.idle_since.is_some()
    }

    /// Sends a request and waits for the response's head, until `deadline`.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
        deadline: Option<Instant>,
    ) -> Result<Response<Incoming>, SendError> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let (driver, ended, timer) = (&mut self.driver, &mut self.ended, &mut self.timer);
        std::future::poll_fn(|cx| {
            drive(driver, ended, cx);
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer.map_err(|mut failed| match failed.take_message() {
                    Some(unsent) => SendError::Unsent(Box::new(unsent)),
                    None => SendError::Failed(failed.into_error()),
                }));
            }
            match deadline {
                Some(deadline) => timer.poll(deadline, cx).map(|()| Err(SendError::Timeout)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Moves bytes; to be polled while a body streams.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, &mut self.ended, cx);
    }

    /// Ready once `deadline` has passed.
    pub(crate) fn poll_deadline(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll(deadline, cx)
    }

    /// Whether the next request could go out now.
    fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }
}

fn drive(driver: &mut Connection<TokioIo<Stream>, RequestBody>, ended: &mut bool, cx: &mut Context<'_>) {
    if !*ended {
        // How it ended reaches whoever waits for the answer or reads the body.
        *ended = Pin::new(driver).poll(cx).is_ready();
    }
}

/// Unused connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    address: Address,
    #[expect(clippy::vec_box, reason = "a connection is several hundred bytes, and moves with each request")]
    idle: RefCell<Vec<Box<Upstream>>>,
    idle_max: usize,
}

impl Pool {
    pub(crate) fn new(address: Address, idle_max: usize) -> Self {
        Self { address, idle: RefCell::new(Vec::new()), idle_max }
    }

    /// The endpoint's address.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The connection that was used last and is still good; those that the endpoint has closed go.
    pub(crate) fn checkout(&self) -> Option<Box<Upstream>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(mut upstream) = idle.pop() {
            if upstream.is_ready() {
                return Some(upstream);
            }
        }
        None
    }

    /// Takes a connection back whose response has ended; one that can't serve another request is closed.
    pub(crate) fn put_back(&self, mut upstream: Box<Upstream>, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.idle_max && upstream.is_ready() {
            upstream.idle_since = Some(now);
            idle.push(upstream);
        }
    }

    /// Closes connections that were not used for `keep_alive`, and those that the endpoint has closed.
    pub(crate) fn sweep(&self, now: Instant, keep_alive: Duration) {
        let fresh = |upstream: &mut Box<Upstream>| {
            upstream.idle_since.is_some_and(|since| now.saturating_duration_since(since) < keep_alive)
                && upstream.is_ready()
        };
        self.idle.borrow_mut().retain_mut(fresh);
    }

    /// How many wait.
    pub(crate) fn idle(&self) -> usize {
        self.idle.borrow().len()
    }
}
