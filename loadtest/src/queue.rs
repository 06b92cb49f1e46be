//! Where a lane finds its next request: in the queue of those that are due (open loop), or at once (closed
//! loop). One thread owns it; cells suffice.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use tokio::sync::Notify;

use crate::{bounds::WAITING_MAX, cancel::Cancel, recorder::PacerCounts, schedule::Stop};

pub(crate) enum Source {
    Open(Queue),
    Closed(Endless),
}

impl Source {
    /// The due time of the lane's next request; none when the load is over.
    pub(crate) async fn next(&self) -> Option<Instant> {
        match self {
            Self::Open(queue) => queue.next().await,
            Self::Closed(endless) => endless.next(),
        }
    }

    /// Whether a lane that failed should rest before the next request, which the schedule does not slow.
    pub(crate) fn rests_after_failure(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

/// Requests that are due and wait for a lane, oldest first; at most [`WAITING_MAX`].
pub(crate) struct Queue {
    due: RefCell<VecDeque<Instant>>,
    idle_lanes: Cell<usize>,
    closed: Cell<bool>,
    wake: Notify,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            due: RefCell::new(VecDeque::new()),
            idle_lanes: Cell::new(0),
            closed: Cell::new(false),
            wake: Notify::new(),
        }
    }

    /// Takes a due request; false if too many wait.
    pub(crate) fn push(&self, due: Instant) -> bool {
        let mut waiting = self.due.borrow_mut();
        if waiting.len() >= WAITING_MAX {
            return false;
        }
        waiting.push_back(due);
        // Lanes wait in order, so load spreads over all of them and none is idle for so long that the peer
        // closes it.
        self.wake.notify_one();
        true
    }

    /// How many requests wait although every idle lane has been woken.
    pub(crate) fn unserved(&self) -> usize {
        self.due.borrow().len().saturating_sub(self.idle_lanes.get())
    }

    async fn next(&self) -> Option<Instant> {
        loop {
            if let Some(due) = self.due.borrow_mut().pop_front() {
                return Some(due);
            }
            if self.closed.get() {
                return None;
            }
            self.idle_lanes.set(self.idle_lanes.get() + 1);
            self.wake.notified().await;
            self.idle_lanes.set(self.idle_lanes.get() - 1);
        }
    }

    /// Lets lanes end once nothing waits.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.wake.notify_waiters();
    }

    /// Gives up what waits.
    pub(crate) fn abandon(&self) -> VecDeque<Instant> {
        std::mem::take(&mut *self.due.borrow_mut())
    }
}

/// The next request is due as soon as the last one ended.
pub(crate) struct Endless {
    pub(crate) start: Instant,
    pub(crate) counts_from: Instant,
    pub(crate) stop: Stop,
    pub(crate) cancel: Cancel,
    pub(crate) counts: Arc<PacerCounts>,
}

impl Endless {
    fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        let taken = self.counts.due.load(Ordering::Relaxed);
        if self.cancel.is_cancelled() || !self.stop.allows(taken, now.saturating_duration_since(self.start)) {
            return None;
        }
        if now >= self.counts_from {
            self.counts.due.store(taken + 1, Ordering::Relaxed);
        }
        Some(now)
    }
}
