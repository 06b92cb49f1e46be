//! The admin listener: is it alive, is it ready, what has it counted, what plan does it serve. Reads only.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use serin_config::{
    limits::{API_CONCURRENCY_MAX, API_TIMEOUT},
    wire::ReloadStatus,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};

use crate::{
    clock,
    endpoints::report,
    observe::{Totals, export::Page, openmetrics},
    plan::PlanCell,
    serve::listen::Listening,
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
            let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
            let openmetrics = accept.is_some_and(openmetrics::is_wanted);
            let answer = answer(&view, request.method(), request.uri().path(), openmetrics);
            async move { Ok::<_, Infallible>(answer) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(API_TIMEOUT).max_buf_size(16 * 1024);
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        drop(place);
    });
}

fn answer(view: &View, method: &Method, path: &str, openmetrics: bool) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    let known = matches!(path, "/livez" | "/readyz" | "/metrics" | "/plan" | "/endpoints");
    if known && !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is served here\n".into());
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/livez" => reply(StatusCode::OK, TEXT, "alive\n".into()),
        "/readyz" if view.ready.load(Ordering::Relaxed) => reply(StatusCode::OK, TEXT, "ready\n".into()),
        "/readyz" => reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".into()),
        "/metrics" => match page(view, openmetrics) {
            Ok(text) if openmetrics => {
                reply(StatusCode::OK, openmetrics::CONTENT_TYPE, openmetrics::from_text(&text))
            }
            Ok(text) => reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
            Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        },
        "/plan" => reply(StatusCode::OK, "application/json", plan(view).to_string()),
        "/endpoints" => {
            let listed = report::json(&view.shared, &view.plans.load());
            reply(StatusCode::OK, "application/json", listed.to_string())
        }
        _ => {
            reply(StatusCode::NOT_FOUND, TEXT, "try /livez, /readyz, /metrics, /plan or /endpoints\n".into())
        }
    }
}

fn reply(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn page(view: &View, exemplars: bool) -> Result<String, io::Error> {
    let mut text = view.rare.render();
    let plan = view.plans.load();
    let totals = view.totals.lock().unwrap_or_else(PoisonError::into_inner);
    let reload = view.reload.lock().unwrap_or_else(PoisonError::into_inner);
    let connections = view.connections.load(Ordering::Relaxed);
    let version = view.version;
    let page = Page { totals: &totals, plan: &plan, reload: &reload, connections, version, exemplars };
    page.write(&mut text).map_err(io::Error::other)?;
    view.tls.write_metrics(&mut text, clock::unix_seconds()).map_err(io::Error::other)?;
    report::write_metrics(&view.shared, &plan, &mut text).map_err(io::Error::other)?;
    Ok(text)
}

/// The plan in force. Secrets are no part of a plan.
fn plan(view: &View) -> serde_json::Value {
    let plan = view.plans.load();
    let services: Vec<_> = plan
        .services()
        .map(|(service, split)| {
            let weights: serde_json::Map<_, _> = split
                .iter()
                .map(|(version, weight)| (version.to_string(), weight.to_string().into()))
                .collect();
            json!({
                "name": service.name,
                "stable": service.stable,
                "canary": service.canary,
                "weights": weights,
                "versions": service.versions,
                "sticky": service.sticky,
                "timeouts": service.timeouts,
            })
        })
        .collect();
    let reload = view.reload.lock().unwrap_or_else(PoisonError::into_inner);
    json!({
        "generation": plan.generation(),
        "parent": plan.parent(),
        "routes": plan.catalogue().routes(),
        "services": services,
        "reload": &*reload,
    })
}
