//! HTTP on one client connection, from its first bytes until it ends or falls quiet.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderValue, header::CONNECTION};
use hyper::{
    Request, Response,
    body::Incoming,
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serin_config::limits as bounds;
use serin_split::abuse::Abuse;
use tokio::io::AsyncReadExt;

use super::{
    body::ResponseBody,
    connection::QUIET_BEFORE_CLOSE,
    request,
    stream::Stream,
    streams::Spawn,
    timer::LazyTimer,
    watch::{Activity, Overdue, Watchdog},
    watched::Watched,
    worker::{Peer, Worker},
};
use crate::clock;

/// Who is served, and what they have done so far.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: Rc<Peer>,
    pub(crate) activity: Rc<Activity>,
    /// When the connection is old enough to be ended in peace.
    pub(crate) old_at: Option<Instant>,
}

/// A connection that fell quiet, for what may still come.
#[derive(Debug)]
pub(crate) struct Quiet {
    pub(crate) stream: Stream,
    pub(crate) since: Instant,
    /// What came at the last moment.
    pub(crate) rest: Vec<u8>,
}

/// How driving a connection ended.
enum End {
    Over(Result<(), hyper::Error>),
    Overdue(Option<Abuse>),
    Quiet,
}

impl Client {
    /// Speaks HTTP/1 until the connection ends; hands it back if it falls quiet instead.
    pub(crate) async fn http1(self, stream: Stream, first: Vec<u8>, since: Instant) -> Option<Quiet> {
        let mut watchdog = Watchdog::new(self.activity.clone(), since);
        let io = TokioIo::new(Watched::http1(stream, first, self.activity.clone()));
        let mut connection = http1_builder().serve_connection(io, self.service());
        let graceful = http1::Connection::graceful_shutdown;
        let end = self.drive(&mut watchdog, Pin::new(&mut connection), graceful, true).await;
        let parts = connection.into_parts();
        let watched = parts.io.into_inner();
        let answered_early = matches!(end, End::Over(_)) && watched.is_within_body();
        let (stream, kept) = watched.into_parts();
        let rest = [&parts.read_buf[..], &kept].concat();
        if let (End::Over(Ok(())), Some(tunnel)) = (&end, self.activity.take_tunnel()) {
            tunnel.run(stream, rest.into()).await;
            return None;
        }
        if matches!(end, End::Quiet) {
            return Some(Quiet { stream, since: watchdog.since(), rest });
        }
        self.count(&end);
        if self.activity.is_refused() || answered_early {
            linger(stream).await;
        }
        None
    }

    /// Speaks HTTP/2 until the connection ends.
    pub(crate) async fn http2(self, stream: Stream, first: Vec<u8>, since: Instant) {
        let mut watchdog = Watchdog::new(self.activity.clone(), since);
        let io = TokioIo::new(Watched::http2(stream, first, self.activity.clone()));
        let connection = http2_builder(&self).serve_connection(io, self.service());
        let graceful = http2::Connection::graceful_shutdown;
        let end = self.drive(&mut watchdog, pin!(connection), graceful, false).await;
        self.count(&end);
    }

    fn service(
        &self,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<ResponseBody>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<ResponseBody>, Infallible>> + 'static,
    > + 'static {
        let (worker, peer, activity) = (self.worker.clone(), self.peer.clone(), self.activity.clone());
        service_fn(move |request: Request<Incoming>| {
            let (worker, peer, activity) = (worker.clone(), peer.clone(), activity.clone());
            async move {
                if let Some(refusal) = activity.refusal() {
                    return Ok(request::refused(&worker, activity, refusal));
                }
                let mut response = request::serve(worker, peer, activity.clone(), request).await;
                if activity.broken.get() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok(response)
            }
        })
    }

    /// Drives a connection, watches its client, and ends it in peace when the worker drains or it is old.
    async fn drive<C>(
        &self,
        watchdog: &mut Watchdog,
        mut connection: Pin<&mut C>,
        graceful_shutdown: fn(Pin<&mut C>),
        parks: bool,
    ) -> End
    where
        C: Future<Output = Result<(), hyper::Error>>,
    {
        let (worker, activity) = (&*self.worker, &*self.activity);
        let mut drain_begun = pin!(worker.drain_begun.notified());
        let (mut registered, told, mut grace) = (false, Cell::new(false), Duration::ZERO);
        let (mut old, mut age) = (false, LazyTimer::default());
        poll_fn(|cx: &mut Context<'_>| {
            if !registered {
                // One registration: this task stays the one to wake.
                registered = true;
                let _ = drain_begun.as_mut().poll(cx);
            }
            old = old || self.old_at.is_some_and(|at| age.poll(at, cx).is_ready());
            let leaving = worker.draining.get() || old;
            let busy = activity.in_flight.get() > 0;
            // HTTP/1.1 says farewell with an answer. HTTP/2 may at any time, and must: its requests run in tasks
            // of their own, and quick ones would never be seen in flight here.
            if leaving && (busy || !parks) && !told.replace(true) {
                grace = quiet_from_now(watchdog);
                graceful_shutdown(connection.as_mut());
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(End::Over(ended));
            }
            let began = !busy && activity.in_flight.get() > 0;
            if leaving && began && !told.replace(true) {
                graceful_shutdown(connection.as_mut());
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(End::Over(ended));
                }
            }
            let keep_alive = if leaving { QUIET_BEFORE_CLOSE } else { worker.limits.client_keep_alive };
            let parks = parks && !leaving && !told.get();
            loop {
                match watchdog.poll(&worker.limits, keep_alive, grace, parks, cx) {
                    Poll::Ready(Overdue::Quiet) => return Poll::Ready(End::Quiet),
                    Poll::Ready(Overdue::Idle) if !told.replace(true) => {
                        // In HTTP/2 the client has to agree: a request may have crossed the farewell.
                        grace = quiet_from_now(watchdog);
                        graceful_shutdown(connection.as_mut());
                        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                            return Poll::Ready(End::Over(ended));
                        }
                    }
                    Poll::Ready(Overdue::Idle) => return Poll::Ready(End::Overdue(None)),
                    Poll::Ready(Overdue::Stalled(abuse)) => return Poll::Ready(End::Overdue(Some(abuse))),
                    Poll::Ready(Overdue::Streams(given_up)) => {
                        worker.counters.abused(Abuse::WindowStall, given_up);
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    fn count(&self, end: &End) {
        let abuse = match end {
            End::Quiet | End::Over(Ok(())) => None,
            End::Overdue(abuse) => *abuse,
            End::Over(Err(error)) => {
                if error.is_parse() {
                    self.worker.counters.bad_request.increment(1);
                }
                tracing::debug!(%error, "client connection");
                self.activity.abuse.get().or_else(|| is_calmed(error).then_some(Abuse::LibraryLimit))
            }
        };
        let Some(abuse) = abuse else { return };
        self.worker.counters.abused(abuse, 1);
        match abuse {
            // Slow lines are no news.
            Abuse::SlowHead | Abuse::SlowBody | Abuse::SlowReader => {
                tracing::debug!(peer = %self.peer.address, kind = abuse.label(), "client connection closed");
            }
            _ if self.worker.may_complain() => {
                tracing::warn!(
                    peer = %self.peer.address,
                    kind = abuse.label(),
                    "client connection closed: it asked for more work than is fair; more such lines may have been left out"
                );
            }
            _ => {}
        }
    }
}

/// What an idle client gets on top of the time since it fell idle, so that it has time to hear a farewell.
fn quiet_from_now(watchdog: &Watchdog) -> Duration {
    clock::now().saturating_duration_since(watchdog.since()) + QUIET_BEFORE_CLOSE
}

/// Whether the HTTP library itself told the client to calm down.
fn is_calmed(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|error| error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM))
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_headers(bounds::HEADER_FIELDS_MAX)
        .max_header_size(bounds::HEAD_BYTES_MAX)
        .max_buf_size(bounds::HEAD_BYTES_MAX)
        .header_read_timeout(None);
    builder
}

fn http2_builder(client: &Client) -> http2::Builder<Spawn> {
    let mut builder = http2::Builder::new(Spawn(client.activity.clone()));
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(client.worker.limits.max_streams)
        .initial_stream_window_size(bounds::H2_STREAM_WINDOW)
        .initial_connection_window_size(bounds::H2_CONNECTION_WINDOW)
        .max_send_buf_size(bounds::H2_SEND_BUFFER)
        .max_header_list_size(u32::try_from(bounds::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(bounds::H2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(bounds::H2_LOCAL_RESETS_MAX);
    builder
}

/// Reads on for a moment, so that the kernel does not take the answer back because bytes came that nobody
/// reads (RFC 9112, 9.6).
async fn linger(mut stream: Stream) {
    let reading = async {
        let mut piece = vec![0; 4096];
        let mut left = bounds::LINGER_BYTES_MAX;
        while left > 0 {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(bytes) => left = left.saturating_sub(bytes),
            }
        }
    };
    let _ = tokio::time::timeout(bounds::LINGER, reading).await;
}
