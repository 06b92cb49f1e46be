//! Who is at the other end of a connection, as far as the connection tells.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::net::UnixStream;

use crate::tls::Holder;

/// The other end of a connection; every request of it has this as an extension.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// The address, or the user at the other end of a Unix socket.
    pub(super) from: String,
    /// Whom its client certificate names.
    pub(super) holder: Option<Holder>,
    streams: Arc<AtomicBool>,
}

impl Peer {
    pub(super) fn tcp(address: SocketAddr) -> Self {
        Self::at(address.ip().to_canonical().to_string())
    }

    pub(super) fn unix(stream: &UnixStream) -> Self {
        let user = stream.peer_cred().map_or_else(|_| "unknown".into(), |peer| peer.uid().to_string());
        Self::at(format!("unix, user {user}"))
    }

    pub(super) fn at(from: String) -> Self {
        Self { from, holder: None, streams: Arc::default() }
    }

    /// The same, with the certificate that it has shown.
    pub(super) fn showing(self, holder: Option<Holder>) -> Self {
        Self { holder, ..self }
    }

    /// From here on the connection carries a stream, and lives as long as one may.
    pub(super) fn begin_stream(&self) {
        self.streams.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_streamed(&self) -> bool {
        self.streams.load(Ordering::Relaxed)
    }
}
