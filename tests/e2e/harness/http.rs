//! A small client that blocks: one request on a connection of its own, or bytes as they are.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}), status {}: {}", self.status, self.body))
    }

    /// A header as text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of text"))
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<Reply> {
    call(address, "GET", path, None)
}

/// The same with further headers.
pub(crate) fn get_with(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> io::Result<Reply> {
    let mut request = Request::builder().uri(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(address, request.body(Full::default()).expect("a request of well-formed parts"))
}

pub(crate) fn call(address: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> io::Result<Reply> {
    call_within(TIMEOUT, address, method, path, body)
}

/// [`call`], for one who may not answer at all.
pub(crate) fn call_within(
    within: Duration,
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<Reply> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", address.to_string())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .expect("a request of constant parts");
    send_within(within, address, request)
}

fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> io::Result<Reply> {
    send_within(TIMEOUT, address, request)
}

fn send_within(within: Duration, address: SocketAddr, request: Request<Full<Bytes>>) -> io::Result<Reply> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::time::timeout(within, exchange(address, request))
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
    })
}

async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> io::Result<Reply> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    driver.abort();
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
}

/// Sends bytes as they are, and reads until the peer closes.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("the listener is there");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout above zero");
    // The peer may refuse before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => {
                panic!("the connection stayed open ({error}) after {:?}", String::from_utf8_lossy(&answer))
            }
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}
