//! Bounds of connections and messages.

use std::time::Duration;

use super::LISTENERS_MAX;

/// The longest header of the PROXY protocol that is read, further fields included.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;
/// The longest value of the header that names a client's certificate.
pub const CLIENT_CERT_HEADER_BYTES_MAX: usize = 8 * 1024;
/// TLS 1.2 sessions that a listener remembers for resumption; those of TLS 1.3 are in the client's tickets.
pub const TLS_SESSIONS_MAX: usize = 4096;
/// How long certificate files must be the same before they are taken: a certificate and its key are two files,
/// and no tool replaces both at once.
pub const CERTIFICATE_SETTLE: Duration = Duration::from_millis(250);
/// While draining, a connection that has not come to its first request may take this long for its handshake.
pub const DRAIN_HANDSHAKE: Duration = Duration::from_secs(2);
/// The shortest that a connection's maximum age may be.
pub const CONNECTION_AGE_MIN: Duration = Duration::from_secs(1);
/// Time for an endpoint to accept a connection.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
/// Time from the request sent to response headers.
pub const HEADER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);
/// Time between two pieces of a body.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// Time without a byte in either direction of an upgraded connection.
pub const TUNNEL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3600);
/// Bytes on their way in each direction of an upgraded connection.
pub const TUNNEL_BUFFER: usize = 16 * 1024;
/// The most protocols that a service may allow connections to be upgraded to.
pub const UPGRADES_MAX: usize = 16;
/// The longest timeout that can be configured.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Header fields in one request or response.
pub const HEADER_FIELDS_MAX: usize = 100;
/// The largest head of an HTTP/1.1 message, and the read buffer of a connection.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Empty lines before a request line; RFC 9112, 2.2 knows clients that send one behind a body.
pub const LEADING_BLANK_LINES_MAX: u8 = 2;
/// A client connection over HTTP/1 that is quiet for so long gives its buffers back until bytes come.
pub const PARK_AFTER: Duration = Duration::from_millis(100);
/// How long, and for how many bytes, a client that was refused, or answered early, is listened to, so that the
/// answer arrives. Time is the bound that counts: a fast uploader has much on its way.
pub const LINGER: Duration = Duration::from_secs(2);
/// See [`LINGER`].
pub const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Flow-control window of one HTTP/2 stream.
pub const H2_STREAM_WINDOW: u32 = 64 * 1024;
/// Flow-control window of one HTTP/2 connection.
pub const H2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Flow-control window of one HTTP/2 stream from an endpoint: what it may send before the client reads.
pub const H2_ENDPOINT_STREAM_WINDOW: u32 = 256 * 1024;
/// Requests at once on one HTTP/2 connection to an endpoint, whatever more it allows.
pub const H2_ENDPOINT_STREAMS_MAX: usize = 100;
/// HTTP/2 connections of one worker to one endpoint.
pub const H2_CONNECTIONS_PER_ENDPOINT_MAX: usize = 16;
/// While requests wait on an HTTP/2 connection to an endpoint, it is asked this often whether it lives.
pub const H2_ENDPOINT_PING_INTERVAL: Duration = Duration::from_secs(15);
/// And is given up if it does not say so within this.
pub const H2_ENDPOINT_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes buffered for sending on one HTTP/2 stream.
pub const H2_SEND_BUFFER: usize = 64 * 1024;
/// Streams that a peer may reset before we have accepted them (CVE-2023-44487).
pub const H2_PENDING_RESETS_MAX: usize = 20;
/// Streams that we may have reset ourselves (CVE-2025-8671).
pub const H2_LOCAL_RESETS_MAX: usize = 128;
/// Pending connections in the kernel for each listener.
pub const LISTEN_BACKLOG: i32 = 4096;
/// Accepted connections on their way to another worker, for each that they are passed to.
pub const PASSED_CONNECTIONS_MAX: usize = 256;
/// The most workers.
pub const WORKERS_MAX: usize = 256;
/// How much longer than the deadline of a gRPC caller its call may take here, so that the caller's own clock goes first.
pub const GRPC_DEADLINE_GRACE: Duration = Duration::from_millis(100);
/// How many listening sockets one process takes from another: those of all listeners and workers, and the admin
/// listener's.
pub const TAKEOVER_SOCKETS_MAX: usize = LISTENERS_MAX * WORKERS_MAX + 1;
/// How long one side of a hand-over waits for what the other does next, which may include stopping a control plane or
/// opening its store.
pub const TAKEOVER_WAIT: Duration = Duration::from_secs(30);
/// How long a process that is taken over from waits for its workers' last counts before it leaves its windows.
pub const TAKEOVER_SETTLE_WAIT: Duration = Duration::from_millis(500);
/// What one process tells another of what it leaves, as text: windows that no control plane has kept, and trips. The oldest
/// windows go first, and are counted as lost.
pub const TAKEOVER_LEGACY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long the store of another process is waited for once that process has said that it lets go of it; and how long a
/// proxy that hands over takes to write its plan for the next process.
pub const TAKEOVER_STORE_WAIT: Duration = Duration::from_secs(10);
/// The most streams on one HTTP/2 connection that can be configured.
pub const STREAMS_MAX: u32 = 10_000;
/// The most unused connections to one endpoint that can be configured.
pub const IDLE_CONNECTIONS_MAX: usize = 65_536;
