//! `serin load grpc-echo`: a unary gRPC service that says what it hears, the backend of comparisons.
//!
//! It knows nothing of messages: what a call sends comes back, and then the status OK in the trailers.

use std::{convert::Infallible, net::SocketAddr, process::ExitCode};

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::super::{can_not, raise_descriptor_limit};

/// The largest call, in bytes.
const CALL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Streams at once on a connection: proxies have few of them, and many calls on each.
const STREAMS_MAX: u32 = 1_000;

/// Where it listens.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Such as 127.0.0.1:8080; one or more
    #[arg(required = true)]
    listen: Vec<SocketAddr>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(&arguments.listen))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => can_not(error),
    }
}

async fn serve(listen: &[SocketAddr]) -> std::io::Result<()> {
    let mut all = tokio::task::JoinSet::new();
    for address in listen {
        let listener = TcpListener::bind(address).await?;
        all.spawn(accept(listener));
    }
    while let Some(ended) = all.join_next().await {
        ended.map_err(std::io::Error::other)??;
    }
    Ok(())
}

async fn accept(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.max_concurrent_streams(STREAMS_MAX);
        tokio::spawn(async move {
            // Whoever breaks off has no answer to miss.
            let _ = builder.serve_connection(TokioIo::new(stream), service_fn(echo)).await;
        });
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn echo(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let is_grpc = kind.as_ref().is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let call = Limited::new(request.into_body(), CALL_BYTES_MAX).collect().await;
    Ok(match (call, kind) {
        (Ok(call), Some(kind)) if is_grpc => {
            let status = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
            let body = Full::new(call.to_bytes()).with_trailers(async move { Some(Ok(status)) });
            let mut answer = Response::new(body.boxed());
            answer.headers_mut().insert(header::CONTENT_TYPE, kind);
            answer
        }
        _ => {
            let mut refused = Response::new(Full::default().boxed());
            *refused.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            refused
        }
    })
}

const GRPC_STATUS: http::HeaderName = http::HeaderName::from_static("grpc-status");
