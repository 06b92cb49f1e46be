//! The proxy's side of the stream: one connection for each proxy, as `serin proxy` has it, and messages that were
//! encoded before.

use std::{future::Future, net::SocketAddr, pin::Pin, task::Context, task::Poll};

use http::{Request, Response, Uri};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::{
    Message,
    bytes::{BufMut, Bytes},
};
use serin_config::{
    fleet::message::{Down, Up, Upward},
    limits::{FLEET_PING_INTERVAL, FLEET_PING_TIMEOUT, H2_CONNECTION_WINDOW, H2_STREAM_WINDOW},
};
use tokio::net::TcpStream;
use tonic::{
    Status,
    body::Body,
    client::GrpcService,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// A message, encoded.
pub(crate) fn encoded(said: Upward) -> Bytes {
    Up { said: Some(said) }.encode_to_vec().into()
}

/// A message of which one field is told in parts: parts of one message may follow each other on the wire, and are read
/// as one. `field` is the number of the field in `Up`.
pub(crate) fn encoded_parts(field: u8, parts: [&[u8]; 2]) -> Bytes {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(length + 8);
    // Of wire type 2: a length, then so many bytes.
    bytes.push((field << 3) | 2);
    prost::encode_length_delimiter(length, &mut bytes).unwrap();
    parts.iter().for_each(|part| bytes.put_slice(part));
    bytes.into()
}

/// Encoded messages out, [`Down`] in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Messages;

impl Codec for Messages {
    type Encode = Bytes;
    type Decode = Down;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Messages {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Messages {
    type Item = Down;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Down>, Status> {
        Down::decode(from).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// One connection.
pub(crate) struct Requests(http2::SendRequest<Body>);

impl GrpcService<Body> for Requests {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Connects with the settings of a proxy's uplink.
pub(crate) async fn connect(address: SocketAddr) -> std::io::Result<(Requests, Uri)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (send, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(FLEET_PING_INTERVAL)
        .keep_alive_timeout(FLEET_PING_TIMEOUT)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let origin = format!("http://{address}/").parse().map_err(std::io::Error::other)?;
    Ok((Requests(send), origin))
}
