//! The connections of one worker to one endpoint.
//!
//! Of HTTP/1.1 the pool holds what nobody uses at the moment; of HTTP/2 every connection that still takes
//! requests, because they are shared.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use serin_config::{
    Address,
    tls::{EndpointTls, HttpProtocol},
};
use tokio::sync::Notify;

use super::{Http1, Http2, Share, Upstream};
use crate::{
    shared::VersionShared,
    tls::{Connector, Store},
};

/// What connections lead to, and how it is spoken to: the identity of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) protocol: HttpProtocol,
    pub(crate) tls: Option<EndpointTls>,
}

/// How many unused connections are kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) idle: usize,
    pub(crate) keep_alive: Duration,
}

/// All pools of one worker. Those that nobody holds any more go with [`Pools::let_go`].
#[derive(Debug)]
pub(crate) struct Pools {
    pools: RefCell<HashMap<Target, Rc<Pool>>>,
    bounds: Bounds,
    tls: Arc<Store>,
}

impl Pools {
    /// No pools yet.
    pub(crate) fn new(bounds: Bounds, tls: Arc<Store>) -> Self {
        Self { pools: RefCell::default(), bounds, tls }
    }

    /// The pool of a target, made at the first question.
    pub(crate) fn of(&self, target: &Target, version: &Arc<VersionShared>) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        let connector = || self.tls.connector(target.tls.as_ref()?, target.protocol);
        let made = || Rc::new(Pool::new(target.clone(), connector(), self.bounds, version.clone()));
        pools.entry(target.clone()).or_insert_with(made).clone()
    }

    /// Closes connections that nobody used for too long.
    pub(crate) fn sweep(&self, now: Instant) {
        self.pools.borrow().values().for_each(|pool| pool.sweep(now));
    }

    /// Forgets the pools that belong to no version and no request.
    pub(crate) fn let_go(&self) {
        self.pools.borrow_mut().retain(|_, pool| Rc::strong_count(pool) > 1);
    }

    /// How many connections nobody uses.
    pub(crate) fn idle(&self) -> usize {
        self.pools.borrow().values().map(|pool| pool.idle()).sum()
    }
}

/// Connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    target: Target,
    /// What makes the target's TLS, if it has any.
    connector: Option<Connector>,
    bounds: Bounds,
    /// The version whose connections these are.
    version: Arc<VersionShared>,
    #[expect(clippy::vec_box, reason = "a connection is several hundred bytes, and moves with each request")]
    idle: RefCell<Vec<Box<Http1>>>,
    pub(super) shared: RefCell<Vec<Rc<Http2>>>,
    /// Somebody opens a connection that may turn out to be one for all.
    pub(super) opening: Cell<bool>,
    /// Woken when a share ends, and when a connection was opened or could not be.
    pub(super) room: Rc<Notify>,
}

impl Pool {
    /// An empty pool.
    pub(crate) fn new(
        target: Target,
        connector: Option<Connector>,
        bounds: Bounds,
        version: Arc<VersionShared>,
    ) -> Self {
        Self {
            target,
            connector,
            bounds,
            version,
            idle: RefCell::default(),
            shared: RefCell::default(),
            opening: Cell::default(),
            room: Rc::default(),
        }
    }

    /// The endpoint's address.
    pub(crate) fn address(&self) -> &Address {
        &self.target.address
    }

    /// The version whose connections these are.
    pub(super) fn version(&self) -> &Arc<VersionShared> {
        &self.version
    }

    /// What connections lead to.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// What secures new connections.
    pub(super) fn connector(&self) -> Option<&Connector> {
        self.connector.as_ref()
    }

    /// A share of the shared connection that has the fewest, or the unused connection that was used last;
    /// those that are no longer good go.
    pub(crate) fn checkout(&self, now: Instant) -> Option<Upstream> {
        if self.target.protocol != HttpProtocol::Http1
            && let Some(share) = self.share()
        {
            return Some(Upstream::Http2(share));
        }
        let mut idle = self.idle.borrow_mut();
        while let Some(mut upstream) = idle.pop() {
            if self.is_fresh(&mut upstream, now) {
                return Some(Upstream::Http1(upstream));
            }
        }
        None
    }

    fn share(&self) -> Option<Box<Share>> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|connection| connection.is_open());
        let with_room = shared.iter().filter(|connection| connection.has_room());
        with_room.min_by_key(|connection| connection.shares()).map(Http2::share)
    }

    /// Takes a connection back whose response has ended; one that can't serve another request is closed.
    pub(crate) fn put_back(&self, upstream: Upstream, now: Instant) {
        let Upstream::Http1(mut upstream) = upstream else { return };
        let mut idle = self.idle.borrow_mut();
        // Somebody waits for the place that it holds, perhaps at another endpoint.
        let wanted = self.version.connections.waiting() > 0;
        if idle.len() < self.bounds.idle && !wanted && upstream.is_ready() {
            upstream.idle_since = Some(now);
            idle.push(upstream);
        }
    }

    /// Closes connections that were not used for too long, and those that the endpoint has closed.
    pub(crate) fn sweep(&self, now: Instant) {
        let wanted = self.version.connections.waiting() > 0;
        self.idle.borrow_mut().retain_mut(|upstream| !wanted && self.is_fresh(upstream, now));
        let unused = |connection: &Rc<Http2>| {
            connection.shares() == 0
                && now.saturating_duration_since(connection.used_at()) >= self.bounds.keep_alive
        };
        self.shared.borrow_mut().retain(|connection| connection.is_open() && !unused(connection));
    }

    fn is_fresh(&self, upstream: &mut Http1, now: Instant) -> bool {
        let unused = |since| now.saturating_duration_since(since);
        upstream.idle_since.is_some_and(|since| unused(since) < self.bounds.keep_alive) && upstream.is_ready()
    }

    /// How many connections nobody uses.
    pub(crate) fn idle(&self) -> usize {
        let shared = self.shared.borrow();
        self.idle.borrow().len() + shared.iter().filter(|connection| connection.shares() == 0).count()
    }
}
