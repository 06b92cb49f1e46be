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
    rc::Rc,
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
    Address, Outcome,
    limits::{HEAD_BYTES_MAX, HEADER_FIELDS_MAX},
};

use super::{
    body::{ClientSide, RequestBody},
    resend::{Noted, Traffic},
    stream::Stream,
    timer::LazyTimer,
};

/// Why no response came.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The endpoint closed the connection before it took the request, or it may have: the same request may
    /// go out again on another connection.
    Again(Box<Request<RequestBody>>),
    /// The exchange failed.
    Failed(hyper::Error),
    /// A deadline passed.
    Late(Outcome),
}

/// How long the head of a response may take.
#[derive(Debug)]
pub(crate) struct Patience<'a> {
    /// From the moment that the endpoint has the request.
    pub(crate) header: Option<Duration>,
    /// For the whole exchange.
    pub(crate) total: Option<Instant>,
    /// The client, if it sends a body.
    pub(crate) client: Option<&'a ClientSide>,
}

impl Patience<'_> {
    /// When it ends, and as what, for a request that began to go out at `began`.
    fn deadline(&self, began: Instant) -> Option<(Instant, Outcome)> {
        // While the client owes a piece of its body, the endpoint owes nothing.
        let owed_since = self.client.map_or(Some(began), |client| client.endpoint_owes_since(began));
        let header =
            owed_since.zip(self.header).map(|(since, limit)| (since + limit, Outcome::HeaderTimeout));
        let total = self.total.map(|deadline| (deadline, Outcome::TotalTimeout));
        header.into_iter().chain(total).min_by_key(|(deadline, _)| *deadline)
    }
}

/// An open connection to an endpoint.
pub(crate) struct Upstream {
    sender: SendRequest<RequestBody>,
    driver: Connection<TokioIo<Noted>, RequestBody>,
    traffic: Rc<Traffic>,
    ended: bool,
    /// Its framing was ambiguous: the next answer on it might be a part of this one.
    retired: bool,
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
        let traffic = Rc::<Traffic>::default();
        let io = TokioIo::new(Noted::new(stream, traffic.clone()));
        let (sender, driver) = builder.handshake(io).await.map_err(io::Error::other)?;
        let timer = LazyTimer::default();
        Ok(Box::new(Self { sender, driver, traffic, ended: false, retired: false, timer, idle_since: None }))
    }

    /// Whether this connection has served a request before.
    pub(crate) fn is_reused(&self) -> bool {
        self.idle_since.is_some()
    }

    /// Sends a request at `now` and waits for the response's head.
    pub(crate) async fn send(
        &mut self,
        request: Request<RequestBody>,
        now: Instant,
        patience: &Patience<'_>,
    ) -> Result<Response<Incoming>, SendError> {
        // On a fresh connection there was no idle time in which a close could cross the request.
        let repeatable = self.is_reused() && request.method().is_idempotent() && patience.client.is_none();
        let traffic = &self.traffic;
        traffic.begin(repeatable);
        let mut answer = pin!(self.sender.try_send_request(request));
        let (driver, ended, timer) = (&mut self.driver, &mut self.ended, &mut self.timer);
        std::future::poll_fn(|cx| {
            drive(driver, ended, cx);
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer.map_err(|mut failed| {
                    match failed.take_message().or_else(|| traffic.request()) {
                        Some(request) => SendError::Again(Box::new(request)),
                        None => SendError::Failed(failed.into_error()),
                    }
                }));
            }
            match patience.deadline(now) {
                Some((deadline, late)) => timer.poll(deadline, cx).map(|()| Err(SendError::Late(late))),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Lets the connection serve no further request.
    pub(crate) fn retire(&mut self) {
        self.retired = true;
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
        !self.ended && !self.retired && self.sender.is_ready()
    }
}

fn drive(driver: &mut Connection<TokioIo<Noted>, RequestBody>, ended: &mut bool, cx: &mut Context<'_>) {
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
    keep_alive: Duration,
}

impl Pool {
    /// A pool that keeps up to `idle_max` connections, each unused for less than `keep_alive`.
    pub(crate) fn new(address: Address, idle_max: usize, keep_alive: Duration) -> Self {
        Self { address, idle: RefCell::new(Vec::new()), idle_max, keep_alive }
    }

    /// The endpoint's address.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The connection that was used last and is still good; those that are not go.
    pub(crate) fn checkout(&self, now: Instant) -> Option<Box<Upstream>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(mut upstream) = idle.pop() {
            if self.is_fresh(&mut upstream, now) {
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

    /// Closes connections that were not used for too long, and those that the endpoint has closed.
    pub(crate) fn sweep(&self, now: Instant) {
        self.idle.borrow_mut().retain_mut(|upstream| self.is_fresh(upstream, now));
    }

    fn is_fresh(&self, upstream: &mut Upstream, now: Instant) -> bool {
        let unused = |since| now.saturating_duration_since(since);
        upstream.idle_since.is_some_and(|since| unused(since) < self.keep_alive) && upstream.is_ready()
    }

    /// How many wait.
    pub(crate) fn idle(&self) -> usize {
        self.idle.borrow().len()
    }
}
