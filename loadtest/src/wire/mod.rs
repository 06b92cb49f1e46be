//! The client's side of HTTP: [`dial`] opens connections, [`http1`] speaks HTTP/1.1 over one, and [`http2`] lets
//! several lanes share one.
//!
//! HTTP/1.1 is our own few hundred lines, over a parser of heads that browsers' rivals use too. A general client owns
//! a task for each connection, a channel to it, and a map of headers for each answer; a generator needs none of
//! them, and what it spends it can't send. HTTP/2 is hyper's: its cost is in its own frames.

pub(crate) mod chunked;
pub(crate) mod dial;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod io;

use http::{HeaderName, response};

use crate::{
    bounds::{CHECKED_BODY_BYTES_MAX, VERSION_BYTES_MAX},
    measure::{ErrorKind, NO_VERSION},
    target::Check,
};

/// Why there is no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) kind: ErrorKind,
    /// Whether the peer can't have seen the whole request.
    pub(crate) unsent: bool,
}

impl From<ErrorKind> for Broken {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, unsent: false }
    }
}

/// What a lane wants to know of an answer beside its status.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The version that the answer names.
    pub(crate) version: String,
    /// Head and body, where somebody looks at them.
    looked_at: Option<LookedAt>,
}

#[derive(Debug, Default)]
struct LookedAt {
    head: Option<response::Parts>,
    body: Vec<u8>,
    too_long: bool,
}

impl Reading {
    /// With `checked`, head and body are kept for [`Reading::passes`].
    pub(crate) fn new(checked: bool) -> Self {
        Self { version: String::new(), looked_at: checked.then(LookedAt::default) }
    }

    /// Before the next request.
    pub(crate) fn begin(&mut self) {
        self.version.clear();
        self.version.push_str(NO_VERSION);
        if let Some(looked_at) = &mut self.looked_at {
            looked_at.head = None;
            looked_at.body.clear();
            looked_at.too_long = false;
        }
    }

    /// Takes the value of the header that names the version.
    pub(crate) fn is_of(&mut self, label: &[u8]) {
        // Text of a header is ASCII, so any byte is a boundary; other bytes name nothing.
        if let Ok(label) = std::str::from_utf8(&label[..label.len().min(VERSION_BYTES_MAX)]) {
            self.version.clear();
            self.version.push_str(label);
        }
    }

    pub(crate) fn wants_all(&self) -> bool {
        self.looked_at.is_some()
    }

    pub(crate) fn head(&mut self, head: response::Parts) {
        if let Some(looked_at) = &mut self.looked_at {
            looked_at.head = Some(head);
        }
    }

    pub(crate) fn data(&mut self, data: &[u8]) {
        let Some(looked_at) = &mut self.looked_at else { return };
        looked_at.too_long |= looked_at.body.len() + data.len() > CHECKED_BODY_BYTES_MAX;
        if !looked_at.too_long {
            looked_at.body.extend_from_slice(data);
        }
    }

    /// Whether the answer is as it should be.
    pub(crate) fn passes(&self, check: &Check) -> bool {
        let Some(LookedAt { head: Some(head), body, too_long: false }) = &self.looked_at else {
            return false;
        };
        check(head, body)
    }
}

/// What is asked, as it goes over a wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// HTTP/1.1: head and body.
    pub(crate) bytes: &'a [u8],
    /// Whether the answer has no body, whatever its head says.
    pub(crate) is_head: bool,
    /// Whether the connection is not used any more.
    pub(crate) is_last: bool,
    /// Which header of the answer names the version.
    pub(crate) version_header: &'a HeaderName,
}
