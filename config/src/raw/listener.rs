//! Listeners, as they are written.

use ipnet::IpNet;

use super::{decode::List, leaf::OrNone, record::record, tls::ListenerTls};
use crate::{address::Address, name::ListenerName};

record! {
    /// An address that accepts HTTP/1.1 and HTTP/2: in clear (prior knowledge), or over TLS.
    pub struct Listener {
        /// Its name in logs and metrics. Default: listener-1, listener-2, …
        @ name: ListenerName,
        /// Where it listens: IP:PORT, or unix:/absolute/path.sock.
        required @ address: Address,
        /// Peers whose x-forwarded-* headers are believed. Default: none; everybody's are replaced.
        @ trusted_proxies: List<IpNet>,
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
