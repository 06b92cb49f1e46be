//! The raw twin of the file: what can be written, field by field, before anything is known to fit together.
//!
//! Every field may be absent or wrong without taking its neighbours down. The doc comments here are what an
//! editor shows while the file is written, so they speak to the operator and name defaults.

pub mod decode;
pub mod leaf;
mod record;

use std::time::Duration;

use ipnet::IpNet;

use self::{
    decode::{List, Named, Switch},
    leaf::{OrNone, SecretSource},
    record::record,
};
use crate::{
    address::Address,
    name::{ListenerName, RouteName, ServiceName, VersionName},
    policy::OnTimeout,
    weight::Weight,
};

record! {
    /// A Serin configuration: where traffic comes in, where it goes, and how new versions are rolled out.
    pub struct File {
        /// Where traffic comes in; at least one.
        required @ listeners: List<Listener>,
        /// Which request goes to which service; at least one.
        required @ routes: List<Route>,
        /// What routes lead to, by name.
        required @ services: Named<ServiceName, Service>,
        /// Metrics, health and the current plan; reads only.
        @ admin: Admin,
        /// The embedded control plane: weights and rollouts.
        @ control: Control,
        /// What is told about the traffic.
        @ telemetry: Telemetry,
        /// Bounds on what the proxy takes on.
        @ limits: Limits,
    }

    /// An address that accepts HTTP/1.1 and clear-text HTTP/2 (prior knowledge).
    pub struct Listener {
        /// Its name in logs and metrics. Default: listener-1, listener-2, …
        @ name: ListenerName,
        /// Where it listens: IP:PORT, or unix:/absolute/path.sock.
        required @ address: Address,
        /// Peers whose x-forwarded-* headers are believed. Default: none; everybody's are replaced.
        @ trusted_proxies: List<IpNet>,
    }

    /// A match on host and path that leads to a service. An exact host goes before any host, then the longer
    /// prefix first.
    pub struct Route {
        /// Its name in metrics and verdicts. Default: the service's name if no other route has it, else
        /// route-1, route-2, …
        @ name: RouteName,
        /// The host it serves, exactly, without a port. Default: any host.
        @ host: String,
        /// The path prefix it serves, in whole segments: /api takes /api and /api/x but not /apiary.
        /// Default: /
        @ path_prefix: String,
        /// The service it leads to.
        required @ service: ServiceName,
    }

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
        /// How a rollout of the canary proceeds.
        @ rollout: Rollout,
    }

    /// One release of a service.
    pub struct Version {
        /// Where it runs: IP:PORT, or unix:/absolute/path.sock; at least one.
        required @ endpoints: List<Address>,
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
    }

    /// The way of a canary from its first share to all of the traffic.
    pub struct Rollout {
        /// The steps in order, weights rising. A step at 100% with the default conditions is added if the
        /// last is lower. Default: 1%, 5%, 10%, 25%, 50%, 100%.
        @ steps: List<Step>,
        /// What is done when a step has lasted its max_duration without a verdict: hold stays at the weight,
        /// promote goes on, rollback takes the canary out. Default: hold.
        @ on_timeout: OnTimeout,
        /// The conditions on the canary.
        @ guards: Guards,
        /// The promised bound on the chance that a healthy canary is ever rolled back, from 0.000001 to 0.05.
        /// Default: 0.0001.
        @ false_alarm: f64,
        /// The accepted chance that a canary outside the promotion margin is passed, from 0.0001 to 0.5.
        /// Default: 0.05.
        @ false_pass: f64,
    }

    /// One weight, and what must be seen at it before the next.
    pub struct Step {
        /// The canary's share during the step.
        required @ weight: Weight,
        /// Requests of the canary that must have been judged in this step. Default: 500.
        @ min_requests: u64,
        /// The step lasts at least this long. Default: 10s.
        @ min_duration: Duration,
        /// After this, on_timeout says what is done. Default: 1h.
        @ max_duration: Duration,
    }

    /// Conditions on the canary; each is watched all the time.
    pub struct Guards {
        /// The canary must not fail more than the stable version in the same seconds. On by default; off
        /// switches it off.
        @ errors: Switch<ErrorComparison>,
        /// The canary's error rate must stay below this share of its requests. Default: no limit.
        @ max_error_rate: Weight,
        /// 99 of 100 requests of the canary must have response headers within this time, from 1ms to 60s.
        /// Default: no limit.
        @ max_p99: Duration,
    }

    /// The tolerances of the comparison of error rates.
    pub struct ErrorComparison {
        /// Harmless: the canary's error rate up to ratio × the stable version's + margin. From 1 to 1000.
        /// Default: 1.2.
        @ ratio: f64,
        /// See ratio. Default: 0.005%.
        @ margin: Weight,
        /// Promotion needs proof that the canary's error rate is below pass_ratio × stable's + pass_margin.
        /// From 1 to 1000. Default: 1.5.
        @ pass_ratio: f64,
        /// See pass_ratio. Default: 0.05%.
        @ pass_margin: Weight,
    }

    /// The admin listener: health, metrics, the current plan; reads only.
    pub struct Admin {
        /// Where it listens. Default: 127.0.0.1:9901.
        @ address: Address,
        /// true: allows an address that other machines can reach. Default: false.
        @ danger_beyond_loopback: bool,
    }

    /// The embedded control plane.
    pub struct Control {
        /// Where its API listens. Default: 127.0.0.1:9902.
        @ address: Address,
        /// true: allows an address that other machines can reach. Default: false.
        @ danger_beyond_loopback: bool,
        /// The file that keeps its state, relative to this file's directory. Default: serin-state.redb.
        @ state: String,
        /// The bearer token that every request to the API must carry: "${NAME}" for an environment variable
        /// or "${file:PATH}" for a file, relative to this file's directory. Default: none is asked for.
        @ token: SecretSource,
    }

    /// What is told about the traffic.
    pub struct Telemetry {
        /// The name of this proxy in windows and metrics. Default: serin.
        @ instance: String,
        /// The share of the traces that begin here which are marked as sampled; what comes with a trace
        /// context keeps its own mark. Default: 1%.
        @ trace_sampling: Weight,
        /// true: adds x-serin-version and x-serin-generation to requests and responses. Default: false, since
        /// clients would learn who is on the canary.
        @ debug_headers: bool,
    }

    /// Bounds on what the proxy takes on.
    pub struct Limits {
        /// Serving threads. Default: the cores that the process may use.
        @ workers: u64,
        /// Client connections at once. Default: 10000.
        @ max_connections: u64,
        /// Requests in flight to one version, each worker an equal share; beyond it, 503. Default: 1000.
        @ max_requests_per_version: u64,
        /// Streams at once on one HTTP/2 connection. Default: 100.
        @ max_streams: u64,
        /// From the connection to a complete request head. Default: 10s.
        @ client_header_timeout: Duration,
        /// A client connection without a request is closed after this. Default: 75s.
        @ client_keep_alive: Duration,
        /// A client that reads or sends nothing within a body is dropped after this. Default: 30s.
        @ client_stall_timeout: Duration,
        /// An unused connection to an endpoint is closed after this. Default: 30s.
        @ endpoint_keep_alive: Duration,
        /// Unused connections kept for each endpoint and worker. Default: 256.
        @ idle_connections_per_endpoint: u64,
        /// From SIGTERM to the end, whatever is still in flight. Default: 30s.
        @ drain_deadline: Duration,
    }
}
