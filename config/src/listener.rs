//! An address that accepts connections.

use ipnet::IpNet;

use crate::{address::Address, name::ListenerName};

/// A listener: HTTP/1.1 and clear-text HTTP/2 with prior knowledge, told apart by the first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name in logs and metrics.
    pub name: ListenerName,
    /// Where it listens.
    pub address: Address,
    /// Peers whose `x-forwarded-*` headers are believed; everybody else's are replaced.
    pub trusted_proxies: Vec<IpNet>,
}
