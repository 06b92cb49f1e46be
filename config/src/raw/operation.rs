//! What operates the program, as it is written.

use std::time::Duration;

use super::{
    decode::List,
    fleet::{Connect, Fleet},
    leaf::{OrNone, SecretSource},
    record::record,
    size::ByteSize,
    tls::{ApiTls, EndpointTls},
};
use crate::{address::Address, grant::Role, limits::MaxMemory, name::ServiceName};

record! {
    /// The admin listener: health, metrics, the current plan; reads only.
    pub struct Admin {
        /// Where it listens. Default: 127.0.0.1:9901.
        @ address: Address,
        /// true: allows an address that other machines can reach. Default: false.
        @ danger_beyond_loopback: bool,
    }

    /// The control plane; or, for serin proxy, where it is.
    pub struct Control {
        /// Where its API listens. An address that other machines can reach needs tls, and a token or identities.
        /// Default: 127.0.0.1:9902.
        @ address: Address,
        /// true: allows such an address without tls, so that tokens can be read on their way. Default: false.
        @ danger_beyond_loopback: bool,
        /// The file that keeps its state, relative to this file's directory. Default: serin-state.redb.
        @ state: String,
        /// A bearer token of the API that may do everything: "${NAME}" for an environment variable or "${file:PATH}"
        /// for a file, relative to this file's directory. With it, every request must carry a token or come with a
        /// certificate. Default: none, and whoever reaches the API may do everything.
        @ token: SecretSource,
        /// TLS of the API. Default: none.
        @ tls: ApiTls,
        /// What holders of client certificates may do on the API; needs tls.client_ca. Default: none may do anything
        /// without a token.
        @ identities: List<Identity>,
        /// Keeps the state in etcd instead of a file, so that several control planes share it: one of them leads,
        /// the others follow and stand by. Not together with state.
        @ etcd: Etcd,
        /// The listener for proxies that run as processes of their own. Default: none.
        @ fleet: Fleet,
        /// Where a proxy that runs as a process of its own finds its control plane; for serin proxy only.
        @ connect: Connect,
    }

    /// What the holder of a client certificate may do on the control plane's API. One of subject, uri and dns says
    /// whose certificate.
    pub struct Identity {
        /// The whole subject as text (RFC 4514), such as "CN=deploy,O=Example".
        @ subject: String,
        /// An alternative name of type URI, such as spiffe://example.org/deploy.
        @ uri: String,
        /// An alternative name of type DNS, such as deploy.example.org.
        @ dns: String,
        /// viewer reads; operator sets weights and steers rollouts, too; admin gives tokens and reads the audit log,
        /// too.
        required @ role: Role,
        /// With these services only. Default: with all.
        @ services: List<ServiceName>,
    }

    /// State in etcd, shared by several control planes.
    pub struct Etcd {
        /// Its members, as HOST:PORT. All are tried.
        required @ endpoints: List<String>,
        /// What the keys of this fleet begin with. Default: serin.
        @ prefix: String,
        /// How long a leader may be silent before another control plane is elected, in whole seconds from 2s.
        /// Default: 2s.
        @ lease: Duration,
        /// The user of etcd; with password.
        @ user: String,
        /// That user's password: "${NAME}" for an environment variable or "${file:PATH}" for a file.
        @ password: SecretSource,
        /// TLS to the members; { } is enough.
        @ tls: EndpointTls,
        /// true: allows members on other machines without TLS, where whoever is on the way can change what was
        /// decided. Default: false.
        @ danger_plain: bool,
        /// How often etcd is told to forget overwritten values, or none where it does so by itself. Default: 10m.
        @ compaction: OrNone,
        /// Where the other control planes and the proxies reach this one. Default: the addresses at which it
        /// listens.
        @ advertise: Advertise,
    }

    /// Where others reach this control plane.
    pub struct Advertise {
        /// Its API, as http://HOST:PORT or https://HOST:PORT.
        @ api: String,
        /// Its listener for proxies, as HOST:PORT.
        @ fleet: String,
        /// The file (PEM) of the certificates that may sign those of the APIs, by which one control plane knows another
        /// that it passes a change on to. Default: the system's.
        @ ca: String,
    }

    /// Bounds on what the proxy takes on.
    pub struct Limits {
        /// Serving threads. Default: the cores that the process may use.
        @ workers: u64,
        /// Client connections at once. Default: 10000.
        @ max_connections: u64,
        /// Requests in flight to one version, all workers together; beyond it, 503. A service's breaker may
        /// say otherwise. Default: 1000.
        @ max_requests_per_version: u64,
        /// Requests in flight, all versions and workers together; beyond it, 503. Default: no limit but those
        /// of the versions.
        @ max_requests: u64,
        /// How much memory there is: a size such as 512MiB, auto for the limit of the process's cgroup, or none.
        /// From 95% of it on new requests get 503. Default: auto.
        @ max_memory: MaxMemory,
        /// The longest body of a request, such as 10MiB; a longer one gets 413. Default: no limit, since bodies
        /// stream through and are not kept.
        @ max_body: ByteSize,
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
