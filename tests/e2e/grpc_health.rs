//! Health checks by the standard protocol of gRPC, against a server that knows nothing else.

use std::{
    convert::Infallible,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use serin_config::Address;

use crate::harness::{
    SOON, beside,
    config::{SERVICE, one_version},
    http as client,
    serin::Serin,
    until,
};

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;

/// A server whose health is what the cell holds.
fn grpc_server(health: &Arc<AtomicU8>) -> Address {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let health = Arc::clone(health);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let health = Arc::clone(&health);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(request, health.load(Ordering::Relaxed)));
                    let server = http2::Builder::new(TokioExecutor::new());
                    // How a check ends its connection is its own affair.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    });
    address
}

async fn answer(
    request: Request<Incoming>,
    health: u8,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
    let well_asked = request.uri().path() == "/grpc.health.v1.Health/Check"
        && request.headers()[header::CONTENT_TYPE] == "application/grpc"
        && request.headers()[header::TE] == "trailers"
        && request.into_body().collect().await?.to_bytes() == b"\0\0\0\0\x08\x0a\x06shop.A"[..];
    let code = if well_asked { "0" } else { "3" };
    let status = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(code))]);
    let message = Full::new(Bytes::from(vec![0, 0, 0, 0, 2, 8, health]));
    let mut response = Response::new(message.with_trailers(async { Some(Ok(status)) }));
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

#[test]
fn a_grpc_server_is_in_use_while_it_says_that_it_serves() {
    let _machine = beside();
    let health = Arc::new(AtomicU8::new(SERVING));
    let mut config = one_version(&grpc_server(&health));
    let version = &mut config["services"][SERVICE]["versions"]["v1"];
    version["protocol"] = "http2".into();
    version["health"] = json!({ "grpc": { "service": "shop.A" }, "interval": "100ms" });
    let serin = Serin::start(config);
    let shown = || {
        let all = client::get(serin.admin, "/endpoints").unwrap().json();
        all["versions"][0]["endpoints"][0].clone()
    };
    until(SOON, "it passes", || shown()["health"] == "up");
    health.store(NOT_SERVING, Ordering::Relaxed);
    until(SOON, "it is out", || shown()["state"] == "down");
    assert_eq!(shown()["why"], "NOT_SERVING");
    assert_eq!(serin.get("/").status, 503);
    health.store(SERVING, Ordering::Relaxed);
    until(SOON, "it is back", || shown()["state"] == "ready");
}
