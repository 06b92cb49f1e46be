//! Trace context: where a request stands in its trace, and what the endpoint is told of that.
//!
//! [`Context::receive`] reads what came: W3C Trace Context (level 2) before B3; a broken header, or two
//! `traceparent`s, are as good as none, and then a trace begins here. After that there are two ways on.
//! [`Context::pass`] is for a request of which no span is made for sure: a valid `traceparent` goes on byte
//! for byte, with its `tracestate`. [`Context::send`] is for one that is recorded: only the parent's id is
//! rewritten, to that of the span of this attempt. `baggage` is nobody's business here, and stays.
//!
//! The random flag and the trace id are never changed while the trace goes on; a trace that begins here has a
//! random id and says so.

mod b3;
mod id;
mod parent;
mod state;

use std::borrow::Cow;

use http::HeaderMap;
use serin_config::telemetry::B3;

pub use self::{
    id::{SpanId, TraceId},
    parent::{Flags, TraceParent},
};
use self::{
    parent::TRACEPARENT,
    state::{TRACESTATE, tidy},
};

/// Where a request stands in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span; none where the trace begins here.
    pub caller: Option<SpanId>,
    /// Our own span for the whole request.
    pub server: SpanId,
    /// Whether it is sampled, and whether the trace id is random.
    pub flags: Flags,
    came_by: CameBy,
    /// Whether somebody has decided about sampling.
    decided: bool,
    /// B3's word for "sampled, whatever anybody thinks".
    debug: bool,
}

/// What brought the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CameBy {
    /// Nothing: the trace begins here.
    Nobody,
    W3c,
    B3,
}

impl Context {
    /// Reads the context of a request, or begins one with `random` numbers. Where nobody has decided about
    /// sampling yet, [`Self::settle`] does.
    pub fn receive(headers: &HeaderMap, b3: B3, mut random: impl FnMut() -> u64) -> Self {
        let server = SpanId::random(random());
        if let Some(TraceParent { trace, parent, flags }) = TraceParent::received(headers) {
            let (caller, came_by) = (Some(parent), CameBy::W3c);
            return Self { trace, caller, server, flags, came_by, decided: true, debug: false };
        }
        let from_b3 = if b3 == B3::Off { None } else { b3::received(headers) };
        let debug = from_b3.is_some_and(|b3| b3.debug);
        let decision = from_b3.and_then(|b3| b3.sampled);
        let (decided, sampled) = (decision.is_some(), decision.unwrap_or(false));
        match from_b3.and_then(|b3| b3.ids) {
            Some((trace, span)) => {
                // Nothing says whether B3's ids are random.
                let (caller, flags, came_by) = (Some(span), Flags::new(sampled, false), CameBy::B3);
                Self { trace, caller, server, flags, came_by, decided, debug }
            }
            None => {
                let (trace, flags) = (TraceId::random(random(), random()), Flags::new(sampled, true));
                Self { trace, caller: None, server, flags, came_by: CameBy::Nobody, decided, debug }
            }
        }
    }

    /// Decides about sampling, if nobody has yet.
    pub fn settle(&mut self, sampled: impl FnOnce() -> bool) {
        if !self.decided {
            self.decided = true;
            self.flags = Flags::new(sampled(), self.flags.random());
        }
    }

    /// Whether the trace is sampled.
    pub const fn is_sampled(&self) -> bool {
        self.flags.sampled()
    }

    /// The headers for an endpoint where no span of the attempt is promised. What came in W3C's form goes on
    /// as it came.
    pub fn pass(&self, headers: &mut HeaderMap, b3: B3) {
        let parent = match self.came_by {
            CameBy::W3c if b3 != B3::Both || b3::is_there(headers) => return,
            CameBy::W3c => return self.write_b3(headers, self.caller.unwrap_or(self.server), None),
            CameBy::B3 => self.caller.unwrap_or(self.server),
            CameBy::Nobody => self.server,
        };
        self.write_w3c(headers, parent);
        if b3 == B3::Both && self.came_by == CameBy::Nobody {
            self.write_b3(headers, parent, None);
        }
    }

    /// The headers for an endpoint where `span` is the span of the attempt. A retry calls it again.
    pub fn send(&self, headers: &mut HeaderMap, b3: B3, span: SpanId) {
        if self.came_by == CameBy::W3c {
            tidy(headers);
        }
        self.write_w3c(headers, span);
        if b3 == B3::Both {
            self.write_b3(headers, span, Some(self.server));
        }
    }

    fn write_w3c(&self, headers: &mut HeaderMap, parent: SpanId) {
        if self.came_by != CameBy::W3c {
            // 3.3: a tracestate without a valid traceparent must not be read, and belongs to another trace.
            headers.remove(TRACESTATE);
        }
        headers.insert(TRACEPARENT, TraceParent { trace: self.trace, parent, flags: self.flags }.to_header());
    }

    fn write_b3(&self, headers: &mut HeaderMap, span: SpanId, parent: Option<SpanId>) {
        let (trace, sampled, debug) = (self.trace, self.is_sampled(), self.debug);
        b3::write(headers, &b3::Outgoing { trace, span, parent, sampled, debug });
    }
}

/// The `tracestate` that goes with a context, its lines combined, for the record of a span; empty where there
/// is none.
pub fn state(headers: &HeaderMap) -> Cow<'_, str> {
    let mut lines = headers.get_all(TRACESTATE).iter().filter_map(|line| line.to_str().ok());
    let first = lines.next().unwrap_or_default();
    lines.fold(Cow::Borrowed(first), |all, line| Cow::Owned(format!("{all},{line}")))
}

/// Whether a `traceparent` is valid.
pub fn is_valid(value: &[u8]) -> bool {
    TraceParent::read(value).is_some()
}

#[cfg(test)]
mod tests;
