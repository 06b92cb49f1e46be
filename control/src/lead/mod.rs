//! Which of several control planes decides, and what the others do meanwhile.
//!
//! One leads: it holds a lease in etcd, runs the keeper and takes the proxies' streams. The others follow: they watch
//! what the leader writes, answer reads from it, pass changes on to the leader, and stand by. Their parts, one noun
//! each: the [`election`] gets and keeps the lease; the [`follow`]er keeps an image of what is stored; the
//! [`replica`] starts a keeper when this one is elected and stops it when it no longer leads; and the API passes on
//! what is not for a follower ([`forward`]), and tells the leader what it refuses by itself ([`messenger`]).
//!
//! Two leaders at once can't harm. A lease is a promise about time, and a process that was stopped for a minute has
//! missed that its promise ran out; so every write says which election it rests on, and etcd refuses it if another
//! was held since (see [`crate::store::etcd`]). What is not written is not pushed, with one exception: a canary
//! is taken out first. An old leader may do that too, for as long as it believes in its lease, and it costs nobody
//! anything: generations of a new leader begin so far above that they win wherever both arrive.
//!
//! How long nobody leads. When a leader ends as asked, it gives its lease back, and the next one is elected at once. When
//! it dies, its lease runs out: two seconds by default, and half a second until etcd looks. Then the next one reads
//! what is stored, and goes on with the evidence of the last checkpoint and what proxies tell again.

mod dial;
pub(crate) mod election;
pub(crate) mod follow;
pub(crate) mod forward;
pub(crate) mod messenger;
pub(crate) mod outbox;
pub(crate) mod pass;
pub(crate) mod replica;
pub(crate) mod standing;

use serde::{Deserialize, Serialize};

use pass::Pass;

/// Where the leader is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderAddress {
    /// Its name: `telemetry.instance`.
    pub name: String,
    /// Its API: `http://HOST:PORT` or `https://HOST:PORT`; none where only its own machine reaches it by a Unix
    /// socket.
    pub api: Option<String>,
    /// Its listener for proxies: `HOST:PORT`; none where it has none.
    pub fleet: Option<String>,
    /// By what other control planes prove to it that they are one; none of an older release.
    #[serde(default)]
    pub(crate) pass: Option<Pass>,
}

/// Whether this control plane decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// It does. Always so with the embedded store.
    Leader,
    /// Another one does, or none for now.
    Follower {
        /// Where that is; none while nobody leads, or nobody knows.
        leader: Option<LeaderAddress>,
    },
}

impl Leadership {
    /// Whether this control plane decides.
    pub fn leads(&self) -> bool {
        matches!(self, Self::Leader)
    }
}

#[cfg(test)]
mod deposed_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod tests;
