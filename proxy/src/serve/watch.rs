//! What a client connection waits for, so that nobody can hold one for nothing.
//!
//! The socket and the bodies note their progress in a few cells ([`Activity`]). Each time the connection's
//! task has nothing more to do, [`Watchdog`] looks at what it waits for and for how long: an idle
//! connection, a head that drips, a body that stalls, a client that does not read. One lazy timer covers
//! them all.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use serin_config::limits::Limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{stream::Stream, timer::LazyTimer, tunnel::Tunnel};
use crate::clock;

/// Notes of what happens on one client connection.
#[derive(Debug)]
pub(crate) struct Activity {
    /// HTTP/2: what comes between requests may be an acknowledgement, and need not become a head.
    multiplexed: bool,
    /// Requests between their head and the end of their response.
    pub(crate) in_flight: Cell<usize>,
    /// Requests that have begun, ever.
    pub(crate) requests: Cell<u64>,
    /// Bytes came that belong to no request yet.
    head_begun: Cell<bool>,
    /// The socket takes no more bytes for now.
    write_blocked: Cell<bool>,
    /// Request bodies that are wanted, and of which the client has sent no more.
    bodies_awaited: Cell<usize>,
    /// Response bodies whose last piece the client has made no room for.
    bodies_unread: Cell<usize>,
    /// Bytes that were written, ever.
    written: Cell<u64>,
    /// Pieces of bodies that moved in either direction, ever.
    pieces: Cell<u64>,
    /// A tunnel that was granted, for the connection's task to take once its last head is out.
    tunnel: RefCell<Option<Tunnel>>,
}

impl Activity {
    /// Nothing has happened yet. `multiplexed` is HTTP/2.
    pub(crate) fn new(multiplexed: bool) -> Self {
        Self {
            multiplexed,
            in_flight: Cell::default(),
            requests: Cell::default(),
            head_begun: Cell::default(),
            write_blocked: Cell::default(),
            bodies_awaited: Cell::default(),
            bodies_unread: Cell::default(),
            written: Cell::default(),
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

    /// A response has ended, or was given up.
    pub(crate) fn end(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
    }

    /// The connection shall become this tunnel.
    pub(crate) fn leave_tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.borrow_mut() = Some(tunnel);
    }

    /// The tunnel that the connection shall become, if one was granted.
    pub(crate) fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel.borrow_mut().take()
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

    fn waits_for(&self) -> Waits {
        let client_owes = self.bodies_awaited.get() + self.bodies_unread.get() > 0;
        match (self.write_blocked.get(), self.in_flight.get(), self.head_begun.get()) {
            (true, _, _) => Waits::Reader(self.written.get()),
            // Bytes alone are no progress here: HTTP/2 has pings.
            (_, 1.., _) if client_owes => Waits::Body(self.pieces.get()),
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
    /// No request came; closing is friendly.
    Idle,
    /// A head or body did not come, or the response was not read.
    Stalled,
}

/// Watches one client connection.
#[derive(Debug)]
pub(crate) struct Watchdog {
    activity: Rc<Activity>,
    waiting: Waits,
    since: Instant,
    timer: LazyTimer,
}

impl Watchdog {
    /// A watch over a connection that was accepted at `since`.
    pub(crate) fn new(activity: Rc<Activity>, since: Instant) -> Self {
        Self { activity, waiting: Waits::Request(0), since, timer: LazyTimer::default() }
    }

    /// To be polled whenever the connection waits; ready when the client has let a deadline pass. An idle
    /// client gets `grace` on top.
    pub(crate) fn poll(
        &mut self,
        limits: &Limits,
        keep_alive: Duration,
        grace: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<Overdue> {
        let waiting = self.activity.waits_for();
        if waiting != self.waiting {
            (self.waiting, self.since) = (waiting, clock::now());
        }
        let (limit, overdue) = match waiting {
            Waits::Request(0) => (limits.client_header_timeout + grace, Overdue::Idle),
            Waits::Request(_) => (keep_alive + grace, Overdue::Idle),
            Waits::Head(_) => (limits.client_header_timeout, Overdue::Stalled),
            Waits::Body(_) | Waits::Reader(_) => (limits.client_stall_timeout, Overdue::Stalled),
            Waits::Endpoint => return Poll::Pending,
        };
        self.timer.poll(self.since + limit, cx).map(|()| overdue)
    }
}

/// A client's socket that notes its progress. Bytes that were read to tell the protocol come first.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: Stream,
    first: Option<Vec<u8>>,
    activity: Rc<Activity>,
}

impl Watched {
    pub(crate) fn new(stream: Stream, first: Vec<u8>, activity: Rc<Activity>) -> Self {
        Self { stream, first: Some(first).filter(|bytes| !bytes.is_empty()), activity }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(bytes)) => {
                self.activity.write_blocked.set(false);
                self.activity.written.set(self.activity.written.get().wrapping_add(*bytes as u64));
            }
            Poll::Ready(Err(_)) => self.activity.write_blocked.set(false),
            Poll::Pending => self.activity.write_blocked.set(true),
        }
        result
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let polled = match this.first.take() {
            Some(mut bytes) => {
                let fits = bytes.len().min(into.remaining());
                into.put_slice(&bytes[..fits]);
                bytes.drain(..fits);
                this.first = Some(bytes).filter(|rest| !rest.is_empty());
                Poll::Ready(Ok(()))
            }
            None => Pin::new(&mut this.stream).poll_read(cx, into),
        };
        let between_requests = !this.activity.multiplexed && this.activity.in_flight.get() == 0;
        if between_requests && into.filled().len() > before {
            this.activity.head_begun.set(true);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
