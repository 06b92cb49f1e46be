//! From an accepted socket to a stream that speaks HTTP: whom it comes from, and TLS.
//!
//! All of it runs in the connection's own task and within the time for the first request's head, so that a client
//! which says nothing, or half of a handshake, holds up nobody and goes by the same clock as one that drips its
//! head.

use std::{
    io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use ::metrics::Counter;
use ipnet::IpNet;
use serin_config::{Listener, limits::DRAIN_HANDSHAKE};
use serin_split::{
    age,
    proxy_protocol::{self, Malformed, Source, Step},
};
use tokio::io::AsyncReadExt;

use super::{
    stream::Stream,
    worker::{Peer, Worker},
};
use crate::{
    observe::metrics,
    tls::{Acceptor, server::Alpn},
};

/// What holds for the connections of one listener.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    trusted_proxies: Arc<[IpNet]>,
    trusts_unix: bool,
    tls: Option<Acceptor>,
    proxy_protocol: Option<ProxyProtocol>,
    max_age: Option<Duration>,
}

/// Headers that say who the client is, and how many of them could not be taken.
#[derive(Debug, Clone)]
struct ProxyProtocol {
    malformed: Counter,
    untrusted: Counter,
    timeout: Counter,
    closed: Counter,
}

/// A connection that HTTP can be spoken on.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) stream: Stream,
    pub(crate) peer: Peer,
    pub(crate) speaks: Speaks,
    /// When the client has to have sent its first head.
    pub(crate) head_by: Instant,
    /// When the connection is old enough to be ended in peace.
    pub(crate) old_at: Option<Instant>,
}

/// Which HTTP it will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// The first bytes tell.
    Either,
    /// HTTP/1.1, whatever the first bytes look like.
    Http1,
    /// HTTP/2, or it is a mistake.
    Http2,
}

impl Terms {
    /// The terms of a listener; its TLS was opened before.
    pub(crate) fn new(listener: &Listener, tls: Option<Acceptor>) -> Self {
        let refused = |reason| metrics::proxy_protocol_refused(listener.name.as_str(), reason);
        Self {
            trusted_proxies: Arc::from(listener.trusted_proxies.clone()),
            trusts_unix: listener.trusts_unix,
            tls,
            proxy_protocol: listener.proxy_protocol.then(|| ProxyProtocol {
                malformed: refused("malformed"),
                untrusted: refused("untrusted"),
                timeout: refused("timeout"),
                closed: refused("closed"),
            }),
            max_age: listener.max_connection_age,
        }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

/// Takes a connection up to where HTTP begins; none if it does not come that far, which was counted.
pub(crate) async fn arrive(
    worker: &Worker,
    terms: &Terms,
    mut stream: Stream,
    mut address: Option<IpAddr>,
    accepted: Instant,
) -> Option<Arrived> {
    let head_by = accepted + worker.limits.client_header_timeout;
    let old_at = terms.max_age.map(|age| accepted + age::jittered(age, worker.random()));
    if let Some(proxy_protocol) = &terms.proxy_protocol {
        address = proxy_protocol.client(worker, terms, &mut stream, address, head_by).await?;
    }
    let mut peer = Peer::new(address, &terms.trusted_proxies, terms.trusts_unix);
    let Some(acceptor) = &terms.tls else {
        return Some(Arrived { stream, peer, speaks: Speaks::Either, head_by, old_at });
    };
    let accepted = match in_time(worker, head_by, acceptor.accept(stream)).await {
        Some(Ok(accepted)) => accepted,
        Some(Err(error)) => {
            tracing::debug!(%error, "no TLS with a client");
            return None;
        }
        None => {
            acceptor.late();
            return None;
        }
    };
    (peer.secure, peer.identity) = (true, accepted.identity);
    let speaks = match accepted.alpn {
        Alpn::Http2 => Speaks::Http2,
        Alpn::Unsaid if acceptor.http2() => Speaks::Either,
        Alpn::Http1 | Alpn::Unsaid => Speaks::Http1,
    };
    Some(Arrived { stream: accepted.stream, peer, speaks, head_by, old_at })
}

impl ProxyProtocol {
    /// The address that the header names, or the peer's own where it names none.
    async fn client(
        &self,
        worker: &Worker,
        terms: &Terms,
        stream: &mut Stream,
        peer: Option<IpAddr>,
        head_by: Instant,
    ) -> Option<Option<IpAddr>> {
        // Who reaches a Unix socket was let in by its permissions.
        let trusted = peer.is_none_or(|peer| terms.trusted_proxies.is_empty() || terms.is_trusted(peer));
        if !trusted {
            self.untrusted.increment(1);
            return None;
        }
        match in_time(worker, head_by, read_header(stream)).await {
            Some(Ok(Ok(Source::Client(client)))) => Some(Some(client.ip())),
            Some(Ok(Ok(Source::Peer))) => Some(peer),
            Some(Ok(Err(error))) => {
                tracing::debug!(%error, "a connection without the PROXY protocol");
                self.malformed.increment(1);
                None
            }
            Some(Err(_)) => {
                self.closed.increment(1);
                None
            }
            None => {
                self.timeout.increment(1);
                None
            }
        }
    }
}

/// Reads the header of the PROXY protocol, and not a byte more.
async fn read_header(stream: &mut Stream) -> io::Result<Result<Source, Malformed>> {
    let mut bytes = Vec::new();
    loop {
        match proxy_protocol::read(&bytes) {
            Ok(Step::Done(source)) => return Ok(Ok(source)),
            Err(malformed) => return Ok(Err(malformed)),
            Ok(Step::Need(more)) => {
                let filled = bytes.len();
                bytes.resize(filled + more, 0);
                let got = stream.read(&mut bytes[filled..]).await?;
                if got == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                bytes.truncate(filled + got);
            }
        }
    }
}

/// What a future brings before `deadline`; a draining worker waits a shorter time.
async fn in_time<T>(worker: &Worker, deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let drain = worker.drain_begun.notified();
    tokio::pin!(future, drain);
    if !worker.draining.get() {
        tokio::select! {
            biased;
            done = tokio::time::timeout_at(deadline.into(), &mut future) => return done.ok(),
            () = drain => {}
        }
    }
    let sooner = tokio::time::Instant::now() + DRAIN_HANDSHAKE;
    tokio::time::timeout_at(sooner.min(deadline.into()), future).await.ok()
}
