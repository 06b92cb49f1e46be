//! Listeners, as they are written.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::{
    decode::{Fault, Leaf, List},
    leaf::OrNone,
    record::record,
    tls::ListenerTls,
};
use crate::{address::Address, name::ListenerName};

record! {
    /// An address that accepts HTTP/1.1 and HTTP/2: in clear (prior knowledge), or over TLS.
    pub struct Listener {
        /// Its name in logs and metrics. Default: listener-1, listener-2, …
        @ name: ListenerName,
        /// Where it listens: IP:PORT, or unix:/absolute/path.sock.
        required @ address: Address,
        /// Peers whose x-forwarded-* headers are believed: networks, addresses, or unix for whoever may connect to
        /// this listener's Unix socket. Default: none; everybody's are replaced.
        @ trusted_proxies: List<TrustedPeer>,
        /// Certificates and what is asked of clients. Default: connections are in clear.
        @ tls: ListenerTls,
        /// true: every connection must begin with a PROXY protocol header (v1 or v2), which says who the client
        /// is. It is taken from trusted_proxies only if there are any, otherwise from everybody, so that whoever
        /// reaches this address can claim any client address. Default: false.
        @ proxy_protocol: bool,
        /// After this, give or take 10 %, a connection is ended in peace after the requests that are in flight.
        /// From 1s to 24h. Default: none.
        @ max_connection_age: OrNone,
    }
}

/// Whose word on a client is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedPeer {
    /// Peers of this network.
    Network(IpNet),
    /// Whoever may connect to the Unix socket.
    Unix,
}

impl Leaf for TrustedPeer {
    const EXPECTED: &'static str = "a network such as 10.0.0.0/8, or unix";
    fn read(text: &str) -> Result<Self, Fault> {
        if text == "unix" { Ok(Self::Unix) } else { IpNet::read(text).map(Self::Network) }
    }
    fn schema() -> Value {
        json!({ "type": "string", "examples": ["10.0.0.0/8", "fd00::/8", "192.0.2.7", "unix"] })
    }
}
