//! The admin listener: is it alive, is it ready, what has it counted, what plan does it serve; and what an
//! operator does by hand: inject a fault, open a breaker, forgive a trip. Weights are not set here: that is the
//! control plane's.

mod body;
mod breakers;
mod faults;
mod problem;
mod router;

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use serin_config::{
    limits::{API_CONCURRENCY_MAX, API_TIMEOUT},
    wire::ReloadStatus,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};

use crate::{
    observe::Totals,
    plan::PlanCell,
    serve::{listen::Listening, spread::Spread},
    shared::Shared,
    tls,
};

/// What the admin listener shows.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) plans: Arc<PlanCell>,
    pub(crate) totals: Arc<Mutex<Totals>>,
    pub(crate) reload: Mutex<ReloadStatus>,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) spread: Spread,
    pub(crate) ready: AtomicBool,
    pub(crate) rare: PrometheusHandle,
    pub(crate) tls: Arc<tls::Store>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) version: &'static str,
}

/// Serves until the runtime ends.
pub(crate) async fn run(view: Arc<View>, listening: Listening) {
    let places = Arc::new(Semaphore::new(API_CONCURRENCY_MAX));
    loop {
        // Waiting for a place before accepting leaves the rest in the kernel's bounded queue.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let served = match &listening {
            Listening::Tcp(listener) => {
                listener.accept().await.map(|(stream, _)| spawn(&view, stream, place))
            }
            Listening::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| spawn(&view, stream, place))
            }
        };
        if let Err(error) = served {
            tracing::warn!(%error, "a connection to the admin listener could not be accepted");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn spawn<S>(view: &Arc<View>, stream: S, place: tokio::sync::OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let view = view.clone();
    tokio::spawn(async move {
        let service = service_fn(|request: Request<Incoming>| {
            let view = view.clone();
            async move { Ok::<_, Infallible>(router::answer(view, request).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(API_TIMEOUT).max_buf_size(16 * 1024);
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        drop(place);
    });
}

fn reply(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
