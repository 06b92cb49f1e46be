//! The vocabulary of Serin: every word that two crates share is defined here, once.
//!
//! A value that exists is valid. Weights sum to 100 % where they are built, a route leads to a service that
//! is there, a name fits its bounds; so nothing behind this crate checks again, and the hot path can index
//! instead of asking. The way in is [`file::load`]: text → a tree with positions ([`tree`]) → raw twins of the
//! file ([`raw`]) → one conversion ([`check`]) that collects every [`problem::Problem`] → [`Config`].
//!
//! The crate is pure: no runtime, no I/O, no clock. Text, environment and secrets are handed in.

pub mod address;
pub mod catalogue;
pub mod check;
pub mod document;
pub mod duration;
pub mod endpoint;
pub mod endpoints_file;
pub mod file;
pub mod filter;
pub mod fleet;
pub mod freeze;
pub mod grant;
pub mod limits;
pub mod listener;
pub mod mail;
pub mod matching;
pub mod moment;
pub mod name;
pub mod notification;
pub mod outcome;
pub mod percent;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod rate_limit;
pub mod raw;
pub mod resilience;
pub mod route;
pub mod schema;
pub mod secret;
pub mod service;
pub mod settings;
pub mod steer;
pub mod subject;
pub mod summary;
pub mod telemetry;
pub mod terms;
pub mod tls;
pub mod tree;
pub mod webhook;
pub mod weight;
pub mod wire;

pub use address::Address;
pub use catalogue::Catalogue;
pub use endpoint::{Balance, Discovery, EndpointPolicy, HealthCheck, OnUnready, OutlierPolicy};
pub use file::{Secrets, load};
pub use grant::{Grant, Role};
pub use listener::Listener;
pub use matching::{Host, PathMatch};
pub use name::{
    EventName, FreezeName, GroupName, ListenerName, RecipientName, RouteName, ServiceName, VersionName,
    WebhookName,
};
pub use outcome::Outcome;
pub use plan::{Generation, Identity, Plan};
pub use problem::{Problem, Problems};
pub use resilience::Resilience;
pub use route::Route;
pub use service::{Service, Sticky, Timeouts, Version};
pub use settings::{Config, Purpose};
pub use weight::{Split, Weight};
