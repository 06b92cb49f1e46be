//! The data plane's shell: sockets, pools, forwarding, reporting.
//!
//! One single-threaded runtime for each core, each with its own listening sockets, pools of connections to
//! endpoints, and tallies, so that a request never meets a shared lock ([`serve`]). Housekeeping (the admin
//! listener, windows, metrics) runs on the caller's runtime ([`observe`], [`admin`]). The two meet in two
//! places: the plan, which housekeeping swaps and workers read ([`plan`]), and the counts that workers hand
//! over once a second.
//!
//! [`Proxy::start`] is the composition root. Where the control plane is another process, [`Uplink`] is the way to it.

mod admin;
mod app;
mod clock;
mod discover;
mod endpoints;
mod health;
mod inherit;
mod legacy;
mod observe;
mod plan;
mod rate_limits;
mod serve;
mod shared;
mod tls;
mod uplink;

pub use app::{Ending, Proxy, Setup, StartError};
pub use inherit::{Inherited, NotListening};
pub use legacy::{LeftWire, Legacy, Life};
pub use observe::{install_metrics_recorder, rare_metrics};
pub use plan::{OlderPlan, PlanCell};
pub use tls::{Unusable, check as check_tls};
pub use uplink::{Joining, ReadCatalogue, Uplink};
