//! The control plane: decides what the split is, keeps why, and tells the proxies.
//!
//! A pure core inside a shell. The core is values: [`command`] (what can be asked for), [`rollout`] (state and
//! event in one match), [`planner`] (a state and a request make a decision or a [`refusal`]). The shell is the
//! `keeper`, one thread that owns all state and carries decisions out; the [`store`] that it writes;
//! [`collect`], where windows come in; and the `api`. Readers never wait for the keeper: they read the
//! [`status`] that it publishes, and the [`journal`].
//!
//! A weight change, in a line: API → command → planner → store (compare generation, write generation + 1) →
//! push. Verdicts join the same line at the planner: window → collect → judge → verdict → planner.

mod access;
pub mod align;
mod api;
pub mod audit;
mod clock;
pub mod collect;
pub mod command;
#[cfg(test)]
#[allow(dead_code, reason = "the tests over real sockets use the rest")]
mod fixtures;
pub mod fleet;
pub mod freeze;
pub mod group;
pub mod history;
pub mod hook;
pub mod journal;
mod keeper;
mod lead;
mod metrics;
pub mod names;
pub mod notify;
pub mod observed;
pub mod past;
mod plane;
pub mod planner;
mod post;
pub mod pulse;
pub mod refusal;
pub mod repeat;
pub mod rollout;
#[cfg(test)]
mod samples;
pub mod self_test;
pub mod settled;
pub mod sheet;
mod sight;
#[cfg(test)]
mod simulation;
pub mod state;
pub mod status;
pub mod store;
mod tls;
pub mod tokens;
pub mod totals;
pub mod waiting;
pub mod watch;

pub use access::{Answer, CommandError};
pub use fleet::FleetBindError;
pub use keeper::Push;
pub use lead::{LeaderAddress, Leadership};
pub use plane::{ControlPlane, Handle, OpenError, ReloadRefused, ServeError};
