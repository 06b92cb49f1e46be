//! A client that speaks clear-text HTTP/2 with prior knowledge.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::runtime::Runtime;

use super::SOON;

/// What a test sends.
pub(crate) type Outgoing = BoxBody<Bytes, std::convert::Infallible>;

/// One connection, and the runtime that drives it.
pub(crate) struct H2 {
    pub(crate) runtime: Runtime,
    pub(crate) sender: SendRequest<Outgoing>,
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl H2 {
    /// Connects; `window` is how much of one response may be on its way without having been read.
    pub(crate) fn connect(address: SocketAddr, window: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let sender = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await.expect("the listener is there");
            stream.set_nodelay(true).expect("a TCP socket");
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).initial_stream_window_size(window);
            let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    /// Sends a request and waits for the head of its response.
    pub(crate) fn begin(&mut self, request: Request<Outgoing>) -> hyper::Result<Response<Incoming>> {
        let answer = self.sender.send_request(request);
        self.runtime.block_on(async { tokio::time::timeout(SOON, answer).await.expect("an answer in time") })
    }

    /// Sends a request and reads its whole response.
    pub(crate) fn ask(&mut self, request: Request<Outgoing>) -> hyper::Result<Answer> {
        let (head, body) = self.begin(request)?.into_parts();
        let body = self
            .runtime
            .block_on(async { tokio::time::timeout(SOON, body.collect()).await.expect("a body in time") })?;
        let trailers = body.trailers().cloned();
        let (status, headers) = (head.status.as_u16(), head.headers);
        Ok(Answer { status, headers, body: body.to_bytes(), trailers })
    }
}

/// A body of known length.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Outgoing {
    http_body_util::Full::new(bytes.into()).boxed()
}

/// No body.
pub(crate) fn empty() -> Outgoing {
    http_body_util::Empty::new().boxed()
}
