//! The connections of one worker to one endpoint.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use serin_config::Address;

use super::{Http1, Upstream};

/// Unused connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    address: Address,
    #[expect(clippy::vec_box, reason = "a connection is several hundred bytes, and moves with each request")]
    idle: RefCell<Vec<Box<Http1>>>,
    idle_max: usize,
    keep_alive: Duration,
}

impl Pool {
    /// A pool that keeps up to `idle_max` connections, each unused for less than `keep_alive`.
    pub(crate) fn new(address: Address, idle_max: usize, keep_alive: Duration) -> Self {
        Self { address, idle: RefCell::new(Vec::new()), idle_max, keep_alive }
    }

    /// The endpoint's address.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The connection that was used last and is still good; those that are not go.
    pub(crate) fn checkout(&self, now: Instant) -> Option<Upstream> {
        let mut idle = self.idle.borrow_mut();
        while let Some(mut upstream) = idle.pop() {
            if self.is_fresh(&mut upstream, now) {
                return Some(Upstream::Http1(upstream));
            }
        }
        None
    }

    /// Takes a connection back whose response has ended; one that can't serve another request is closed.
    pub(crate) fn put_back(&self, upstream: Upstream, now: Instant) {
        let Upstream::Http1(mut upstream) = upstream;
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.idle_max && upstream.is_ready() {
            upstream.idle_since = Some(now);
            idle.push(upstream);
        }
    }

    /// Closes connections that were not used for too long, and those that the endpoint has closed.
    pub(crate) fn sweep(&self, now: Instant) {
        self.idle.borrow_mut().retain_mut(|upstream| self.is_fresh(upstream, now));
    }

    fn is_fresh(&self, upstream: &mut Http1, now: Instant) -> bool {
        let unused = |since| now.saturating_duration_since(since);
        upstream.idle_since.is_some_and(|since| unused(since) < self.keep_alive) && upstream.is_ready()
    }

    /// How many wait.
    pub(crate) fn idle(&self) -> usize {
        self.idle.borrow().len()
    }
}
