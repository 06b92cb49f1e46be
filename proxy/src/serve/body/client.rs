//! What a request's body tells of its client while it goes to the endpoint.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    time::Instant,
};

use bytes::Bytes;
use http_body::Frame;

use crate::{
    clock,
    serve::{mirror::Tee, story::Story, streams::Note, watch::Activity},
};

/// What the request's body tells of its client.
#[derive(Debug)]
pub(crate) struct ClientSide {
    pub(super) failed: Cell<bool>,
    /// Bytes that may come, and that have; none is no limit.
    most: Cell<Option<u64>>,
    passed: Cell<u64>,
    pub(super) answered: Cell<bool>,
    /// A piece is wanted, and has not come.
    awaited: Cell<bool>,
    /// When the endpoint was handed the last piece.
    moved_at: Cell<Option<Instant>>,
    activity: Rc<Activity>,
    /// The stream of HTTP/2 that it comes over.
    note: Option<Rc<Note>>,
    /// The request's story, which must be able to end while a connection still holds the rest of the body.
    story: Weak<Story>,
    /// What a copy of the request keeps of it.
    copy: RefCell<Option<Tee>>,
}

impl ClientSide {
    pub(super) fn new(activity: Rc<Activity>, story: Weak<Story>) -> Self {
        let (failed, answered, awaited) = (Cell::default(), Cell::default(), Cell::default());
        let note = activity.streams.current();
        let copy = RefCell::default();
        let (most, passed, moved_at) = (Cell::default(), Cell::default(), Cell::default());
        Self { failed, most, passed, answered, awaited, moved_at, activity, note, story, copy }
    }

    /// Copies what passes from now on.
    pub(crate) fn copy_to(&self, tee: Tee) {
        *self.copy.borrow_mut() = Some(tee);
    }

    pub(super) fn pass(&self, piece: Option<&Result<Frame<Bytes>, hyper::Error>>, ended: bool) {
        let mut copy = self.copy.borrow_mut();
        match (&mut *copy, piece) {
            (Some(_), Some(Err(_))) => *copy = None,
            (Some(tee), Some(Ok(frame))) => {
                tee.pass(frame.data_ref().map_or(&[], |data| &**data), ended || frame.is_trailers());
            }
            (Some(tee), None) => tee.pass(&[], true),
            (None, _) => {}
        }
    }

    /// No more than so many bytes may come.
    pub(crate) fn limit(&self, bytes: Option<u64>) {
        self.most.set(bytes);
    }

    /// Whether more came than may.
    pub(crate) fn is_too_long(&self) -> bool {
        self.most.get().is_some_and(|most| self.passed.get() > most)
    }

    /// Counts a piece that came; false if it is too much.
    pub(super) fn admits(&self, bytes: usize) -> bool {
        self.passed.set(self.passed.get().saturating_add(bytes as u64));
        if self.is_too_long() {
            self.failed.set(true);
        }
        !self.is_too_long()
    }

    /// Whether the body broke off on the client's side.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// The endpoint has answered: from here on both sides may take their time, as in a stream.
    pub(crate) fn answered(&self) {
        self.answered.set(true);
        self.set_awaited(false);
    }

    /// The request goes out once more, from its beginning.
    pub(crate) fn begin_again(&self) {
        self.set_awaited(false);
        self.moved_at.set(None);
        self.passed.set(0);
        // A copy has had the beginning already.
        *self.copy.borrow_mut() = None;
    }

    /// Since when the endpoint owes the next step, for a request that began to go out at `began`; none while
    /// the client owes it.
    pub(crate) fn endpoint_owes_since(&self, began: Instant) -> Option<Instant> {
        (!self.awaited.get()).then(|| self.moved_at.get().unwrap_or(began))
    }

    pub(super) fn set_awaited(&self, awaited: bool) {
        if self.awaited.replace(awaited) != awaited {
            self.activity.await_body(awaited);
            if let Some(note) = &self.note {
                note.owe(awaited);
            }
        }
    }

    pub(super) fn moved(&self, bytes: usize) {
        if let Some(story) = self.story.upgrade() {
            story.sent(bytes);
        }
        self.set_awaited(false);
        self.activity.moved_piece();
        if !self.answered.get() {
            self.moved_at.set(Some(clock::now()));
        }
    }
}

impl Drop for ClientSide {
    fn drop(&mut self) {
        self.set_awaited(false);
    }
}
