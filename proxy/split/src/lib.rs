//! The decisions of the data plane, without its sockets.
//!
//! A request head comes in; out come a route ([`matcher`]), a version ([`pick`]) by way of a bucket
//! ([`bucket`]) and a table of weights ([`table`]), and the head that the endpoint shall see ([`hop`],
//! [`forwarded`], [`trace`]). When the attempt has ended, [`classify`] names its outcome and [`tally`] counts
//! it. Random numbers and times are arguments, so every decision can be replayed and tested as data.

pub mod abuse;
pub mod bucket;
pub mod classify;
pub mod forwarded;
pub mod frames;
pub mod framing;
pub mod hop;
pub mod matcher;
pub mod pick;
pub mod resilience;
pub mod table;
pub mod tally;
pub mod trace;
pub mod vet;

pub use bucket::{Bucket, Salt};
pub use matcher::Matcher;
pub use pick::{Pick, pick};
pub use table::Table;
pub use tally::{Aside, Tally};
