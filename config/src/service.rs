//! A service: named versions, the split between them, and how they are called.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{
    address::Address,
    endpoint::{Discovery, EndpointPolicy, OnUnready},
    name::{EventName, ServiceName, VersionName},
    policy::RolloutPolicy,
    resilience::Resilience,
    steer::{Mirror, Override},
    tls::{EndpointTls, HttpProtocol},
    weight::{Split, Weight},
};

/// What keeps a user on one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// The value of this cookie; a request without it is split at random.
    Cookie(String),
    /// The value of this header (lower-case); a request without it is split at random.
    Header(String),
    /// The client's address.
    ClientAddress,
    /// Nothing: each request is split at random.
    Random,
}

impl fmt::Display for Sticky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::ClientAddress => f.write_str("client address"),
            Self::Random => f.write_str("random"),
        }
    }
}

/// The protocol that connections may be upgraded to, unless the file says otherwise.
pub const UPGRADE_DEFAULT: &str = "websocket";

/// How long a request may wait for an endpoint. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timeouts {
    /// For the connection to be accepted.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub connect: Duration,
    /// From the request sent to the response's headers.
    #[serde(serialize_with = "crate::duration::serialize_any")]
    pub header: Option<Duration>,
    /// Between two pieces of a body.
    #[serde(serialize_with = "crate::duration::serialize_any")]
    pub idle: Option<Duration>,
    /// For the whole exchange; absent by default, since it would cut streams.
    #[serde(serialize_with = "crate::duration::serialize_any")]
    pub total: Option<Duration>,
    /// Without a byte in either direction, once a connection has been upgraded.
    #[serde(serialize_with = "crate::duration::serialize_any")]
    pub tunnel: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        use crate::limits as l;
        Self {
            connect: l::CONNECT_TIMEOUT_DEFAULT,
            header: Some(l::HEADER_TIMEOUT_DEFAULT),
            idle: Some(l::IDLE_TIMEOUT_DEFAULT),
            total: None,
            tunnel: Some(l::TUNNEL_TIMEOUT_DEFAULT),
        }
    }
}

/// Timeouts that are given; the others stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TimeoutChanges {
    /// Another limit for the connection to be accepted.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::duration::serialize_any")]
    pub connect: Option<Duration>,
    /// Another limit, or none, for the response's headers.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_change")]
    pub header: Option<Option<Duration>>,
    /// Another limit, or none, between two pieces of a body.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_change")]
    pub idle: Option<Option<Duration>>,
    /// Another limit, or none, for the whole exchange.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_change")]
    pub total: Option<Option<Duration>>,
    /// Another limit, or none, for a tunnel in which nothing moves.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_change")]
    pub tunnel: Option<Option<Duration>>,
}

#[expect(clippy::ref_option, clippy::option_option, reason = "serde hands the field over as it is")]
fn serialize_change<S: serde::Serializer>(time: &Option<Option<Duration>>, to: S) -> Result<S::Ok, S::Error> {
    crate::duration::serialize_any(&time.flatten(), to)
}

impl TimeoutChanges {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `before`, with what is given here.
    pub fn applied_to(&self, before: &Timeouts) -> Timeouts {
        Timeouts {
            connect: self.connect.unwrap_or(before.connect),
            header: self.header.unwrap_or(before.header),
            idle: self.idle.unwrap_or(before.idle),
            total: self.total.unwrap_or(before.total),
            tunnel: self.tunnel.unwrap_or(before.tunnel),
        }
    }
}

/// The response header that names business events, unless the file says otherwise.
pub const EVENT_HEADER_DEFAULT: &str = "x-serin-event";

/// Business events that responses name in a header, several separated by commas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Events {
    /// The header, in lower case.
    pub header: String,
    /// The names that are counted, each once; at least one, at most
    /// [`EVENTS_MAX`](crate::limits::EVENTS_MAX). Others are ignored.
    pub names: Vec<EventName>,
}

/// One release of a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Version {
    /// Its name, unique within the service.
    pub name: VersionName,
    /// Where it runs; at least one, or none where they are discovered.
    pub endpoints: Vec<Address>,
    /// Which HTTP they are spoken to.
    pub protocol: HttpProtocol,
    /// TLS to them; in clear where absent.
    pub tls: Option<EndpointTls>,
    /// The share of new traces that are sampled; where absent, telemetry's.
    pub trace_sampling: Option<Weight>,
    /// Where its endpoints are found, if not here.
    pub discovery: Option<Discovery>,
    /// How its endpoints are looked after.
    pub endpoint_policy: EndpointPolicy,
}

impl Version {
    /// A version at these endpoints, with every other setting at its default.
    pub fn new(name: VersionName, endpoints: Vec<Address>) -> Self {
        Self {
            name,
            endpoints,
            protocol: HttpProtocol::default(),
            tls: None,
            trace_sampling: None,
            discovery: None,
            endpoint_policy: EndpointPolicy::default(),
        }
    }
}

/// What a route leads to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// Its releases; at least one, names unique.
    pub versions: Vec<Version>,
    /// The version that is trusted.
    pub stable: VersionName,
    /// The version under test, if there is one.
    pub canary: Option<VersionName>,
    /// The split that the file asks for; the control plane moves on from there.
    pub split: Split,
    /// What keeps a user on one version.
    pub sticky: Sticky,
    /// How long an endpoint may take.
    pub timeouts: Timeouts,
    /// What happens to a request whose version has no endpoint that is ready.
    pub on_unready: OnUnready,
    /// Protocols that a connection may be upgraded to, in lower case.
    pub upgrades: Vec<String>,
    /// Business events that are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// How a rollout of the canary proceeds.
    pub rollout: RolloutPolicy,
    /// What is done when a version fails, hangs or has too much to do.
    pub resilience: Resilience,
    /// Requests that name their version; the first that fits counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Who gets copies of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}

impl Service {
    /// A service whose whole traffic goes to `stable`, with every other setting at its default.
    pub fn new(name: ServiceName, versions: Vec<Version>, stable: VersionName) -> Self {
        Self {
            name,
            versions,
            split: Split::whole(stable.clone()),
            stable,
            canary: None,
            sticky: Sticky::Random,
            timeouts: Timeouts::default(),
            on_unready: OnUnready::default(),
            upgrades: vec![UPGRADE_DEFAULT.into()],
            events: None,
            rollout: RolloutPolicy::default(),
            resilience: Resilience::default(),
            overrides: Vec::new(),
            mirror: None,
        }
    }

    /// The version of that name.
    pub fn version(&self, name: &VersionName) -> Option<&Version> {
        self.versions.iter().find(|version| &version.name == name)
    }
}
