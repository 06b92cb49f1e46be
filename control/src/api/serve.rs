//! Connections of the API: bounded in number and in age, and none may take its time over a handshake or a request
//! head.
//!
//! The age is what bounds a client that never reads its answer: it would hold its place for ever. A connection that
//! carries a stream of events may become as old as a stream.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serin_config::limits::{API_CONNECTIONS_MAX, API_TIMEOUT, API_WATCH_LIFE, HEAD_BYTES_MAX};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tower::ServiceExt;
use tracing::{debug, warn};

use super::{Context, Listener, clear, listener::Connection, peer::Peer, router};
use crate::tls::Acceptor;

/// How long to leave off accepting when the system has no more descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// How long open connections may take to end when the API stops.
const STOP_WAIT: Duration = Duration::from_secs(5);
/// How long a connection may be kept open for further requests.
const CONNECTION_AGE_MAX: Duration = API_TIMEOUT.saturating_mul(2);

/// Serves until told to stop, then lets requests in progress end.
pub(crate) async fn serve(
    listener: Listener,
    tls: Option<Acceptor>,
    context: Context,
    mut stop: watch::Receiver<bool>,
) {
    let router = router(context);
    let permits = Arc::new(Semaphore::new(API_CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = stopped(&mut stop) => break,
        };
        let Some((connection, permit)) = accepted else { continue };
        let (router, stop, tls) = (router.clone(), stop.clone(), tls.clone());
        tokio::spawn(async move {
            match (connection, tls) {
                (Connection::Tcp(stream, from), None) => {
                    converse(stream, Peer::tcp(from), router, stop).await;
                }
                (Connection::Tcp(stream, from), Some(tls)) => {
                    secure(stream, Peer::tcp(from), &tls, router, stop).await;
                }
                // Whoever reads along a Unix socket reads everything else, too.
                (Connection::Unix(stream), _) => {
                    let peer = Peer::unix(&stream);
                    converse(stream, peer, router, stop).await;
                }
            }
            drop(permit);
        });
    }
    listener.close();
    #[expect(clippy::cast_possible_truncation, reason = "a small constant")]
    let all = permits.acquire_many(API_CONNECTIONS_MAX as u32);
    if timeout(STOP_WAIT, all).await.is_err() {
        warn!("connections to the control API were cut: they did not end within {} s", STOP_WAIT.as_secs());
    }
}

async fn accept(
    listener: &Listener,
    permits: &Arc<Semaphore>,
) -> Option<(Connection, tokio::sync::OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok(connection) => Some((connection, permit)),
        Err(error) => {
            debug!("a connection to the control API was not accepted: {error}");
            sleep(ACCEPT_BACKOFF).await;
            None
        }
    }
}

async fn secure(
    stream: TcpStream,
    peer: Peer,
    tls: &Acceptor,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let clear = tokio::select! {
        clear = timeout(API_TIMEOUT, clear::speaks(&stream)) => clear.unwrap_or(false),
        () = stopped(&mut stop) => return,
    };
    if clear {
        debug!(from = peer.from, "a client of the control API speaks in clear, and is told so");
        return clear::refuse(stream).await;
    }
    let shaken = tokio::select! {
        shaken = timeout(API_TIMEOUT, tls.accept(stream)) => shaken,
        () = stopped(&mut stop) => return,
    };
    match shaken {
        Ok(Ok((stream, holder))) => converse(stream, peer.showing(holder), router, stop).await,
        Ok(Err(error)) => debug!(from = peer.from, "no TLS with a client of the control API: {error}"),
        Err(_) => debug!(from = peer.from, "no TLS with a client of the control API: it took too long"),
    }
}

async fn converse<S>(stream: S, peer: Peer, router: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let of_requests = peer.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(of_requests.clone());
        router.clone().oneshot(request)
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(API_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped_or_old(&mut stop, &peer) => {
            connection.as_mut().graceful_shutdown();
            match timeout(API_TIMEOUT, connection).await {
                Ok(ended) => ended,
                Err(_) => return debug!("a connection to the control API was cut: its client does not read"),
            }
        }
    };
    if let Err(error) = ended {
        debug!("a connection to the control API ended: {error}");
    }
}

async fn stopped_or_old(stop: &mut watch::Receiver<bool>, peer: &Peer) {
    if timeout(CONNECTION_AGE_MAX, stopped(stop)).await.is_err() && peer.has_streamed() {
        let _ = timeout(API_WATCH_LIFE, stopped(stop)).await;
    }
}

/// Ends when the API is told to stop, or when whoever could tell it is gone.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Much more than the pipe and hyper's buffer hold.
    const ANSWER_BYTES: usize = 8 * 1024 * 1024;

    fn large() -> Router {
        Router::new().route("/", axum::routing::get(|| async { "x".repeat(ANSWER_BYTES) }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_its_answer_is_cut() {
        let (mut client, server) = duplex(1024);
        let (_stop, stopped) = watch::channel(false);
        let connection = tokio::spawn(converse(server, Peer::at("a pipe".into()), large(), stopped));
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        client.read_u8().await.unwrap();
        timeout(CONNECTION_AGE_MAX + 2 * API_TIMEOUT, connection).await.expect("cut in time").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_drips_its_request_is_cut() {
        let (mut client, server) = duplex(1024);
        let (_stop, stopped) = watch::channel(false);
        let connection = tokio::spawn(converse(server, Peer::at("a pipe".into()), large(), stopped));
        let dripping = async {
            loop {
                sleep(Duration::from_secs(1)).await;
                if client.write_all(b"G").await.is_err() {
                    return;
                }
            }
        };
        timeout(2 * API_TIMEOUT, dripping).await.expect("cut in time");
        connection.await.unwrap();
    }
}
