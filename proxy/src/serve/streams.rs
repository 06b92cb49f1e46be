//! The streams of an HTTP/2 connection, each watched for a client that keeps it waiting.
//!
//! One stream that nobody reads would be lost among its neighbours if the connection as a whole were judged:
//! they move, and it pins its buffers, its place and its endpoint for ever. So each stream has a [`Note`] of
//! its own. A look at them all now and then costs less than a timer for each.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use hyper::rt::Executor;

use super::watch::Activity;

/// What one stream waits for.
#[derive(Debug, Default)]
pub(crate) struct Note {
    /// Bodies of which the client owes the next piece, or room for it.
    owed: Cell<u32>,
    pieces: Cell<u64>,
    /// When the last look found it waiting, and after how many pieces.
    looked: Cell<Option<(Instant, u64)>>,
    is_over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Note {
    /// The client owes a piece more, or one less.
    pub(crate) fn owe(&self, begins: bool) {
        self.owed.set(if begins { self.owed.get() + 1 } else { self.owed.get().saturating_sub(1) });
        self.pieces.set(self.pieces.get().wrapping_add(1));
    }

    /// Whether the client has owed the same thing for all of `limit`.
    fn is_overdue(&self, now: Instant, limit: Duration) -> bool {
        if self.owed.get() == 0 {
            self.looked.set(None);
            return false;
        }
        match self.looked.get() {
            Some((since, pieces)) if pieces == self.pieces.get() => now.duration_since(since) >= limit,
            _ => {
                self.looked.set(Some((now, self.pieces.get())));
                false
            }
        }
    }

    /// Gives the stream up: its task will drop it, which resets it.
    fn give_up(&self) {
        self.is_over.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// All streams of a connection.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: RefCell<Vec<Rc<Note>>>,
    /// The stream whose task runs right now.
    current: RefCell<Option<Rc<Note>>>,
}

impl Streams {
    /// The stream whose task runs right now; none over HTTP/1.
    pub(crate) fn current(&self) -> Option<Rc<Note>> {
        self.current.borrow().clone()
    }

    /// Gives up the streams whose client owes the same thing for all of `limit`, and tells how many. While
    /// the socket itself is full the line may be slow, and no stream is blamed.
    pub(crate) fn give_up_overdue(&self, now: Instant, limit: Duration, is_blocked: bool) -> u64 {
        let mut given_up = 0;
        for note in self.open.borrow().iter() {
            if is_blocked {
                note.looked.set(None);
            } else if note.is_overdue(now, limit) {
                note.give_up();
                given_up += 1;
            }
        }
        given_up
    }
}

/// Spawns streams on the worker's own thread, each with its note.
#[derive(Debug, Clone)]
pub(crate) struct Spawn(pub(crate) Rc<Activity>);

impl<F: Future<Output = ()> + 'static> Executor<F> for Spawn {
    fn execute(&self, future: F) {
        let activity = self.0.clone();
        let note = Rc::new(Note::default());
        activity.streams.open.borrow_mut().push(note.clone());
        tokio::task::spawn_local(async move {
            let streams = &activity.streams;
            let mut future = pin!(future);
            poll_fn(|cx| {
                if note.is_over.get() {
                    return Poll::Ready(());
                }
                if !note.waker.borrow().as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    *note.waker.borrow_mut() = Some(cx.waker().clone());
                }
                streams.current.replace(Some(note.clone()));
                let polled = future.as_mut().poll(cx);
                streams.current.replace(None);
                polled
            })
            .await;
            streams.open.borrow_mut().retain(|open| !Rc::ptr_eq(open, &note));
        });
    }
}

/// Spawns on the worker's own thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local;

impl<F: Future<Output = ()> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn only_who_owes_the_same_thing_all_the_time_is_overdue() {
        let (note, limit, start) = (Note::default(), Duration::from_secs(30), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!note.is_overdue(at(100), limit), "nothing is owed");
        note.owe(true);
        assert!(!note.is_overdue(at(100), limit), "from the first look on");
        assert!(!note.is_overdue(at(129), limit));
        note.owe(false);
        note.owe(true);
        assert!(!note.is_overdue(at(131), limit), "a piece has moved");
        assert!(!note.is_overdue(at(160), limit));
        assert!(note.is_overdue(at(161), limit));
        note.owe(false);
        assert!(!note.is_overdue(at(200), limit));
    }
}
