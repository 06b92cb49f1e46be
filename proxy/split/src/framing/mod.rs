//! Where one HTTP/1 request ends and the next begins, judged from the bytes themselves.
//!
//! Smuggling lives on two readers that disagree about a message's end. The HTTP library behind this reader is
//! lenient where the standard lets it be: it takes a bare line feed for a line's end, and a length beside
//! chunks. So each byte of a client's HTTP/1 connection passes here first. A [`Framer`] checks heads as
//! strictly as the grammar allows, follows lengths and chunks to the end of each body, and hands a head on
//! only when all of it has come and is sound: the library never sees half a head or a bad one, and Serin
//! answers for every refusal in its own words.
//!
//! It looks at each byte of a head once, however slowly they drip, and at a body's bytes not at all, save for
//! the sizes of chunks. [`head`] judges lines, [`chunks`] follows a chunked body.

mod chunks;
mod head;

#[cfg(test)]
mod tests;

use chunks::Chunks;
use head::{Framing, Head, Progress};
use http::StatusCode;

use crate::vet::Refusal;

/// Follows the requests of one HTTP/1 connection.
#[derive(Debug, Default)]
pub struct Framer {
    state: State,
    /// The request whose body passes asked for another protocol.
    upgrade: bool,
    is_head: bool,
    heads: u64,
}

#[derive(Debug)]
enum State {
    Head(Head),
    Length(u64),
    Chunks(Chunks),
    /// Behind a request for another protocol: what comes is that protocol's, or nobody's.
    Upgrade,
    Broken,
    Refused,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

/// What became of the bytes that were offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// So many of them, from the first, may go on. Whoever calls keeps the rest and offers it again, with
    /// more behind it.
    pub passed: usize,
    /// What to do behind these.
    pub then: Then,
}

/// What follows the bytes that may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The rest, if any, is the beginning of a head.
    More,
    /// The rest is no request: answer that, and close. Nothing behind it is looked at any more.
    Refuse(Refusal),
    /// The body is malformed here: break off.
    Broken,
    /// The rest belongs to the protocol that the last request asked for. Hold it until that is answered.
    Hold,
}

impl Framer {
    /// Looks at bytes that follow those which have passed. What was offered before and did not pass must
    /// come first, unchanged.
    pub fn take(&mut self, bytes: &[u8]) -> Taken {
        let mut passed = 0;
        loop {
            let rest = &bytes[passed..];
            let then = match &mut self.state {
                State::Head(head) => match head.scan(rest) {
                    Progress::Whole(len, framing) => {
                        passed += len;
                        self.heads += 1;
                        self.begin(framing);
                        continue;
                    }
                    Progress::Part => Then::More,
                    Progress::Bad(refusal) => {
                        self.is_head = rest.starts_with(b"HEAD ");
                        self.state = State::Refused;
                        Then::Refuse(refusal)
                    }
                },
                _ if rest.is_empty() => Then::More,
                State::Length(left) => {
                    let now = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    passed += now;
                    *left -= now as u64;
                    if *left == 0 {
                        self.end();
                    }
                    continue;
                }
                State::Chunks(chunks) => {
                    let (now, is_over) = chunks.follow(rest);
                    passed += now;
                    match is_over {
                        Some(true) => self.end(),
                        Some(false) => self.state = State::Broken,
                        None => {}
                    }
                    continue;
                }
                State::Upgrade => Then::Hold,
                State::Broken => Then::Broken,
                State::Refused => Then::More,
            };
            return Taken { passed, then };
        }
    }

    fn begin(&mut self, framing: Framing) {
        self.upgrade = framing.upgrade;
        match (framing.chunked, framing.length) {
            (true, _) => self.state = State::Chunks(Chunks::default()),
            (false, 0) => self.end(),
            (false, length) => self.state = State::Length(length),
        }
    }

    fn end(&mut self) {
        self.state = if self.upgrade { State::Upgrade } else { State::default() };
    }

    /// Heads that have passed.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether what was refused asked for a head alone.
    pub fn refused_head_request(&self) -> bool {
        self.is_head
    }

    /// Whether the rest is held until the last request is answered.
    pub fn holds(&self) -> bool {
        matches!(self.state, State::Upgrade)
    }

    /// Whether a part of the last request's body is still to come.
    pub fn is_within_body(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Chunks(_))
    }

    /// Whether the body is malformed behind what has passed.
    pub fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }

    /// The request for another protocol was answered within HTTP: requests go on. What the client sent
    /// before it could know that must not be offered here (RFC 9931).
    pub fn stay(&mut self) {
        if self.holds() {
            self.state = State::default();
        }
    }
}

const fn refusal(status: StatusCode, detail: &'static str) -> Refusal {
    Refusal { status, detail }
}

const fn bad(detail: &'static str) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, detail)
}
