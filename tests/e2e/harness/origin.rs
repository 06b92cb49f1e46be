//! A real server behind Serin: hyper, over TCP, TLS or a Unix socket, in HTTP/1.1 or HTTP/2. What it does depends on
//! the path, and it tells in its answers what it saw.
//!
//! For an endpoint whose every byte a test decides there is [`super::endpoint`].

use std::{
    collections::HashSet,
    io,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use hyper::{
    body::{Body, Frame, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serin_config::Address;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    runtime::Runtime,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use super::certs::Files;

/// Bytes of the answer to `/large`.
pub(crate) const LARGE: usize = 2 * 1024 * 1024;
/// What `/trailers` sends after its body.
pub(crate) const SUM: &str = "4711";

type Answer = Response<BoxBody<Bytes, io::Error>>;

/// The HTTP that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
}

/// Where and how it listens.
pub(crate) enum At {
    Tcp,
    Tls(TlsAcceptor),
    Unix(PathBuf),
}

impl At {
    /// Over TLS, with this certificate and these protocols to offer.
    pub(crate) fn tls(identity: &Files, alpn: &[&str]) -> Self {
        let chain = CertificateDer::pem_file_iter(&identity.cert).expect("a chain");
        let chain = chain.map(|cert| cert.expect("a certificate")).collect();
        let key = PrivateKeyDer::from_pem_file(&identity.key).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config
            .expect("the provider knows the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("key and certificate belong together");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self::Tls(TlsAcceptor::from(Arc::new(config)))
    }
}

/// What it has noticed: the queries of requests that were given up before their answer was complete.
type GivenUp = Arc<Mutex<HashSet<String>>>;

/// A running server; it ends when it is dropped.
pub(crate) struct Origin {
    address: Address,
    given_up: GivenUp,
    _runtime: Runtime,
}

impl Origin {
    pub(crate) fn start(at: At, speaks: Speaks) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let given_up = GivenUp::default();
        let noted = Arc::clone(&given_up);
        let address = runtime.block_on(async move {
            match at {
                At::Unix(path) => {
                    let listener = UnixListener::bind(&path).expect("a path that is free");
                    tokio::spawn(async move {
                        while let Ok((stream, _)) = listener.accept().await {
                            tokio::spawn(serve(stream, speaks, Arc::clone(&noted)));
                        }
                    });
                    Address::Unix(path)
                }
                tcp => {
                    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
                    let address = Address::Tcp(listener.local_addr().expect("a bound socket has an address"));
                    let tls = if let At::Tls(tls) = tcp { Some(tls) } else { None };
                    tokio::spawn(async move {
                        while let Ok((stream, _)) = listener.accept().await {
                            let (tls, noted) = (tls.clone(), Arc::clone(&noted));
                            tokio::spawn(async move {
                                match tls {
                                    None => serve(stream, speaks, noted).await,
                                    Some(tls) => {
                                        if let Ok(stream) = tls.accept(stream).await {
                                            serve(stream, speaks, noted).await;
                                        }
                                    }
                                }
                            });
                        }
                    });
                    address
                }
            }
        });
        Self { address, given_up, _runtime: runtime }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether a request with this query was given up before its answer was complete.
    pub(crate) fn was_given_up(&self, query: &str) -> bool {
        self.given_up.lock().unwrap().contains(query)
    }
}

async fn serve<S>(stream: S, speaks: Speaks, given_up: GivenUp)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, Arc::clone(&given_up)));
    let io = TokioIo::new(stream);
    // How a connection ends is what the test looks at from the other side.
    let _ = match speaks {
        Speaks::Http1 => http1::Builder::new().half_close(false).serve_connection(io, service).await,
        Speaks::Http2 => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
    };
}

async fn answer(request: Request<Incoming>, given_up: GivenUp) -> Result<Answer, io::Error> {
    let seen = seen(&request);
    let query = request.uri().query().unwrap_or_default().to_owned();
    let path = request.uri().path().to_owned();
    let mut answer = match path.as_str() {
        "/echo" => echo(request),
        "/early" => status(StatusCode::PAYLOAD_TOO_LARGE, "enough of that"),
        "/refuse-to-continue" => status(StatusCode::EXPECTATION_FAILED, "not that"),
        "/no-content" => with_body(StatusCode::NO_CONTENT, Empty::new()),
        "/not-modified" => {
            let mut answer = with_body(StatusCode::NOT_MODIFIED, Empty::new());
            answer.headers_mut().insert("etag", HeaderValue::from_static("\"a\""));
            answer
        }
        // hyper does not leave out the body of an answer to HEAD in HTTP/2.
        "/large" if request.method() == Method::HEAD => {
            let mut answer = with_body(StatusCode::OK, Empty::new());
            answer.headers_mut().insert("content-length", LARGE.into());
            answer
        }
        "/large" => with_body(StatusCode::OK, Full::from(vec![b'x'; LARGE])),
        "/trailers" => trailers(),
        "/cut" => cut().await,
        "/hang" => {
            let _guard = GuardedBy { query, given_up };
            std::future::pending().await
        }
        "/hang-in-body" => hang_in_body(GuardedBy { query, given_up }),
        _ => status(StatusCode::NOT_FOUND, "no such path"),
    };
    answer.headers_mut().extend(seen);
    Ok(answer)
}

/// What came, as fields of the answer.
fn seen(request: &Request<Incoming>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        fields.insert(name, HeaderValue::from_str(value).expect("a value of text"));
    };
    let headers = request.headers();
    let all = |name: &str| {
        let values =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        values.collect::<Vec<_>>().join(" | ")
    };
    put("x-seen-version", &format!("{:?}", request.version()));
    put("x-seen-method", request.method().as_str());
    put("x-seen-path", request.uri().path());
    let authority = request.uri().authority().map(ToString::to_string);
    put("x-seen-host", &authority.unwrap_or_else(|| all("host")));
    put("x-seen-cookie", &all("cookie"));
    put("x-seen-expect", &all("expect"));
    fields
}

fn with_body<B>(status: StatusCode, body: B) -> Answer
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + Sync + 'static,
{
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    answer
}

fn status(status: StatusCode, text: &'static str) -> Answer {
    with_body(status, Full::from(text))
}

/// Data and trailers back as they come.
fn echo(request: Request<Incoming>) -> Answer {
    let announced = request.headers().get("trailer").cloned();
    let mut answer = Response::new(request.into_body().map_err(io::Error::other).boxed());
    if let Some(announced) = announced {
        answer.headers_mut().insert("trailer", announced);
    }
    answer
}

/// A body of frames that a task sends.
struct Frames(mpsc::Receiver<Result<Frame<Bytes>, io::Error>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(cx)
    }
}

fn stream() -> (mpsc::Sender<Result<Frame<Bytes>, io::Error>>, Answer) {
    let (send, receive) = mpsc::channel(1);
    (send, Response::new(Frames(receive).boxed()))
}

fn trailers() -> Answer {
    let (send, mut answer) = stream();
    answer.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
    tokio::spawn(async move {
        let mut fields = HeaderMap::new();
        fields.insert("x-sum", HeaderValue::from_static(SUM));
        let _ = send.send(Ok(Frame::data(Bytes::from_static(b"before the trailers")))).await;
        let _ = send.send(Ok(Frame::trailers(fields))).await;
    });
    answer
}

/// Some of the body, then the end of the connection or stream.
async fn cut() -> Answer {
    let (send, answer) = stream();
    tokio::spawn(async move {
        let _ = send.send(Ok(Frame::data(Bytes::from(vec![b'x'; 64 * 1024])))).await;
        // The pieces so far shall be on their way: the cut is meant to come within the body.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = send.send(Err(io::Error::other("cut on purpose"))).await;
    });
    answer
}

fn hang_in_body(guard: GuardedBy) -> Answer {
    let (send, answer) = stream();
    tokio::spawn(async move {
        let _ = send.send(Ok(Frame::data(Bytes::from_static(b"the first piece")))).await;
        // Whoever drops the body drops its receiver.
        send.closed().await;
        drop(guard);
    });
    answer
}

/// Notes its query when it is dropped.
struct GuardedBy {
    query: String,
    given_up: GivenUp,
}

impl Drop for GuardedBy {
    fn drop(&mut self) {
        self.given_up.lock().unwrap().insert(std::mem::take(&mut self.query));
    }
}
