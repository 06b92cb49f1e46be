//! An address that accepts connections.

use std::time::Duration;

use ipnet::IpNet;

use crate::{address::Address, name::ListenerName, tls::ListenerTls};

/// A listener: HTTP/1.1 and HTTP/2, told apart by the first bytes in clear and by ALPN over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name in logs and metrics.
    pub name: ListenerName,
    /// Where it listens.
    pub address: Address,
    /// Peers whose `x-forwarded-*` headers are believed; everybody else's are replaced.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the same holds for whoever connects to its Unix socket.
    pub trusts_unix: bool,
    /// Certificates and what is asked of clients; connections are in clear where absent.
    pub tls: Option<ListenerTls>,
    /// Whether every connection begins with a PROXY protocol header: of the trusted proxies if there are any,
    /// otherwise of everybody.
    pub proxy_protocol: bool,
    /// A connection is ended in peace when it is this old, give or take 10 %.
    pub max_connection_age: Option<Duration>,
}
