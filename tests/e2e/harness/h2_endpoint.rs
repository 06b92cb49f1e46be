//! An endpoint of HTTP/2 that does what a test says with each stream: answer, refuse, hang, say farewell.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use h2::{Reason, server};
use http::{Request, Response};
use serin_config::Address;
use tokio::sync::oneshot;

/// What becomes of one request.
pub(crate) enum Act {
    /// 200 with this body.
    Answer(&'static str),
    /// `RST_STREAM` with this reason.
    Reset(Reason),
    /// Nothing, until the proxy gives up.
    Hang,
    /// 200, and `GOAWAY`: no further request on this connection.
    AnswerLast(&'static str),
}

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

/// A server of HTTP/2 with prior knowledge. Dropping it closes everything.
pub(crate) struct H2Endpoint {
    address: SocketAddr,
    seen: Arc<Seen>,
    _stop: oneshot::Sender<()>,
}

impl H2Endpoint {
    /// Serves; `act` gets the number of the request, from 0, and the request. It allows so many streams at once
    /// on a connection.
    pub(crate) fn start(
        streams_max: u32,
        act: impl Fn(usize, &Request<h2::RecvStream>) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::<Seen>::default();
        let (stop, stopped) = oneshot::channel();
        let theirs = seen.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let act = Arc::new(act);
                let accepting = async {
                    while let Ok((socket, _)) = listener.accept().await {
                        theirs.connections.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(serve(socket, streams_max, theirs.clone(), act.clone()));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, seen, _stop: stop }
    }

    pub(crate) fn address(&self) -> Address {
        Address::Tcp(self.address)
    }

    /// Connections that were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Requests that arrived.
    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::Relaxed)
    }
}

async fn serve(
    socket: tokio::net::TcpStream,
    streams_max: u32,
    seen: Arc<Seen>,
    act: Arc<impl Fn(usize, &Request<h2::RecvStream>) -> Act>,
) {
    let mut builder = server::Builder::new();
    let Ok(mut connection) = builder.max_concurrent_streams(streams_max).handshake(socket).await else {
        return;
    };
    let mut hanging = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let number = seen.requests.fetch_add(1, Ordering::Relaxed);
        let answer = |respond: &mut server::SendResponse<Bytes>, text: &'static str| {
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from_static(text.as_bytes()), true).unwrap();
        };
        match act(number, &request) {
            Act::Answer(text) => answer(&mut respond, text),
            Act::AnswerLast(text) => {
                answer(&mut respond, text);
                connection.graceful_shutdown();
            }
            Act::Reset(reason) => respond.send_reset(reason),
            Act::Hang => hanging.push((request, respond)),
        }
    }
}
