//! The two ends of a stream, as the file says: where a control plane listens for proxies, and where a proxy finds
//! its control plane.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use crate::{
    address::Address,
    endpoint::DnsName,
    secret::Secret,
    tls::{EndpointTls, ListenerTls},
};

/// Where a control plane listens for proxies, unless the file says otherwise.
pub const FLEET_ADDRESS_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9903);
/// The file in which a proxy keeps the last plan, in the directory of the configuration, unless the file says
/// otherwise.
pub const CACHE_DEFAULT: &str = "serin-plan.json";

/// The listener for proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Where it listens; loopback by default.
    pub address: Address,
    /// Its TLS, with or without certificates of proxies; none on an address of this machine only.
    pub tls: Option<ListenerTls>,
    /// What each proxy must show.
    pub token: Option<Secret>,
    /// Which name a proxy with a certificate may have.
    pub names: Names,
}

/// Which name a proxy with a certificate may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// One that its certificate holds: the common name, or an alternative name of type DNS.
    #[default]
    Certificate,
    /// Any: whoever has one of the fleet's certificates may speak for every proxy.
    Any,
}

/// Where a proxy finds its control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// The control planes, at least one; whichever leads is used.
    pub endpoints: Vec<ControlEndpoint>,
    /// TLS to them; none where all are on this machine.
    pub tls: Option<EndpointTls>,
    /// What this proxy shows.
    pub token: Option<Secret>,
    /// The file that keeps the last plan, so that the proxy can start while no control plane answers.
    pub cache: PathBuf,
}

/// Where one control plane listens for proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlEndpoint {
    /// At an address.
    At(Address),
    /// At any address of a name, which is asked for at each attempt to connect.
    Named(DnsName),
}

impl ControlEndpoint {
    /// Whether only this machine is meant, so that nobody can read along.
    pub fn is_local(&self) -> bool {
        match self {
            Self::At(address) => address.is_local(),
            Self::Named(_) => false,
        }
    }
}

impl fmt::Display for ControlEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Named(name) => name.fmt(f),
        }
    }
}
