//! The hot path, and nothing else.
//!
//! [`accept`] takes a socket, [`connection`] speaks HTTP on it, [`request`] is the straight line that every
//! request walks, [`forward`] talks to the endpoint over a connection from [`upstream`]'s pools, [`body`]
//! streams the answer, and [`record`] counts it, exactly once. All of it runs on one [`worker`], whose state
//! is never shared: `Rc` and `Cell` where other proxies have locks.

pub(crate) mod accept;
pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod fault;
pub(crate) mod forward;
pub(crate) mod lane;
pub(crate) mod listen;
pub(crate) mod record;
pub(crate) mod request;
pub(crate) mod resend;
pub(crate) mod stream;
pub(crate) mod timer;
pub(crate) mod upstream;
pub(crate) mod watch;
pub(crate) mod worker;
