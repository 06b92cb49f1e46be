//! Who is at the other end of a connection, as far as the connection tells.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::net::UnixStream;

use crate::{command::Caller, lead::pass::Claim, tls::Holder};

/// The other end of a connection; every request of it has this as an extension.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// The address, or the user at the other end of a Unix socket.
    pub(super) from: String,
    /// Whom its client certificate names.
    pub(super) holder: Option<Holder>,
    /// The control plane that was asked, where that one has passed the request on.
    pub(super) via: Option<String>,
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
        Self { from, holder: None, via: None, streams: Arc::default() }
    }

    /// The same, with the certificate that it has shown.
    pub(super) fn showing(self, holder: Option<Holder>) -> Self {
        Self { holder, ..self }
    }

    /// The one for whom a control plane at the other end asks.
    pub(super) fn asking_for(self, claim: Claim) -> Self {
        Self { from: claim.from, holder: None, via: Some(claim.by), streams: self.streams }
    }

    /// It as a caller of this name.
    pub(super) fn caller(&self, name: &str) -> Caller {
        let caller = Caller::new(name, &self.from);
        match &self.via {
            Some(via) => caller.via(via),
            None => caller,
        }
    }

    /// From here on the connection carries a stream, and lives as long as one may.
    pub(super) fn begin_stream(&self) {
        self.streams.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_streamed(&self) -> bool {
        self.streams.load(Ordering::Relaxed)
    }
}
