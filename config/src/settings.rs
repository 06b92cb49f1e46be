//! The whole file, typed.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

pub use crate::telemetry::Telemetry;
use crate::{
    address::Address,
    catalogue::Catalogue,
    endpoint::Dns,
    fleet::{Connect, Fleet},
    grant::CertificateGrant,
    limits::Limits,
    listener::Listener,
    notification::Recipient,
    secret::Secret,
    terms::Terms,
    tls::{EndpointTls, ListenerTls},
};

/// The admin listener's address, unless the file says otherwise.
pub const ADMIN_ADDRESS_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9901);
/// The control plane's address, unless the file says otherwise.
pub const CONTROL_ADDRESS_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9902);
/// The control plane's state file, in the directory of the configuration, unless the file says otherwise.
pub const STATE_DEFAULT: &str = "serin-state.redb";

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `serin run`: proxy and control plane in one process.
    Run,
    /// `serin control`: the control plane, for proxies that run elsewhere.
    Control,
    /// `serin proxy`: the proxy, told by a control plane elsewhere.
    Proxy,
}

/// Everything that one configuration file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The command that it is for.
    pub purpose: Purpose,
    /// Where traffic comes in; at least one, but for [`Purpose::Control`].
    pub listeners: Vec<Listener>,
    /// Routes and services; none for [`Purpose::Proxy`].
    pub catalogue: Arc<Catalogue>,
    /// Metrics, health and the current plan.
    pub admin: Admin,
    /// The control plane, or where it is.
    pub control: Control,
    /// What is told about the traffic.
    pub telemetry: Telemetry,
    /// Bounds.
    pub limits: Limits,
    /// Whom the names of versions are asked of.
    pub dns: Dns,
    /// What holds for rollouts of all services.
    pub terms: Arc<Terms>,
    /// Who is told of decisions; at most [`RECIPIENTS_MAX`](crate::limits::RECIPIENTS_MAX).
    pub notifications: Vec<Recipient>,
}

/// The admin listener: reads only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Loopback by default.
    pub address: Address,
}

/// The control plane; of a [`Purpose::Proxy`], only `connect` has a meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Where its API listens; loopback by default.
    pub address: Address,
    /// Where its state is kept.
    pub state: PathBuf,
    /// A bearer token of the API that may do everything. Where it or `identities` are given, nobody may do
    /// anything without a token or a certificate.
    pub token: Option<Secret>,
    /// TLS of the API. Given wherever other machines reach it, unless the file names the danger.
    pub tls: Option<ListenerTls>,
    /// What holders of client certificates may do on the API.
    pub identities: Vec<CertificateGrant>,
    /// If present, the state is kept there and not in the file.
    pub etcd: Option<Etcd>,
    /// Where it listens for proxies that run as processes of their own.
    pub fleet: Option<Fleet>,
    /// Where the control plane of this proxy is; always there for [`Purpose::Proxy`], and for no other.
    pub connect: Option<Connect>,
}

impl Control {
    /// Whether whoever asks must say who it is.
    pub fn asks_who(&self) -> bool {
        self.token.is_some() || !self.identities.is_empty()
    }
}

/// State in etcd, shared by several control planes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    /// Its members, `HOST:PORT`; at least one.
    pub endpoints: Vec<Box<str>>,
    /// What the keys of this fleet begin with.
    pub prefix: String,
    /// How long a leader may be silent before another is elected; whole seconds.
    pub lease: Duration,
    /// Who this is to etcd, and the password.
    pub user: Option<(String, Secret)>,
    /// TLS to the members; in clear where absent.
    pub tls: Option<EndpointTls>,
    /// How often etcd is told to forget overwritten values.
    pub compaction: Option<Duration>,
    /// Where others reach this control plane.
    pub advertise: Advertise,
}

/// Where others reach this control plane; by the addresses at which it listens where absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Advertise {
    /// Its API: `http://HOST:PORT` or `https://HOST:PORT`.
    pub api: Option<String>,
    /// Its listener for proxies: `HOST:PORT`.
    pub fleet: Option<String>,
    /// The certificates, PEM, that may sign those of the APIs of all control planes; the system's where absent.
    pub ca: Option<PathBuf>,
}

/// What the keys of a fleet begin with, unless the file says otherwise.
pub const ETCD_PREFIX_DEFAULT: &str = "serin";
