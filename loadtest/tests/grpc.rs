//! gRPC calls: how one ended is in its trailers, and one without them is not whole.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serin_config::Address;
use serin_loadtest::{Ask, ErrorKind, Load, Pace, Protocol, Stop, Target, measure::VersionTally};

/// Answers as a gRPC service; the path says the status that stands in the trailers, if any.
async fn answer(
    request: Request<Incoming>,
) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>, Infallible> {
    let path = request.uri().path();
    let status = ["0", "13"].into_iter().find(|status| path.ends_with(status));
    let body = Full::new(Bytes::from_static(b"\0\0\0\0\x01x"));
    let body = match status.map(HeaderValue::from_static) {
        None => body.boxed(),
        Some(status) => {
            let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), status)]);
            body.with_trailers(async move { Some(Ok(trailers)) }).boxed()
        }
    };
    let mut answer = Response::new(body);
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc+proto"));
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_has_ended_well_when_its_trailers_say_so() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serve = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(serve);
        }
    });
    for (status, expected) in
        [("0", Ok(200)), ("13", Err(ErrorKind::Grpc)), ("none", Err(ErrorKind::BodyCut))]
    {
        let ask = Ask::get().method("POST").unwrap().path(&format!("/{status}")).unwrap();
        let ask = ask.header("content-type", "application/grpc").unwrap().header("te", "trailers").unwrap();
        let target = Target::new(Address::Tcp(address)).protocol(Protocol::Http2).asks(vec![ask]).unwrap();
        let load = Load::new(target, Pace::Closed { connections: 1 }, Stop::Count(5)).streams_max(1);
        let report = load.start().unwrap().report().await.unwrap();
        let ended: Vec<_> =
            report.tally.versions().flat_map(VersionTally::ended).map(|ended| ended.outcome).collect();
        assert_eq!((report.tally.total(), ended), (5, vec![expected]), "grpc-status {status}");
    }
}
