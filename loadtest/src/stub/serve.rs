//! The stub's thread: accept, draw what happens, answer.

use std::{cell::RefCell, convert::Infallible, io, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rand::{SeedableRng, rngs::SmallRng};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    runtime::{Builder, LocalOptions},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

use super::{Bound, StubOptions, behaviour::Behaviour, body::Reply};
use crate::bounds::{ACCEPT_PAUSE, STUB_CONNECTIONS_MAX};

const VERSION_HEADER: HeaderName = HeaderName::from_static("x-demo-version");

struct Service {
    behaviour: Arc<Behaviour>,
    random: RefCell<SmallRng>,
    version: Option<HeaderValue>,
    body: Bytes,
    echo: bool,
}

/// Serves until `stopped` resolves; says through `started` whether it could begin.
pub(super) fn run(
    listener: Bound,
    options: &StubOptions,
    behaviour: &Arc<Behaviour>,
    stopped: oneshot::Receiver<()>,
    started: oneshot::Sender<io::Result<()>>,
) {
    let service = Rc::new(Service {
        behaviour: Arc::clone(behaviour),
        random: RefCell::new(SmallRng::seed_from_u64(options.seed)),
        version: HeaderValue::from_str(&options.version).ok().filter(|version| !version.is_empty()),
        body: Bytes::from(vec![b'x'; options.body_bytes]),
        echo: options.echo,
    });
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let begun = runtime.and_then(|runtime| {
        let _inside = runtime.enter();
        let listener = Listener::from_bound(listener)?;
        Ok((runtime, listener))
    });
    // If whoever started the stub is gone, so is the wish to know.
    let (runtime, listener) = match begun {
        Ok(begun) => {
            let _ = started.send(Ok(()));
            begun
        }
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            // Resolves when the handle is dropped.
            _ = stopped => {}
            () = listener.accept_all(service) => {}
        }
    });
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn from_bound(bound: Bound) -> io::Result<Self> {
        match bound {
            Bound::Tcp(listener) => TcpListener::from_std(listener).map(Self::Tcp),
            Bound::Unix(listener) => UnixListener::from_std(listener).map(Self::Unix),
        }
    }

    async fn accept_all(&self, service: Rc<Service>) {
        let room = Arc::new(Semaphore::new(STUB_CONNECTIONS_MAX));
        while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                    // Without it answers are only slower.
                    let _ = stream.set_nodelay(true);
                    serve(stream, Rc::clone(&service), permit);
                }),
                Self::Unix(listener) => {
                    listener.accept().await.map(|(stream, _)| serve(stream, Rc::clone(&service), permit))
                }
            };
            if accepted.is_err() {
                // Out of file descriptors, most likely: connections that end make room.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn serve<S>(stream: S, service: Rc<Service>, permit: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    service.behaviour.count_connection();
    tokio::task::spawn_local(async move {
        let answer = service_fn(|request| answer(&service, request));
        // How a connection ends is the client's affair; what was asked on it has been counted.
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), answer)
            .await;
        drop(permit);
    });
}

async fn answer(service: &Service, request: Request<Incoming>) -> Result<Response<Reply>, Infallible> {
    let behaviour = &service.behaviour;
    behaviour.count_request();
    let (failure, latency) = {
        let random = &mut *service.random.borrow_mut();
        let path = request.uri().path();
        (behaviour.draw_failure(path, random), behaviour.dials(path).draw_latency(random))
    };
    behaviour.hang().await;
    if let Some(latency) = latency {
        tokio::time::sleep(latency).await;
    }
    let mut response = match failure {
        Some(status) => {
            let mut response = Response::new(Reply::whole(Bytes::from_static(b"injected failure\n")));
            *response.status_mut() = status;
            response
        }
        None if service.echo => {
            let mut response = Response::new(Reply::whole(echo(&request)));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        None if behaviour.cuts_body() => Response::new(Reply::cut(service.body.clone())),
        None => Response::new(Reply::whole(service.body.clone())),
    };
    if let Some(version) = &service.version {
        response.headers_mut().insert(VERSION_HEADER, version.clone());
    }
    Ok(response)
}

fn echo(request: &Request<Incoming>) -> Bytes {
    let told = json!({
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "headers": headers(request.headers()),
    });
    told.to_string().into()
}

fn headers(headers: &HeaderMap) -> Value {
    let text = |value: &HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned());
    let values = |name: &HeaderName| Value::Array(headers.get_all(name).iter().map(text).collect());
    headers.keys().map(|name| (name.to_string(), values(name))).collect::<Map<_, _>>().into()
}
