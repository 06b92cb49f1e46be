//! The decisions of the data plane, without its sockets.
//!
//! Before there is a request, [`framing`] judges the bytes of a client of HTTP/1 and [`abuse`] the [`frames`] of one
//! of HTTP/2, and [`vet`] what the HTTP library made of them.
//!
//! A request head comes in; out come a route ([`matcher`]), a version ([`pick`]) by way of a bucket
//! ([`bucket`]) and a table of weights ([`table`]), and the head that the endpoint shall see ([`hop`],
//! [`forwarded`], [`trace`]). When the attempt has ended, [`classify`] names its outcome and [`tally`] counts
//! it. A version that is new gets few requests at first ([`probe`]). Which endpoint of the version an attempt goes to is [`balance`]'s, and which endpoints there are to choose
//! from is [`standing`]'s. Random numbers and times are arguments, so every decision can be replayed and tested
//! as data.

pub mod abuse;
pub mod age;
pub mod balance;
pub mod bucket;
pub mod classify;
pub mod client_cert;
pub mod control;
pub mod cookie;
pub mod events;
pub mod exemplar;
pub mod filter;
pub mod forwarded;
pub mod frames;
pub mod framing;
pub mod grpc;
pub mod hop;
pub mod keep;
pub mod matcher;
pub mod mirror;
pub mod path;
pub mod pick;
pub mod probe;
pub mod proxy_protocol;
pub mod rate;
pub mod resilience;
pub mod sni;
pub mod spill;
pub mod standing;
pub mod table;
pub mod tally;
pub mod trace;
pub mod vet;

pub use bucket::{Bucket, Salt};
pub use client_cert::ClientCert;
pub use matcher::Matcher;
pub use pick::{Pick, pick};
pub use table::Table;
pub use tally::{Aside, Tally};

/// Some moment, for tests to count from.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "there is no other way to a first moment")]
fn test_start() -> std::time::Instant {
    std::time::Instant::now()
}
