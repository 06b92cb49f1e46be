//! The admin listener of a control plane that serves no traffic: whether it lives, whether it is ready, its metrics.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serin_config::{
    Address,
    limits::{API_CONCURRENCY_MAX, API_TIMEOUT, HEAD_BYTES_MAX},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};

/// How long to leave off accepting when the system has no more descriptors.
const ACCEPT_BACKOFF: std::time::Duration = std::time::Duration::from_millis(50);

/// Why it can't listen: one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("the admin listener can't listen on {address}: {source}; set another admin.address")]
pub(super) struct BindError {
    address: Address,
    source: io::Error,
}

/// The listener, while it serves.
#[derive(Debug)]
pub(super) struct Admin {
    address: Address,
    ready: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
        if let Address::Unix(path) = &self.address {
            // If it is gone already, so much the better.
            let _ = std::fs::remove_file(path);
        }
    }
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Admin {
    /// Binds, and serves from now on.
    pub(super) async fn bind(address: &Address) -> Result<Self, BindError> {
        let failed = |source| BindError { address: address.clone(), source };
        let (socket, real) = match address {
            Address::Tcp(tcp) => {
                let listener = TcpListener::bind(tcp).await.map_err(failed)?;
                let real = Address::Tcp(listener.local_addr().map_err(failed)?);
                (Socket::Tcp(listener), real)
            }
            Address::Unix(path) => (Socket::Unix(UnixListener::bind(path).map_err(failed)?), address.clone()),
        };
        let ready = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn(serve(socket, ready.clone())).abort_handle();
        Ok(Self { address: real, ready, task })
    }

    /// Where it listens; the port is the real one.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// From now on it says that it is not ready.
    pub(super) fn unready(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }
}

async fn serve(socket: Socket, ready: Arc<AtomicBool>) {
    let places = Arc::new(Semaphore::new(API_CONCURRENCY_MAX));
    loop {
        // Waiting for a place before accepting leaves the rest in the kernel's bounded queue.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = match &socket {
            Socket::Tcp(listener) => listener.accept().await.map(|(stream, _)| spawn(stream, &ready, place)),
            Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| spawn(stream, &ready, place)),
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "a connection to the admin listener could not be accepted");
            tokio::time::sleep(ACCEPT_BACKOFF).await;
        }
    }
}

fn spawn<S>(stream: S, ready: &Arc<AtomicBool>, place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ready = ready.clone();
    tokio::spawn(async move {
        let service = service_fn(|request: Request<Incoming>| {
            let answer = answer(request.method(), request.uri().path(), ready.load(Ordering::Relaxed));
            async move { Ok::<_, Infallible>(answer) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(API_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        drop(place);
    });
}

fn answer(method: &Method, path: &str, ready: bool) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return reply(StatusCode::METHOD_NOT_ALLOWED, "use GET or HEAD\n".into());
    }
    match path {
        "/livez" => reply(StatusCode::OK, "alive\n".into()),
        "/readyz" if ready => reply(StatusCode::OK, "ready\n".into()),
        "/readyz" => reply(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into()),
        "/metrics" => reply(StatusCode::OK, serin_proxy::rare_metrics()),
        _ => reply(StatusCode::NOT_FOUND, "try /livez, /readyz or /metrics\n".into()),
    }
}

fn reply(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_of_its_readiness_and_nothing_else() {
        let status = |method, path, ready| answer(&method, path, ready).status().as_u16();
        assert_eq!(status(Method::GET, "/livez", false), 200);
        assert_eq!((status(Method::GET, "/readyz", true), status(Method::GET, "/readyz", false)), (200, 503));
        assert_eq!((status(Method::GET, "/plan", true), status(Method::POST, "/livez", true)), (404, 405));
        assert_eq!(status(Method::HEAD, "/metrics", true), 200);
    }
}
