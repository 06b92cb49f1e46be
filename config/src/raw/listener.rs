//! Listeners, as they are written.

use ipnet::IpNet;

use super::{decode::List, record::record};
use crate::{address::Address, name::ListenerName};

record! {
    /// An address that accepts HTTP/1.1 and clear-text HTTP/2 (prior knowledge).
    pub struct Listener {
        /// Its name in logs and metrics. Default: listener-1, listener-2, …
        @ name: ListenerName,
        /// Where it listens: IP:PORT, or unix:/absolute/path.sock.
        required @ address: Address,
        /// Peers whose x-forwarded-* headers are believed. Default: none; everybody's are replaced.
        @ trusted_proxies: List<IpNet>,
    }
}
