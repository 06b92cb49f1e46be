//! A connection of HTTP/2, which serves many requests at a time.
//!
//! Its frames belong to no single client, so a task of its own drives it, on the same worker. Each exchange
//! holds a [`Share`] of it: the share's end makes room for another, and the pool opens a further connection
//! when no share is left. The endpoint's limit on streams is read from the connection after each step of its
//! driver, because the library would queue what goes beyond it where nobody sees it.

use std::{
    cell::Cell,
    error::Error,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use http::{Method, uri::Scheme};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serin_config::{Outcome, limits as bounds};
use tokio::sync::Notify;

use super::{Patience, SendError, translate};
use crate::{
    clock,
    serve::{body::RequestBody, stream::Stream, streams::Local, timer::LazyTimer},
};

/// An open connection; the pool and every share hold it.
pub(crate) struct Http2 {
    sender: SendRequest<RequestBody>,
    scheme: Scheme,
    /// What its driver last read from it.
    limits: Rc<Cell<PeerLimits>>,
    /// Woken when that changes.
    changed: Rc<Notify>,
    shares: Cell<usize>,
    retired: Cell<bool>,
    served: Cell<bool>,
    used_at: Cell<Instant>,
    /// Woken when a share ends: somebody may be waiting for room.
    room: Rc<Notify>,
}

/// What the endpoint allows on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PeerLimits {
    streams: usize,
    /// RFC 8441: whether a stream may become a tunnel for another protocol.
    extended_connect: bool,
}

impl std::fmt::Debug for Http2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2").field("shares", &self.shares).field("limits", &self.limits.get()).finish()
    }
}

impl Http2 {
    /// Begins to speak on a connected stream. `room` is woken whenever a share of it ends.
    pub(super) async fn begin(stream: Stream, secure: bool, room: Rc<Notify>) -> io::Result<Rc<Self>> {
        let mut builder = http2::Builder::new(Local);
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(bounds::H2_ENDPOINT_STREAM_WINDOW)
            .initial_connection_window_size(bounds::H2_CONNECTION_WINDOW)
            .max_send_buf_size(bounds::H2_SEND_BUFFER)
            .max_header_list_size(u32::try_from(bounds::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .keep_alive_interval(bounds::H2_ENDPOINT_PING_INTERVAL)
            .keep_alive_timeout(bounds::H2_ENDPOINT_PING_TIMEOUT);
        let (sender, mut driver) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let read = |driver: &http2::Connection<_, _, _>| PeerLimits {
            streams: driver.current_max_send_streams(),
            extended_connect: driver.is_extended_connect_protocol_enabled(),
        };
        let limits = Rc::new(Cell::new(read(&driver)));
        let changed = Rc::new(Notify::new());
        let (noted, tell) = (limits.clone(), changed.clone());
        tokio::task::spawn_local(async move {
            let ended = poll_fn(|cx| {
                let polled = Pin::new(&mut driver).poll(cx);
                let now = read(&driver);
                if noted.replace(now) != now {
                    tell.notify_waiters();
                }
                polled
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "connection to an endpoint");
            }
        });
        let scheme = if secure { Scheme::HTTPS } else { Scheme::HTTP };
        Ok(Rc::new(Self {
            sender,
            scheme,
            limits,
            changed,
            shares: Cell::new(0),
            retired: Cell::new(false),
            served: Cell::new(false),
            used_at: Cell::new(clock::now()),
            room,
        }))
    }

    /// Whether it can serve a further request now.
    pub(super) fn has_room(&self) -> bool {
        self.is_open() && self.shares.get() < self.limits.get().streams.min(bounds::H2_ENDPOINT_STREAMS_MAX)
    }

    /// Whether it can serve requests at all.
    pub(super) fn is_open(&self) -> bool {
        !self.retired.get() && !self.sender.is_closed()
    }

    /// Requests on it.
    pub(super) fn shares(&self) -> usize {
        self.shares.get()
    }

    /// When the last request on it ended.
    pub(super) fn used_at(&self) -> Instant {
        self.used_at.get()
    }

    /// A place for one request.
    pub(super) fn share(self: &Rc<Self>) -> Box<Share> {
        self.shares.set(self.shares.get() + 1);
        let reused = self.served.replace(true);
        Box::new(Share { connection: self.clone(), reused, timer: LazyTimer::default() })
    }
}

/// A place for one request on a connection.
#[derive(Debug)]
pub(crate) struct Share {
    connection: Rc<Http2>,
    reused: bool,
    timer: LazyTimer,
}

impl Share {
    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Lets the connection serve no further request; those on it may end.
    pub(super) fn retire(&self) {
        self.connection.retired.set(true);
    }

    pub(super) fn poll_deadline(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll(deadline, cx)
    }

    /// Waits until the endpoint has said that it takes tunnels (RFC 8441, 3), which it does at the beginning
    /// of a connection or never.
    async fn await_tunnels(&self, deadline: Instant) -> Result<(), SendError> {
        let connection = &self.connection;
        let said = async {
            while !connection.limits.get().extended_connect {
                connection.changed.notified().await;
            }
        };
        let late = |_| {
            tracing::debug!("an endpoint of HTTP/2 takes no extended CONNECT");
            SendError::Late(Outcome::ProtocolError)
        };
        tokio::time::timeout_at(deadline.into(), said).await.map_err(late)
    }

    /// Sends a request at `now` and waits for the response's head.
    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
        now: Instant,
        patience: &Patience<'_>,
    ) -> Result<Response<Incoming>, SendError> {
        // What the endpoint refuses unseen may go out again; a body would have to be kept for that.
        let spare = patience.client.is_none().then(|| spare(&request));
        translate::to_http2(&mut request, &self.connection.scheme);
        if request.method() == Method::CONNECT {
            self.await_tunnels(now + patience.connect).await?;
        }
        let mut sender = self.connection.sender.clone();
        let mut answer = pin!(sender.try_send_request(request));
        let timer = &mut self.timer;
        let sent = poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Ok(answer));
            }
            match patience.deadline(now) {
                Some((deadline, late)) => timer.poll(deadline, cx).map(|()| Err(SendError::Late(late))),
                None => Poll::Pending,
            }
        });
        match sent.await? {
            Ok(response) => Ok(response),
            Err(mut failed) => {
                let unsent = failed.take_message().map(|mut request| {
                    translate::to_http1(&mut request);
                    request
                });
                let error = failed.into_error();
                let again = |request| SendError::Again(Box::new(request));
                Err(match (unsent, spare, fate(&error)) {
                    (Some(request), ..) => again(request),
                    (None, request, Fate::Refused) => SendError::Refused(request.map(Box::new)),
                    (None, Some(request), Fate::Crossed) if request.method().is_idempotent() => {
                        again(request)
                    }
                    _ => SendError::Failed(error),
                })
            }
        }
    }
}

/// What became of a request that got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The endpoint said that it has done nothing with it (RFC 9113, 8.7).
    Refused,
    /// The endpoint was saying farewell.
    Crossed,
    Unknown,
}

fn fate(error: &hyper::Error) -> Fate {
    match error.source().and_then(|source| source.downcast_ref::<h2::Error>()) {
        Some(error) if error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM) => {
            Fate::Refused
        }
        Some(error) if error.is_remote() && error.is_go_away() => Fate::Crossed,
        _ => Fate::Unknown,
    }
}

/// The same request without its body, which it has not.
fn spare(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut spare = Request::new(RequestBody::none());
    *spare.method_mut() = request.method().clone();
    *spare.uri_mut() = request.uri().clone();
    *spare.headers_mut() = request.headers().clone();
    spare
}

impl Drop for Share {
    fn drop(&mut self) {
        self.connection.shares.set(self.connection.shares.get().saturating_sub(1));
        self.connection.used_at.set(clock::now());
        self.connection.room.notify_one();
    }
}
