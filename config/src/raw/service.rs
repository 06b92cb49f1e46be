//! Services and their versions, as they are written.

use std::time::Duration;

use super::{
    decode::{List, Named, Switch, Toggle},
    endpoint::{BalanceName, Health, Outlier},
    leaf::{FieldName, OrNone},
    record::record,
    resilience::{AdaptiveConcurrency, Breaker, Retries, Tripwire},
    rollout::Rollout,
    size::ByteSize,
    tls::EndpointTls,
};
use crate::{
    address::Address,
    endpoint::{DnsName, OnUnready},
    name::{EventName, VersionName},
    tls::HttpProtocol,
    weight::Weight,
};

record! {
    /// Versions and the split between them.
    pub struct Service {
        /// Its versions, by name; at least one.
        required @ versions: Named<VersionName, Version>,
        /// The version that is trusted. Default: the only version, or the one named "stable".
        @ stable: VersionName,
        /// The version under test. Default: the one named "canary", if there is one.
        @ canary: VersionName,
        /// The weights of the versions; they sum to 100%, a version left out gets 0%. Default: all to stable.
        /// The control plane moves on from here.
        @ split: Named<VersionName, Weight>,
        /// What keeps a user on one version. Default: each request is split at random.
        @ sticky: Sticky,
        /// How long an endpoint may take.
        @ timeouts: Timeouts,
        /// How one of several endpoints is chosen: p2c, round_robin, least_request or ring_hash. Default: p2c.
        @ balance: BalanceName,
        /// The header whose value ring_hash looks at. Default: what the service is sticky by.
        @ hash_header: String,
        /// How long the share of an endpoint grows that is new or came back. Default: none.
        @ slow_start: OrNone,
        /// What each endpoint is asked, apart from the traffic, to see whether it is well. Default: off.
        @ health: Switch<Health>,
        /// When an endpoint is left out for a while because its attempts fail. Default: after 5 failures in a row, or a success rate far below the others'.
        @ outlier: Switch<Outlier>,
        /// What happens to a request whose version has no endpoint that is ready: fail, or spill to another
        /// version. Default: fail, so that the version's failure stays visible.
        @ on_unready: OnUnready,
        /// Other protocols that a connection may be upgraded to, as its clients name them. Default: websocket;
        /// [] allows none.
        @ upgrades: List<String>,
        /// Business events that responses name in a header, so that guards can compare versions by them. Default:
        /// none.
        @ events: Events,
        /// How a rollout of the canary proceeds.
        @ rollout: Rollout,
        /// Second tries on the same version. On by default, for what no endpoint has seen; off switches them
        /// off.
        @ retries: Switch<Retries>,
        /// true: a failed attempt of the canary is tried again on the stable version where that is safe; the
        /// user sees no error, and the canary is charged all the same. Default: false.
        @ shield: bool,
        /// What one version may hold at once.
        @ breaker: Breaker,
        /// A limit on a version's requests in flight that follows latency: on, off, or its bounds. Default: off.
        @ adaptive_concurrency: Toggle<AdaptiveConcurrency>,
        /// What takes the canary out at once, with no control plane. On by default; off switches it off.
        @ tripwire: Switch<Tripwire>,
        /// Requests that name their version, for testers; the first that fits counts. They are left out of the
        /// comparison of versions. Default: none.
        @ overrides: List<Override>,
        /// Copies of requests to a version, whose answers nobody gets. Default: none.
        @ mirror: Mirror,
    }

    /// Business events: a response names each that its request brought about, such as "checkout, coupon".
    pub struct Events {
        /// The response header that names them, separated by commas. It is passed on to the client. Default:
        /// x-serin-event.
        @ header: FieldName,
        /// The names that are counted; any other is ignored. 1 to 32.
        required @ names: List<EventName>,
    }

    /// Pins requests to a version: by exactly one of header and cookie.
    pub struct Override {
        /// The header that pins.
        @ header: String,
        /// The cookie that pins.
        @ cookie: String,
        /// The value that pins. Default: any, if version is given; else the value names the version.
        @ value: String,
        /// The version. Default: the one that the value names.
        @ version: VersionName,
    }

    /// Copies of requests to a version. They never delay the request, and never count as its version's traffic.
    pub struct Mirror {
        /// Who gets the copies.
        required @ version: VersionName,
        /// Of the requests that go to another version, how many are copied. Default: 100%.
        @ share: Weight,
        /// Copies under way at once; beyond it requests are not copied. Default: 64.
        @ max_in_flight: u64,
        /// A request with a longer body is not copied. Default: 64KiB.
        @ max_body: ByteSize,
        /// For a copy and its whole answer. Default: 15s.
        @ timeout: Duration,
    }

    /// One release of a service.
    pub struct Version {
        /// Where it runs: IP:PORT, or unix:/absolute/path.sock; at least one. Or write dns or endpoints_file.
        @ endpoints: List<Address>,
        /// Where it runs: all addresses of this name, NAME:PORT, asked for again when their TTL has passed.
        @ dns: DnsName,
        /// Where it runs: the addresses in this file, one a line or a YAML list, read again when it changes.
        /// Relative to this file's directory.
        @ endpoints_file: String,
        /// How one of several endpoints is chosen: p2c, round_robin, least_request or ring_hash. Default: the service's.
        @ balance: BalanceName,
        /// The header whose value ring_hash looks at. Default: the service's.
        @ hash_header: String,
        /// How long the share of an endpoint grows that is new or came back. Default: the service's.
        @ slow_start: OrNone,
        /// What each endpoint is asked, apart from the traffic, to see whether it is well. Default: the service's.
        @ health: Switch<Health>,
        /// When an endpoint is left out for a while because its attempts fail. Default: the service's.
        @ outlier: Switch<Outlier>,
        /// Which HTTP its endpoints are spoken to: http1, http2 (ALPN over TLS, prior knowledge in clear), or auto
        /// (what the endpoint chooses over TLS, http1 in clear). Default: http1.
        @ protocol: HttpProtocol,
        /// TLS to its endpoints. Default: connections are in clear.
        @ tls: EndpointTls,
        /// The share of the traces that begin here and go to it which are marked as sampled. Default: as
        /// telemetry.trace_sampling, and for a canary telemetry.canary_trace_sampling, say.
        @ trace_sampling: Weight,
    }

    /// What keeps a user on one version: exactly one of these.
    pub struct Sticky {
        /// The value of this cookie; a request without it is split at random.
        @ cookie: String,
        /// The value of this header; a request without it is split at random.
        @ header: String,
        /// true: the client's address.
        @ client_address: bool,
    }

    /// How long an endpoint may take. Units: ms, s, m, h; none is no limit.
    pub struct Timeouts {
        /// For the connection to be accepted. Default: 1s.
        @ connect: Duration,
        /// From the request sent to the response's headers. Default: 15s.
        @ header: OrNone,
        /// Between two pieces of a body. Default: 60s.
        @ idle: OrNone,
        /// For the whole exchange. Default: none, since it would cut streams.
        @ total: OrNone,
        /// Without a byte in either direction, once a connection has been upgraded. Default: 1h.
        @ tunnel: OrNone,
    }
}
