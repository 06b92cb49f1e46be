//! The story of one request, written along its way and told when it is over.
//!
//! Whoever still has something to say about a request holds a [`Rc`] of its story: the straight line, the
//! attempts, the body on its way to the client. When the last of them lets go, the story is told, exactly
//! once, whichever way the request went: to its end, given up by its client, refused, or tunnelled. Nobody
//! can forget to tell it, and nobody has to know who else holds it.
//!
//! A story is begun only if spans or an access log want it; without them a request costs its trace context
//! and a branch or two.

use std::{
    cell::{Cell, RefCell},
    fmt,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Response, StatusCode, Version, header::USER_AGENT, request};
use serin_config::{Address, Outcome, Plan, ServiceName, Weight};
use serin_split::trace::{self, Context, SpanId, TraceId};

use super::{
    routing,
    worker::{Peer, Worker},
};
use crate::{
    clock,
    observe::tale::{Asked, Attempt, Names, Tale},
};

/// Where a request stands in its trace, and its story if somebody wants one.
#[derive(Debug, Clone)]
pub(crate) struct Trail {
    context: Context,
    story: Option<Rc<Story>>,
}

/// An answer by Serin itself carries its label to the story as an extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnAnswer(pub(crate) &'static str);

impl Trail {
    /// Reads the context of a request whose head came at `began`.
    pub(crate) fn begin(worker: &Rc<Worker>, peer: &Peer, head: &request::Parts, began: Instant) -> Self {
        let context = Context::receive(&head.headers, worker.telemetry.b3, || worker.random());
        let story = worker.tellers.want_stories().then(|| Story::begin(worker, peer, head, context, began));
        Self { context, story: story.map(Rc::new) }
    }

    /// The request is of the plan's route at this position.
    pub(crate) fn routed(&self, plan: &Plan, at: usize) {
        if let Some(story) = &self.story {
            story.with(|tale| {
                tale.route = plan.catalogue().routes().get(at).map(|route| route.name.clone());
                tale.generation = plan.generation().0;
            });
        }
    }

    /// The request goes to this service.
    pub(crate) fn leads_to(&self, service: &ServiceName) {
        if let Some(story) = &self.story {
            story.with(|tale| tale.service = Some(service.clone()));
        }
    }

    /// Decides about sampling where the client has not, with this share.
    pub(crate) fn settle(&mut self, worker: &Worker, share: Weight) {
        self.context.settle(|| worker.chance(share.ppm()));
        if let Some(story) = &self.story {
            story.with(|tale| tale.context = self.context);
        }
    }

    /// Writes the trace headers of a request that goes to an endpoint. An attempt that has a span of its own
    /// writes them again; a copy for a mirror does not.
    pub(crate) fn write(&self, headers: &mut HeaderMap, worker: &Worker) {
        self.context.pass(headers, worker.telemetry.b3);
    }

    /// The trace, if somebody records it.
    pub(crate) fn sampled(&self) -> Option<TraceId> {
        self.context.is_sampled().then_some(self.context.trace)
    }

    /// The story, for the bodies to count their bytes in.
    pub(crate) fn story(&self) -> Option<&Rc<Story>> {
        self.story.as_ref()
    }

    /// The answer's head goes out.
    pub(crate) fn answered<B>(&self, response: &Response<B>) {
        if let Some(story) = &self.story {
            let own = response.extensions().get::<OwnAnswer>().map(|OwnAnswer(label)| *label);
            story.with(|tale| {
                (tale.status, tale.answered, tale.own_answer) =
                    (Some(response.status()), Some(clock::now()), own);
            });
        }
    }

    /// Whether each attempt has a span that endpoints are told of.
    fn has_spans(&self) -> bool {
        self.context.is_sampled()
            && self.story.as_ref().is_some_and(|story| story.worker.tellers.have_spans())
    }

    /// Begins to tell of an attempt; nothing if nobody wants to know.
    pub(crate) fn attempt(&self, names: &Arc<Names>) -> Option<Box<Step>> {
        let story = self.story.clone()?;
        let span = SpanId::random(story.worker.random());
        Some(Box::new(Step {
            trail: self.clone(),
            story,
            span,
            names: names.clone(),
            began: clock::now(),
            endpoint: None,
            answer: None,
        }))
    }
}

/// An attempt as its request's story has it.
#[derive(Debug)]
pub(crate) struct Step {
    trail: Trail,
    story: Rc<Story>,
    span: SpanId,
    names: Arc<Names>,
    began: Instant,
    endpoint: Option<Address>,
    answer: Option<(StatusCode, Version)>,
}

impl Step {
    /// The attempt goes to this endpoint, with these headers.
    pub(crate) fn goes_to(&mut self, endpoint: &Address, headers: &mut HeaderMap) {
        self.endpoint = Some(endpoint.clone());
        if self.trail.has_spans() {
            self.trail.context.send(headers, self.story.worker.telemetry.b3, self.span);
        }
    }

    /// The trace that it belongs to.
    pub(crate) fn trace(&self) -> TraceId {
        self.trail.context.trace
    }

    /// The answer's head has come.
    pub(crate) fn answered(&mut self, status: StatusCode, version: Version) {
        self.answer = Some((status, version));
    }

    /// A tunnel carried so many bytes to the endpoint and to the client.
    pub(crate) fn carried(&self, sent: u64, received: u64) {
        self.story.with(|tale| {
            tale.bytes_in += sent;
            tale.bytes_out += received;
        });
    }

    /// The attempt has ended. Tells whether the trace is recorded.
    pub(crate) fn ended(
        self,
        outcome: Outcome,
        at: Instant,
        answer_after: Duration,
        own: Option<Duration>,
    ) -> bool {
        let Self { story, span, names, began, endpoint, answer, .. } = self;
        let (status, protocol) = answer.unzip();
        story.with(|tale| {
            tale.own = own;
            tale.attempted(Attempt { names, endpoint, span, began, ended: at, status, protocol, outcome });
        });
        story.is_recorded(outcome.is_failure(), answer_after, at)
    }
}

/// See the [module](self).
pub(crate) struct Story {
    worker: Rc<Worker>,
    /// Taken out when it is told.
    tale: RefCell<Option<Box<Tale>>>,
    /// Whether the spans are kept although the trace is not sampled; asked once at most with success.
    kept: Cell<bool>,
    refused: Cell<bool>,
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Story").field("tale", &self.tale).finish_non_exhaustive()
    }
}

impl Story {
    fn begin(
        worker: &Rc<Worker>,
        peer: &Peer,
        head: &request::Parts,
        context: Context,
        began: Instant,
    ) -> Self {
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let host =
            head.uri.authority().map_or_else(|| text(http::header::HOST), http::uri::Authority::as_str);
        let query = if worker.telemetry.record_query { head.uri.query().unwrap_or_default() } else { "" };
        let state = if context.caller.is_some() { trace::state(&head.headers) } else { "".into() };
        let tale = Tale {
            began,
            ended: began,
            context,
            recorded: false,
            client: client(peer, &head.headers),
            scheme: peer.scheme(),
            protocol: head.version,
            method: head.method.clone(),
            asked: Asked::new(head.uri.path(), query, host, text(USER_AGENT), &state),
            status: None,
            answered: None,
            own_answer: None,
            generation: 0,
            route: None,
            service: None,
            attempts: Vec::new(),
            attempts_made: 0,
            own: None,
            bytes_in: 0,
            bytes_out: 0,
        };
        let tale = RefCell::new(Some(Box::new(tale)));
        Self { worker: worker.clone(), tale, kept: Cell::default(), refused: Cell::default() }
    }

    fn with(&self, write: impl FnOnce(&mut Tale)) {
        if let Some(tale) = &mut *self.tale.borrow_mut() {
            write(tale);
        }
    }

    /// A piece of the request's body went to the endpoint.
    pub(crate) fn sent(&self, bytes: usize) {
        self.with(|tale| tale.bytes_in += bytes as u64);
    }

    /// A piece of the answer's body went to the client.
    pub(crate) fn received(&self, bytes: usize) {
        self.with(|tale| tale.bytes_out += bytes as u64);
    }

    /// Whether spans are recorded, going by what is known by now.
    fn is_recorded(&self, failed: bool, answer_after: Duration, now: Instant) -> bool {
        let tellers = &self.worker.tellers;
        if !tellers.have_spans() {
            return false;
        }
        let sampled = self.tale.borrow().as_ref().is_some_and(|tale| tale.context.is_sampled());
        if sampled || self.kept.get() {
            return true;
        }
        if self.refused.get() || !tellers.keep.wants(failed, answer_after) {
            return false;
        }
        let kept = tellers.may_keep(now);
        self.kept.set(kept);
        // One request is refused once.
        self.refused.set(!kept);
        kept
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let Some(mut tale) = self.tale.borrow_mut().take() else { return };
        tale.ended = clock::now();
        let worker = &self.worker;
        tale.context.settle(|| worker.chance(worker.telemetry.trace_sampling.ppm()));
        let (failed, answer_after, ended) = (tale.failed(), tale.answer_after(), tale.ended);
        let sampled = tale.context.is_sampled() && worker.tellers.have_spans();
        tale.recorded = sampled || self.is_recorded(failed, answer_after, ended);
        worker.tellers.tell(tale, failed, |share: Weight| worker.chance(share.ppm()));
    }
}

/// Who the client is, as far as can be told.
fn client(peer: &Peer, headers: &HeaderMap) -> Option<IpAddr> {
    peer.header.as_ref().map(|_| routing::client(peer, headers))
}
