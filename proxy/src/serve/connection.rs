//! HTTP on one client connection: which version it speaks, its limits, its end.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::{
    Request,
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serin_config::limits as bounds;
use tokio::io::AsyncReadExt;

use super::{
    arrive::{Arrived, Speaks},
    request,
    stream::Stream,
    timer::LazyTimer,
    watch::{Activity, Overdue, Watchdog, Watched},
    worker::Worker,
};

/// The first bytes of HTTP/2 (RFC 9113, 3.4). No HTTP/1.1 request can begin with them.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// While draining, an idle connection is closed after it has been quiet for this long: closing it at once
/// would race with a request that is already on its way.
const QUIET_BEFORE_CLOSE: Duration = Duration::from_millis(500);

/// Serves a client connection to its end.
pub(crate) async fn serve(worker: Rc<Worker>, arrived: Arrived, accepted: Instant) {
    let Arrived { mut stream, peer, speaks, head_by, old_at } = arrived;
    let first = match speaks {
        Speaks::Http1 => Vec::new(),
        Speaks::Http2 | Speaks::Either => {
            let first = tokio::time::timeout_at(head_by.into(), sniff(&mut stream, &worker)).await;
            let Ok(Some(first)) = first else { return };
            first
        }
    };
    let is_h2 = first == PREFACE;
    if speaks == Speaks::Http2 && !is_h2 {
        return worker.counters.bad_request.increment(1);
    }
    let activity = Rc::new(Activity::new(is_h2));
    let watchdog = Watchdog::new(activity.clone(), accepted);
    let io = TokioIo::new(Watched::new(stream, first, activity.clone()));
    let peer = Rc::new(peer);
    let service = {
        let (worker, activity) = (worker.clone(), activity.clone());
        service_fn(move |request: Request<Incoming>| {
            let (worker, peer, activity) = (worker.clone(), peer.clone(), activity.clone());
            async move { Ok::<_, Infallible>(request::serve(worker, peer, activity, request).await) }
        })
    };
    let ended = if is_h2 {
        let connection = http2_builder(&worker).serve_connection(io, service);
        supervise(
            &worker,
            activity,
            (watchdog, old_at),
            pin!(connection),
            http2::Connection::graceful_shutdown,
        )
        .await
    } else {
        let mut connection = http1_builder().serve_connection(io, service);
        let shutdown = http1::Connection::graceful_shutdown;
        let ended =
            supervise(&worker, activity.clone(), (watchdog, old_at), Pin::new(&mut connection), shutdown)
                .await;
        if let (None, Some(tunnel)) = (&ended, activity.take_tunnel()) {
            let parts = connection.into_parts();
            return tunnel.run(parts.io.into_inner(), parts.read_buf).await;
        }
        ended
    };
    if let Some(error) = ended {
        if error.is_parse() {
            worker.counters.bad_request.increment(1);
        }
        tracing::debug!(%error, "client connection");
    }
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

fn http2_builder(worker: &Worker) -> http2::Builder<Local> {
    let mut builder = http2::Builder::new(Local);
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(worker.limits.max_streams)
        .initial_stream_window_size(bounds::H2_STREAM_WINDOW)
        .initial_connection_window_size(bounds::H2_CONNECTION_WINDOW)
        .max_send_buf_size(bounds::H2_SEND_BUFFER)
        .max_header_list_size(u32::try_from(bounds::HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(bounds::H2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(bounds::H2_LOCAL_RESETS_MAX);
    builder
}

/// Reads until the bytes can't be HTTP/2's preface any more, or are all of it. None if the client has gone,
/// or the worker drains before anything came.
async fn sniff(stream: &mut Stream, worker: &Worker) -> Option<Vec<u8>> {
    let mut first = vec![0; PREFACE.len()];
    let mut filled = 0;
    let drain = pin!(worker.drain_begun.notified());
    let reading = async {
        while filled < first.len() && first[..filled] == PREFACE[..filled] {
            match stream.read(&mut first[filled..]).await {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => filled += bytes,
            }
        }
        Some(filled)
    };
    let mut reading = pin!(reading);
    let filled = tokio::select! {
        biased;
        filled = &mut reading => filled?,
        // The client may have sent its first request already.
        () = drain => tokio::time::timeout(QUIET_BEFORE_CLOSE, reading).await.ok()??,
    };
    first.truncate(filled);
    Some(first)
}

/// Drives a connection, watches its client, and ends it in peace when the worker drains or it is old.
async fn supervise<C>(
    worker: &Worker,
    activity: Rc<Activity>,
    (mut watchdog, old_at): (Watchdog, Option<Instant>),
    mut connection: Pin<&mut C>,
    graceful_shutdown: fn(Pin<&mut C>),
) -> Option<hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut drain_begun = pin!(worker.drain_begun.notified());
    let (mut registered, told, mut grace) = (false, Cell::new(false), Duration::ZERO);
    let (mut old, mut age) = (false, LazyTimer::default());
    poll_fn(|cx: &mut Context<'_>| {
        if !registered {
            // One registration: this task stays the one to wake.
            registered = true;
            let _ = drain_begun.as_mut().poll(cx);
        }
        old = old || old_at.is_some_and(|at| age.poll(at, cx).is_ready());
        let leaving = worker.draining.get() || old;
        let busy = activity.in_flight.get() > 0;
        if leaving && busy && !told.replace(true) {
            graceful_shutdown(connection.as_mut());
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(ended.err());
        }
        let began = !busy && activity.in_flight.get() > 0;
        if leaving && began && !told.replace(true) {
            graceful_shutdown(connection.as_mut());
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.err());
            }
        }
        let keep_alive = if leaving { QUIET_BEFORE_CLOSE } else { worker.limits.client_keep_alive };
        loop {
            match watchdog.poll(&worker.limits, keep_alive, grace, cx) {
                Poll::Ready(Overdue::Idle) if !told.replace(true) => {
                    // In HTTP/2 the client has to agree: a request may have crossed the farewell.
                    grace = QUIET_BEFORE_CLOSE;
                    graceful_shutdown(connection.as_mut());
                    if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                        return Poll::Ready(ended.err());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

/// Spawns on the worker's own thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local;

impl<F: Future<Output = ()> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
