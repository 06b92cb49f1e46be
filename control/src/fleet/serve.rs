//! Connections of proxies: bounded in number, and in the time that they may take to say who they are.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response, header};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serin_config::{
    fleet::{CONNECT_PATH, Names},
    limits::{
        FLEET_ARRIVALS_MAX, FLEET_HELLO_WAIT, FLEET_MESSAGE_BYTES_MAX, FLEET_STREAMS_MAX,
        H2_CONNECTION_WINDOW, H2_STREAM_WINDOW,
    },
    secret::Secret,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use tonic::{Status, Streaming, body::Body};
use tracing::{debug, warn};

use super::{
    Door, Gate,
    codec::{Messages, Said},
    session,
};
use crate::{
    api::Connection,
    clock::Clock,
    tls::{Acceptor, Holder},
};

/// How long to leave off accepting when the system has no more descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// How long streams may take to end when the control plane stops.
const STOP_WAIT: Duration = Duration::from_millis(500);
/// A proxy has one stream; a second one may begin before the first is seen to be over.
const STREAMS_PER_CONNECTION: u32 = 4;

/// On what terms streams are taken.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) gate: watch::Receiver<Gate>,
    pub(crate) token: Option<Arc<Secret>>,
    /// Which name a proxy with a certificate may have.
    pub(crate) names: Names,
    pub(crate) clock: Clock,
    pub(crate) stop: watch::Receiver<bool>,
    /// The release that is told to proxies.
    pub(crate) version: &'static str,
}

/// Serves until told to stop.
pub(crate) async fn serve(door: Door, terms: Terms) {
    let Door { listener, tls } = door;
    let mut stop = terms.stop.clone();
    let tls = tls.map(|(acceptor, renewal)| {
        // It ends with the last handle on what it keeps up to date.
        tokio::spawn(renewal.run());
        acceptor
    });
    let places = Arc::new(Semaphore::new(FLEET_STREAMS_MAX + FLEET_ARRIVALS_MAX));
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places, &mut failing) => accepted,
            () = told_to_stop(&mut stop) => break,
        };
        let Some((connection, place)) = accepted else { continue };
        let (terms, tls) = (terms.clone(), tls.clone());
        tokio::spawn(async move {
            match connection {
                Connection::Tcp(stream, peer) => {
                    // Plans are small and urgent.
                    let _ = stream.set_nodelay(true);
                    secured(stream, peer.to_string(), tls, terms).await;
                }
                Connection::Unix(stream) => secured(stream, "a Unix socket".into(), tls, terms).await,
            }
            drop(place);
        });
    }
    listener.close();
}

async fn accept(
    listener: &crate::api::Listener,
    places: &Arc<Semaphore>,
    failing: &mut bool,
) -> Option<(Connection, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok(connection) => {
            *failing = false;
            Some((connection, place))
        }
        Err(error) => {
            // Once in a row: it is tried again ten times a second.
            if !std::mem::replace(failing, true) {
                warn!(
                    %error,
                    "a connection of a proxy can't be accepted: each takes a file descriptor, so the process's limit \
                     (ulimit -Hn, LimitNOFILE) must be above the number of proxies"
                );
            }
            sleep(ACCEPT_BACKOFF).await;
            None
        }
    }
}

async fn secured<S>(stream: S, peer: String, tls: Option<Acceptor>, terms: Terms)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = tls else { return converse(stream, Peer { address: peer, holder: None }, terms).await };
    match timeout(FLEET_HELLO_WAIT, tls.accept(stream)).await {
        Ok(Ok((stream, holder))) => {
            let holder = holder.filter(|_| terms.names == Names::Certificate).map(Arc::new);
            converse(stream, Peer { address: peer, holder }, terms).await;
        }
        Ok(Err(error)) => warn!(%peer, %error, "a proxy was turned away: its TLS handshake failed"),
        Err(_) => debug!(%peer, "a connection did not make its TLS handshake in time"),
    }
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: String,
    /// Whom its certificate names, where its own name must be one of these.
    pub(super) holder: Option<Arc<Holder>>,
}

async fn converse<S>(stream: S, peer: Peer, terms: Terms)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let busy = Arc::new(Semaphore::new(STREAMS_PER_CONNECTION as usize));
    let service = service_fn({
        let (peer, busy, terms) = (peer.clone(), busy.clone(), terms.clone());
        move |request: Request<Incoming>| {
            let (peer, busy, terms) = (peer.clone(), busy.clone(), terms.clone());
            async move { Ok::<_, Infallible>(answer(request, peer, busy, terms).await) }
        }
    });
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .initial_stream_window_size(H2_STREAM_WINDOW)
            .initial_connection_window_size(H2_CONNECTION_WINDOW)
            .serve_connection(TokioIo::new(stream), service)
    );
    // A connection without a stream is of no use to anybody.
    let idle = async {
        loop {
            sleep(FLEET_HELLO_WAIT).await;
            if busy.available_permits() == STREAMS_PER_CONNECTION as usize {
                return;
            }
        }
    };
    let mut stop = terms.stop.clone();
    tokio::select! {
        ended = connection.as_mut() => if let Err(error) = ended {
            debug!(peer = peer.address, %error, "a connection of a proxy ended");
        },
        () = idle => debug!(peer = peer.address, "a connection without a stream was closed"),
        () = told_to_stop(&mut stop) => {
            // Streams say why they end, and have a moment for it.
            connection.as_mut().graceful_shutdown();
            let _ = timeout(STOP_WAIT, connection).await;
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: Peer,
    busy: Arc<Semaphore>,
    terms: Terms,
) -> Response<Body> {
    if request.uri().path() != CONNECT_PATH {
        return Status::unimplemented(format!("proxies call {CONNECT_PATH}")).into_http();
    }
    if !may_enter(&request, terms.token.as_deref()) {
        warn!(peer = peer.address, "a proxy was turned away: it does not show the token of control.fleet");
        return Status::unauthenticated("the token is missing or another one: see control.connect.token")
            .into_http();
    }
    let Ok(place) = busy.try_acquire_owned() else {
        return Status::resource_exhausted("one stream is enough for a proxy").into_http();
    };
    // There is one call of it; a service can't say so.
    let mut place = Some(place);
    let begin = move |up: tonic::Request<Streaming<Said>>| {
        let (peer, terms, place) = (peer.clone(), terms.clone(), place.take());
        session::begin(up.into_inner(), peer, terms, place)
    };
    tonic::server::Grpc::new(Messages)
        .max_decoding_message_size(FLEET_MESSAGE_BYTES_MAX)
        .streaming(tower::service_fn(begin), request)
        .await
}

/// Ends when the control plane is told to stop, or when whoever could tell it is gone.
pub(super) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Whether the token is right, where one is asked for.
fn may_enter<B>(request: &Request<B>, token: Option<&Secret>) -> bool {
    let Some(token) = token else { return true };
    let shown = request.headers().get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    shown.and_then(|shown| shown.strip_prefix(b"Bearer ")).is_some_and(|shown| token.matches(shown))
}
