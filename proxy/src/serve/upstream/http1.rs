//! A connection of HTTP/1.1, which serves one request at a time.
//!
//! It is driven by whoever uses it: the task that serves the client polls the HTTP machinery of the
//! endpoint's side itself, so a request needs no second task, no channel between threads and no wake-up of
//! its own. While a connection waits in the pool nobody polls it; the runtime still notes in its readiness
//! that the endpoint has closed it, which [`super::Pool::checkout`] sees without a system call.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use http_body::Body;
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use serin_config::limits::{HEAD_BYTES_MAX, HEADER_FIELDS_MAX};

use super::{
    Patience, SendError,
    resend::{Noted, Traffic},
};
use crate::serve::{body::RequestBody, stream::Stream, timer::LazyTimer};

/// An open connection to an endpoint.
pub(crate) struct Http1 {
    sender: SendRequest<RequestBody>,
    driver: Connection<TokioIo<Noted>, RequestBody>,
    traffic: Rc<Traffic>,
    ended: bool,
    /// Its framing was ambiguous: the next answer on it might be a part of this one.
    retired: bool,
    timer: LazyTimer,
    pub(super) idle_since: Option<Instant>,
}

impl std::fmt::Debug for Http1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http1").field("ended", &self.ended).field("idle_since", &self.idle_since).finish()
    }
}

impl Http1 {
    /// Begins to speak on a connected stream.
    pub(super) async fn begin(stream: Stream) -> io::Result<Box<Self>> {
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
        let bodiless = patience.client.is_none() && request.body().is_end_stream();
        let repeatable = self.is_reused() && request.method().is_idempotent() && bodiless;
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

    /// The socket, and what was read of it beyond the last head.
    pub(super) fn into_stream(self) -> (Stream, Bytes) {
        let parts = self.driver.into_parts();
        (parts.io.into_inner().into_inner(), parts.read_buf)
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
    pub(super) fn is_ready(&mut self) -> bool {
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
