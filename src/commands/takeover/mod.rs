//! Handing over to a new process without losing a connection: `serin run --takeover`, and `serin proxy --takeover`.
//!
//! The old process listens on a Unix socket beside its state file; whoever owns the state is the one to take over
//! from. The state of a proxy is the plan that it keeps: there is nothing to let go of, and it is written before it is given.
//!
//! The conversation, one line each, the new process on the left:
//!
//! ```text
//! connects              →
//!                       ←  {"protocol":1,"version":"0.1.0","sockets":9,"legacy":true}, then the listening sockets themselves
//! legacy                →  where the greeting says so
//!                       ←  what is held against canaries: those that were taken out are out from the first request
//! give                  →  the new file is good; what remains is the state
//!                       ←  given: the control plane has stopped, its store is closed
//! serving               →  the new process accepts, and decides; "serving legacy" where the greeting says so:
//!                       ←  what was held against canaries since, and the windows that wait for a control plane elsewhere
//!                       ←  bye: the old one accepts no more, and drains
//! ```
//!
//! Both accept from the same queues between `serving` and `bye`, so there is no moment at which nobody does. While
//! nobody decides (from `given` to `serving`), both sides serve with the last plan. If the new process ends before
//! `serving`, or says nothing for too long, the old one takes its state up again and goes on.
//!
//! What is left ([`serin_proxy::Legacy`]) is told as `legacy`, its length in bytes, and as many bytes of JSON. A release that does
//! not know of it leaves nothing, or asks for nothing.
//!
//! Only a process of the same user, or of root, is talked to, in either direction.

mod give;
mod take;
mod wire;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub(super) use give::{Door, Heir, Successor, next};
pub(super) use take::{Predecessor, begin, owner};

/// What the running process says first.
#[derive(Debug, Serialize, Deserialize)]
struct Greeting {
    protocol: u32,
    version: String,
    sockets: usize,
    /// Whether it tells what it leaves.
    #[serde(default)]
    legacy: bool,
}

/// The conversation above. Another one needs another number.
const PROTOCOL: u32 = 1;
const GIVE: &str = "give";
const GIVEN: &str = "given";
const SERVING: &str = "serving";
const LEGACY: &str = "legacy";
const SERVING_AS_HEIR: &str = "serving legacy";
const BYE: &str = "bye";

/// Why there is no hand-over.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeoverError {
    /// Not the same user.
    #[error(
        "the other process belongs to user {0}, this one to user {1}: start the new serin as the user of the running one"
    )]
    OtherUser(u32, u32),
    /// A Serin whose conversation is another.
    #[error(
        "the running serin {version} hands over by protocol {found}, this one knows {PROTOCOL}: stop the running one and start this one"
    )]
    OtherProtocol {
        /// Of the running process.
        version: String,
        /// Its protocol.
        found: u32,
    },
    /// It said something else.
    #[error("the other process said {0:?} where {1:?} was due")]
    Unexpected(String, &'static str),
    /// It is gone.
    #[error("the other process ended before the hand-over was complete")]
    Gone,
    /// It does nothing.
    #[error("the other process did not say {0:?} within {1:?}")]
    Silent(&'static str, Duration),
    /// One of the sockets is no use.
    #[error("a socket of the running process can't be taken over: {0}")]
    Socket(#[from] serin_proxy::NotListening),
    /// The system says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Where a process with this state is asked to hand over.
fn path_beside(state: &Path) -> PathBuf {
    let mut path = state.as_os_str().to_owned();
    path.push(".takeover");
    path.into()
}
