//! A lane: one connection that carries one request after another, and the task that drives it.
//!
//! A pool of lanes needs no pool: whoever is idle takes the next due request. A connection that the peer
//! closed while it was idle is opened anew before anything is sent. If the peer closes it just as an
//! idempotent request leaves, the request goes out once more on a new connection, as RFC 9112, 9.3.1 allows
//! and every browser does; that is counted as `resent`, and its latency goes on counting from the due time.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rand::{SeedableRng, rngs::SmallRng};
use serin_config::Address;
use tokio::net::{TcpStream, UnixStream};

use crate::{
    bounds::{CHECKED_BODY_BYTES_MAX, FAILURE_PAUSE, VERSION_BYTES_MAX},
    measure::{ErrorKind, NO_VERSION},
    queue::Source,
    recorder::Recorder,
    target::Target,
};

/// What all lanes of a load share.
pub(crate) struct Shared {
    pub(crate) target: Target,
    pub(crate) timeout: Duration,
    pub(crate) source: Source,
    pub(crate) recorder: Recorder,
}

pub(crate) struct Lane {
    shared: Rc<Shared>,
    random: SmallRng,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// The version that the current answer names; outlives an exchange that is cut short by its timeout.
    version: String,
}

impl Lane {
    pub(crate) fn new(shared: Rc<Shared>, number: u64) -> Self {
        let random = SmallRng::seed_from_u64(number);
        Self { shared, random, connection: None, version: String::new() }
    }

    pub(crate) async fn run(mut self) {
        let shared = Rc::clone(&self.shared);
        while let Some(due) = shared.source.next().await {
            shared.recorder.sent(due.elapsed());
            let failed = self.exchange(due).await.is_err();
            if failed && shared.source.rests_after_failure() {
                tokio::time::sleep(FAILURE_PAUSE).await;
            }
        }
    }

    async fn exchange(&mut self, due: Instant) -> Result<u16, ErrorKind> {
        let shared = Rc::clone(&self.shared);
        self.version.clear();
        self.version.push_str(NO_VERSION);
        let result = match tokio::time::timeout(shared.timeout, self.attempt()).await {
            Ok(result) => result,
            Err(_) => Err(ErrorKind::Timeout),
        };
        if result.is_err() {
            self.connection = None;
        }
        shared.recorder.completed(&self.version, result, due);
        result
    }

    async fn attempt(&mut self) -> Result<u16, ErrorKind> {
        let shared = Rc::clone(&self.shared);
        let mut may_resend = true;
        loop {
            let reused = self.connect().await?;
            let Some(connection) = &mut self.connection else { return Err(ErrorKind::Connect) };
            let mut refused = match connection.try_send_request(shared.target.request(&mut self.random)).await
            {
                Ok(answer) => return self.read(answer).await,
                Err(refused) => refused,
            };
            self.connection = None;
            let unsent = refused.take_message().is_some();
            let kind = kind_before_answer(refused.error());
            let safe = unsent || (kind == ErrorKind::Closed && shared.target.method.is_idempotent());
            if !(reused && safe && may_resend) {
                return Err(kind);
            }
            may_resend = false;
            shared.recorder.resent();
        }
    }

    /// Makes sure of a connection; says whether it had carried a request before.
    async fn connect(&mut self) -> Result<bool, ErrorKind> {
        if let Some(connection) = &mut self.connection
            && connection.ready().await.is_ok()
        {
            return Ok(true);
        }
        let shared = Rc::clone(&self.shared);
        self.connection = None;
        self.connection = Some(open(&shared.target.address).await.map_err(|_| ErrorKind::Connect)?);
        shared.recorder.connected();
        Ok(false)
    }

    async fn read(&mut self, answer: Response<Incoming>) -> Result<u16, ErrorKind> {
        let target = &self.shared.target;
        let (head, mut body) = answer.into_parts();
        if let Some(label) = head.headers.get(&target.version_header).and_then(|value| value.to_str().ok()) {
            // A header value that is text is ASCII, so any byte is a boundary.
            self.version.clear();
            self.version.push_str(&label[..label.len().min(VERSION_BYTES_MAX)]);
        }
        let mut kept = Vec::new();
        let mut kept_whole = true;
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|error| if error.is_parse() { ErrorKind::Protocol } else { ErrorKind::BodyCut })?;
            if let (Some(_), Ok(data)) = (&target.check, frame.into_data()) {
                kept_whole &= kept.len() + data.len() <= CHECKED_BODY_BYTES_MAX;
                if kept_whole {
                    kept.extend_from_slice(&data);
                }
            }
        }
        match &target.check {
            Some(check) if !kept_whole || !check(&head, &kept) => Err(ErrorKind::Refused),
            _ => Ok(head.status.as_u16()),
        }
    }
}

fn kind_before_answer(error: &hyper::Error) -> ErrorKind {
    if error.is_parse() { ErrorKind::Protocol } else { ErrorKind::Closed }
}

async fn open(address: &Address) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error>> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            greet(stream).await
        }
        Address::Unix(path) => greet(UnixStream::connect(path).await?).await,
    }
}

async fn greet<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What ends the connection is seen by the request on it; without one there is nothing to tell.
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    Ok(sender)
}
