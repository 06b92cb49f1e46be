//! What a client connection waits for, so that nobody can hold one for nothing.
//!
//! The socket and the bodies note their progress in a few cells ([`Activity`]). Each time the connection's
//! task has nothing more to do, [`Watchdog`] looks at what it waits for and for how long: an idle
//! connection, a head that drips, a body that stalls, a client that does not read. One lazy timer covers
//! them all; a second one looks at the streams of HTTP/2 one by one.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use serin_config::limits::{Limits, PARK_AFTER};
use serin_split::{abuse::Abuse, vet::Refusal};

use super::{streams::Streams, timer::LazyTimer, tunnel::Tunnel};
use crate::clock;

/// Looks at the streams in the time that one may stall.
const LOOKS: u32 = 4;

/// Notes of what happens on one client connection.
#[derive(Debug)]
pub(crate) struct Activity {
    /// HTTP/2: what comes between requests may be an acknowledgement, and need not become a head.
    multiplexed: bool,
    /// Requests between their head and the end of their response.
    pub(crate) in_flight: Cell<usize>,
    /// Requests that have begun, ever.
    pub(crate) requests: Cell<u64>,
    /// Requests that the client gave up before their answer, ever.
    pub(crate) given_up: Cell<u64>,
    /// The socket takes no more bytes for now.
    pub(crate) write_blocked: Cell<bool>,
    /// Bytes that were written, ever.
    pub(crate) written: Cell<u64>,
    /// In what way the client went too far.
    pub(crate) abuse: Cell<Option<Abuse>>,
    /// The streams of HTTP/2.
    pub(crate) streams: Streams,
    /// HTTP/1: a body was malformed, and nothing behind it can be read.
    pub(crate) broken: Cell<bool>,
    /// Bytes came that belong to no request yet.
    head_begun: Cell<bool>,
    /// What is no request, behind so many that are.
    refused: Cell<Option<(u64, Refusal)>>,
    /// Request bodies that are wanted, and of which the client has sent no more.
    bodies_awaited: Cell<usize>,
    /// Response bodies whose last piece the client has made no room for.
    bodies_unread: Cell<usize>,
    /// Pieces of bodies that moved in either direction, ever.
    pieces: Cell<u64>,
    /// A tunnel that was granted, for the connection's task to take once its last head is out.
    tunnel: RefCell<Option<Tunnel>>,
}

impl Activity {
    /// Nothing has happened yet on a connection of HTTP/1.
    pub(crate) fn http1() -> Self {
        Self::new(false)
    }

    /// A connection of HTTP/1 goes on that was served before.
    pub(crate) fn resumed() -> Self {
        let activity = Self::new(false);
        activity.requests.set(1);
        activity
    }

    /// Nothing has happened yet on a connection of HTTP/2.
    pub(crate) fn http2() -> Self {
        Self::new(true)
    }

    fn new(multiplexed: bool) -> Self {
        Self {
            multiplexed,
            in_flight: Cell::default(),
            requests: Cell::default(),
            given_up: Cell::default(),
            write_blocked: Cell::default(),
            written: Cell::default(),
            abuse: Cell::default(),
            streams: Streams::default(),
            broken: Cell::default(),
            head_begun: Cell::default(),
            refused: Cell::default(),
            bodies_awaited: Cell::default(),
            bodies_unread: Cell::default(),
            pieces: Cell::default(),
            tunnel: RefCell::default(),
        }
    }

    /// A request's head is complete.
    pub(crate) fn begin(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
        self.requests.set(self.requests.get() + 1);
        self.head_begun.set(false);
    }

    /// A response has ended.
    pub(crate) fn end(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
    }

    /// The client gave a request up before its answer.
    pub(crate) fn give_up(&self) {
        self.given_up.set(self.given_up.get() + 1);
        self.end();
    }

    /// The connection shall become this tunnel.
    pub(crate) fn leave_tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.borrow_mut() = Some(tunnel);
    }

    /// The tunnel that the connection shall become, if one was granted.
    pub(crate) fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel.borrow_mut().take()
    }

    /// Bytes came over HTTP/1.
    pub(crate) fn came(&self) {
        if self.in_flight.get() == 0 {
            self.head_begun.set(true);
        }
    }

    /// What comes behind so many requests is none.
    pub(crate) fn refuse(&self, requests: u64, refusal: Refusal) {
        self.refused.set(Some((requests, refusal)));
    }

    /// Whether the client is looked at no more.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.get().is_some()
    }

    /// Why the request that now begins is none, and only stands for what the client sent.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let (behind, refusal) = self.refused.get()?;
        (behind == self.requests.get()).then_some(refusal)
    }

    /// The wait for a piece of one more request body begins, or is over.
    pub(crate) fn await_body(&self, begins: bool) {
        count(&self.bodies_awaited, begins);
    }

    /// The wait for room for a piece of one more response body begins, or is over.
    pub(crate) fn await_reader(&self, begins: bool) {
        count(&self.bodies_unread, begins);
        self.moved_piece();
    }

    /// A piece of a body has moved.
    pub(crate) fn moved_piece(&self) {
        self.pieces.set(self.pieces.get().wrapping_add(1));
    }

    fn client_owes(&self) -> bool {
        self.bodies_awaited.get() + self.bodies_unread.get() > 0
    }

    fn waits_for(&self) -> Waits {
        match (self.write_blocked.get(), self.in_flight.get(), self.head_begun.get()) {
            (true, _, _) => Waits::Reader(self.written.get()),
            // Bytes alone are no progress here: HTTP/2 has pings.
            (_, 1.., _) if self.client_owes() => Waits::Body(self.pieces.get()),
            (_, 1.., _) => Waits::Endpoint,
            // A head that drips makes progress; its time runs all the same.
            (_, 0, true) => Waits::Head(self.requests.get()),
            (_, 0, false) => Waits::Request(self.requests.get()),
        }
    }
}

fn count(cell: &Cell<usize>, one_more: bool) {
    cell.set(if one_more { cell.get() + 1 } else { cell.get().saturating_sub(1) });
}

/// What a client connection waits for, with a number that tells one wait from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Request(u64),
    Head(u64),
    Body(u64),
    Reader(u64),
    Endpoint,
}

/// The client let a deadline pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// No request came for a moment: what the connection holds may be given back.
    Quiet,
    /// No request came; closing is friendly.
    Idle,
    /// A head or body did not come, or the response was not read.
    Stalled(Abuse),
    /// So many streams stalled, and were given up; the connection goes on.
    Streams(u64),
}

/// Watches one client connection.
#[derive(Debug)]
pub(crate) struct Watchdog {
    activity: Rc<Activity>,
    waiting: Waits,
    since: Instant,
    timer: LazyTimer,
    next_look: Option<Instant>,
    look_timer: LazyTimer,
}

impl Watchdog {
    /// A watch over a connection that has waited for the client since `since`.
    pub(crate) fn new(activity: Rc<Activity>, since: Instant) -> Self {
        let waiting = Waits::Request(activity.requests.get());
        let (timer, look_timer) = (LazyTimer::default(), LazyTimer::default());
        Self { activity, waiting, since, timer, next_look: None, look_timer }
    }

    /// Since when the connection has waited for what it waits for.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// To be polled whenever the connection waits; ready when the client has let a deadline pass. An idle
    /// client gets `grace` on top. `parks` if what a quiet connection holds can be given back.
    pub(crate) fn poll(
        &mut self,
        limits: &Limits,
        keep_alive: Duration,
        grace: Duration,
        parks: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Overdue> {
        let waiting = self.activity.waits_for();
        if waiting != self.waiting {
            // The time for the first head began with the connection.
            let of_first_head = (self.waiting, waiting) == (Waits::Request(0), Waits::Head(0));
            self.waiting = waiting;
            if !of_first_head {
                self.since = clock::now();
            }
        }
        let (limit, overdue) = match waiting {
            Waits::Request(0) => (limits.client_header_timeout + grace, Overdue::Idle),
            Waits::Request(_) if parks && PARK_AFTER < keep_alive => (PARK_AFTER, Overdue::Quiet),
            Waits::Request(_) => (keep_alive + grace, Overdue::Idle),
            Waits::Head(_) => (limits.client_header_timeout, Overdue::Stalled(Abuse::SlowHead)),
            Waits::Body(_) => (limits.client_stall_timeout, Overdue::Stalled(Abuse::SlowBody)),
            Waits::Reader(_) => (limits.client_stall_timeout, Overdue::Stalled(Abuse::SlowReader)),
            Waits::Endpoint => return Poll::Pending,
        };
        let timed = self.timer.poll(self.since + limit, cx).map(|()| overdue);
        if timed.is_ready() { timed } else { self.look_at_streams(limits.client_stall_timeout, cx) }
    }

    fn look_at_streams(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<Overdue> {
        if !self.activity.multiplexed || !self.activity.client_owes() {
            self.next_look = None;
            return Poll::Pending;
        }
        loop {
            let next = *self.next_look.get_or_insert_with(clock::now);
            if self.look_timer.poll(next, cx).is_pending() {
                return Poll::Pending;
            }
            let now = clock::now();
            self.next_look = Some(now + limit / LOOKS);
            let blocked = self.activity.write_blocked.get();
            let given_up = self.activity.streams.give_up_overdue(now, limit, blocked);
            if given_up > 0 {
                return Poll::Ready(Overdue::Streams(given_up));
            }
        }
    }
}
