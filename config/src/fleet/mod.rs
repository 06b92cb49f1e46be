//! How proxies and their control plane talk: the messages, and what they mean.
//!
//! One gRPC stream for each proxy, published in `proto/serin/v1/fleet.proto`. [`message`] has its types field by
//! field; [`window`] and [`plan`] turn them into the values that the rest of the program works with, or say what is
//! wrong with them. So a value that came over the wire is as valid as one that was made here.
//!
//! Routes and services travel as text, in the form of the file, and are read on the other side by the same reader:
//! there is one language for them, with one set of checks. Only the weights, which change often, are messages.

pub mod message;
pub mod plan;
mod read;
pub mod settings;
pub mod window;

pub use read::Reader;
pub use settings::{Connect, ControlEndpoint, Fleet, Names};

/// The path of the method that a proxy calls.
pub const CONNECT_PATH: &str = "/serin.v1.Fleet/Connect";
/// The metadata in which a control plane that does not lead names the one that does.
pub const LEADER_METADATA: &str = "serin-leader";

/// A message that can't mean anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) String);

impl Malformed {
    /// For this reason, in words.
    pub fn new(why: String) -> Self {
        Self(why)
    }
}
