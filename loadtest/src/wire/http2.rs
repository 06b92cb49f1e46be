//! HTTP/2: one connection that several lanes share, each with one stream at a time.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
    rt::Executor,
};
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;

use super::{Broken, Reading, dial::Dial};
use crate::{
    bounds::{HTTP2_CONNECTION_WINDOW, HTTP2_STREAM_WINDOW},
    measure::ErrorKind,
};

/// The trailer or header by which gRPC says how a call ended.
const GRPC_STATUS: &str = "grpc-status";
/// How the type of a gRPC answer begins.
const GRPC: &[u8] = b"application/grpc";

/// Runs what hyper needs run on the load's own thread.
#[derive(Debug, Clone, Copy)]
struct Local;

impl<F: Future<Output = ()> + 'static> Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// A connection that is there for several lanes, and opened anew by whoever first finds it gone.
#[derive(Debug)]
pub(crate) struct Shared {
    current: RefCell<Option<SendRequest<Full<Bytes>>>>,
    opening: Mutex<()>,
}

impl Shared {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { current: RefCell::new(None), opening: Mutex::new(()) })
    }

    fn open_one(&self) -> Option<SendRequest<Full<Bytes>>> {
        self.current.borrow().as_ref().filter(|sender| !sender.is_closed()).cloned()
    }

    /// The way to send; and whether it was made just now.
    pub(crate) async fn connected(&self, dial: &Dial) -> Result<(SendRequest<Full<Bytes>>, bool), ErrorKind> {
        if let Some(sender) = self.open_one() {
            return Ok((sender, false));
        }
        let _turn = self.opening.lock().await;
        if let Some(sender) = self.open_one() {
            return Ok((sender, false));
        }
        let io = dial.open().await.map_err(|_| ErrorKind::Connect)?;
        let (sender, connection) = http2::Builder::new(Local)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|_| ErrorKind::Connect)?;
        // What ends it is seen by the streams on it.
        tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        *self.current.borrow_mut() = Some(sender.clone());
        Ok((sender, true))
    }
}

/// One request on a stream of its own; gives the status.
pub(crate) async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    version_header: &http::HeaderName,
    reading: &mut Reading,
) -> Result<u16, Broken> {
    if sender.ready().await.is_err() {
        return Err(Broken { kind: ErrorKind::Closed, unsent: true });
    }
    match sender.try_send_request(request).await {
        Ok(answer) => read(answer, version_header, reading).await,
        Err(mut refused) => {
            let unsent = refused.take_message().is_some();
            let kind = if refused.error().is_parse() { ErrorKind::Protocol } else { ErrorKind::Closed };
            Err(Broken { kind, unsent })
        }
    }
}

async fn read(
    answer: Response<Incoming>,
    version_header: &http::HeaderName,
    reading: &mut Reading,
) -> Result<u16, Broken> {
    let (head, mut body) = answer.into_parts();
    let status = head.status.as_u16();
    if let Some(label) = head.headers.get(version_header) {
        reading.is_of(label.as_bytes());
    }
    let is_call =
        head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(GRPC));
    let mut ended = call_ended(&head.headers);
    if reading.wants_all() {
        reading.head(head);
    }
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| ErrorKind::BodyCut)?.into_data() {
            Ok(data) => reading.data(&data),
            Err(frame) => ended = frame.trailers_ref().and_then(call_ended).or(ended),
        }
    }
    match ended {
        Some(true) => Ok(status),
        Some(false) => Err(ErrorKind::Grpc.into()),
        // A call without its status is not whole, whatever came of it.
        None if is_call && status == 200 => Err(ErrorKind::BodyCut.into()),
        None => Ok(status),
    }
}

/// Whether a gRPC call ended well, where this says how it ended.
fn call_ended(fields: &HeaderMap) -> Option<bool> {
    fields.get(GRPC_STATUS).map(|status| status == "0")
}
