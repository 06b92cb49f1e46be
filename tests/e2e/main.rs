//! End to end: the real binary, real sockets, real servers, real clients.
//!
//! One module a behaviour; each header says what is covered elsewhere. The [`harness`] starts processes on
//! free ports and waits for conditions, never for time. What needs the machine to itself takes
//! [`harness::alone`]; everything else runs beside its neighbours.
//!
//! The pure parts (routing, splitting, statistics, file checks) are tested in their own crates.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what is wrong by failing, and measured numbers are part of its output"
)]

mod access_log;
mod blast_radius;
mod breakers;
mod broken_off;
mod chaos;
mod command_line;
mod commands;
mod conformance;
mod connection_age;
mod demo;
mod discovery;
mod drain;
mod endpoint_faults;
mod endpoints;
mod experiment_command;
mod failover;
mod faults;
mod fleet;
mod grpc_health;
mod h2_attacks;
mod hangs;
mod harness;
mod heads;
mod http2_endpoints;
mod idle_connections;
mod instructions;
mod judge;
mod judge_command;
mod kill_and_recover;
mod large_bodies;
mod limits;
mod load_command;
mod malformed;
mod mirror;
mod mirror_step;
mod nginx_split;
mod overrides;
mod plan;
mod probe;
mod protocols;
mod proxy_protocol;
mod rate_limit;
mod reload;
mod retries;
mod reuse;
mod rotation;
mod routing;
mod shedding;
mod shield;
mod smuggling;
mod socket_activation;
mod spans;
mod spread;
mod sticky;
mod store_full;
mod streaming;
mod takeover;
mod timeouts;
mod tls;
mod tls_endpoints;
mod tls_reload;
mod tripwire;
mod tunnels;
mod webhooks;
mod weight_changes;
mod windows;
