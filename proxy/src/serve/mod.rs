//! The hot path, and nothing else.
//!
//! [`accept`] takes a socket, which [`spread`] may pass to another worker, [`arrive`] finds whose it is and secures it, [`connection`] holds it and [`session`]
//! speaks HTTP on it. [`request`] is the straight line that every request walks: [`routing`] finds its route and
//! [`destination`] its version, [`forward`] makes [`attempt`]s at an endpoint of the version's [`backend`] over
//! connections from [`upstream`]'s pools, [`body`] streams the answer, and [`record`] counts each attempt,
//! exactly once. All of it runs on one [`worker`], whose state is its own: `Rc` and `Cell` where other proxies
//! have locks. What workers know together is in [`crate::shared`].

pub(crate) mod accept;
pub(crate) mod admission;
pub(crate) mod arrive;
pub(crate) mod attempt;
pub(crate) mod backend;
pub(crate) mod body;
pub(crate) mod choice;
pub(crate) mod connection;
pub(crate) mod destination;
pub(crate) mod fault;
pub(crate) mod forward;
pub(crate) mod head;
pub(crate) mod injected;
pub(crate) mod lane;
pub(crate) mod listen;
pub(crate) mod mirror;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod request;
pub(crate) mod retries;
pub(crate) mod routing;
pub(crate) mod rules;
pub(crate) mod session;
pub(crate) mod spill;
pub(crate) mod spread;
pub(crate) mod story;
pub(crate) mod stream;
pub(crate) mod streams;
pub(crate) mod timer;
pub(crate) mod tunnel;
pub(crate) mod upstream;
pub(crate) mod waiting;
pub(crate) mod watch;
pub(crate) mod watched;
pub(crate) mod worker;
