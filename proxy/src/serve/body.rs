//! Bodies that stream: nothing is kept but what is on its way, and each side waits for the other.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use serin_config::Outcome;
use serin_split::classify;

use super::{
    injected::Throttle,
    mirror::{Pair, Tee},
    record::Exchange,
    replay::{Kept, Reader},
    story::Story,
    streams::Note,
    upstream::{Pool, Upstream},
    watch::Activity,
};
use crate::clock;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body on its way to the endpoint. Most requests have none, and cost nothing here.
#[derive(Debug)]
pub(crate) struct RequestBody {
    client: Option<(Source, Rc<ClientSide>)>,
    /// What is there already, of a request that is not the client's own.
    whole: Option<Bytes>,
}

/// Where a request's body is read.
#[derive(Debug)]
enum Source {
    /// From the client, once.
    Once(Incoming),
    /// From what is kept of it, then from the client.
    Kept(Reader),
}

impl Source {
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Once(incoming) => incoming.is_end_stream(),
            Self::Kept(reader) => reader.is_end_stream(),
        }
    }
}

/// What the request's body tells of its client.
#[derive(Debug)]
pub(crate) struct ClientSide {
    failed: Cell<bool>,
    answered: Cell<bool>,
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
    fn new(activity: Rc<Activity>, story: Weak<Story>) -> Self {
        let (failed, answered, awaited) = (Cell::default(), Cell::default(), Cell::default());
        let note = activity.streams.current();
        let copy = RefCell::default();
        Self { failed, answered, awaited, moved_at: Cell::default(), activity, note, story, copy }
    }

    /// Copies what passes from now on.
    pub(crate) fn copy_to(&self, tee: Tee) {
        *self.copy.borrow_mut() = Some(tee);
    }

    fn pass(&self, piece: Option<&Result<Frame<Bytes>, hyper::Error>>, ended: bool) {
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
        // A copy has had the beginning already.
        *self.copy.borrow_mut() = None;
    }

    /// Since when the endpoint owes the next step, for a request that began to go out at `began`; none while
    /// the client owes it.
    pub(crate) fn endpoint_owes_since(&self, began: Instant) -> Option<Instant> {
        (!self.awaited.get()).then(|| self.moved_at.get().unwrap_or(began))
    }

    fn set_awaited(&self, awaited: bool) {
        if self.awaited.replace(awaited) != awaited {
            self.activity.await_body(awaited);
            if let Some(note) = &self.note {
                note.owe(awaited);
            }
        }
    }

    fn moved(&self, bytes: usize) {
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

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, activity: Rc<Activity>, story: Option<&Rc<Story>>) -> Self {
        let story = || story.map(Rc::downgrade).unwrap_or_default();
        let client = |incoming| (Source::Once(incoming), Rc::new(ClientSide::new(activity, story())));
        Self { client: (!incoming.is_end_stream()).then(|| client(incoming)), whole: None }
    }

    /// Keeps up to `most` bytes of the body, so that it can be sent again; none if there is no body.
    pub(crate) fn keep(&mut self, most: usize) -> Option<Rc<Kept>> {
        let (source, client) = self.client.take()?;
        let (source, kept) = match source {
            Source::Once(incoming) => {
                let kept = Kept::new(incoming, most);
                (Source::Kept(kept.reader()), Some(kept))
            }
            kept @ Source::Kept(_) => (kept, None),
        };
        self.client = Some((source, client));
        kept
    }

    /// A kept body from its beginning.
    pub(crate) fn again(kept: &Rc<Kept>, client: Rc<ClientSide>) -> Self {
        Self { client: Some((Source::Kept(kept.reader()), client)), whole: None }
    }

    /// No body.
    pub(crate) fn none() -> Self {
        Self { client: None, whole: None }
    }

    /// A body that is there already.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { client: None, whole: Some(bytes).filter(|bytes| !bytes.is_empty()) }
    }

    /// What the body will tell of its client; none if there is no body.
    pub(crate) fn client_side(&self) -> Option<Rc<ClientSide>> {
        self.client.as_ref().map(|(_, client)| client.clone())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some((source, client)) = &mut this.client else {
            return Poll::Ready(this.whole.take().map(|bytes| Ok(Frame::data(bytes))));
        };
        let polled = match &mut *source {
            Source::Once(incoming) => Pin::new(incoming).poll_frame(cx),
            Source::Kept(reader) => Pin::new(reader).poll_frame(cx),
        };
        match &polled {
            Poll::Pending => client.set_awaited(!client.answered.get()),
            Poll::Ready(Some(Err(_))) => client.failed.set(true),
            Poll::Ready(Some(Ok(frame))) => client.moved(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(None) => client.moved(0),
        }
        if let Poll::Ready(piece) = &polled {
            client.pass(piece.as_ref(), source.is_end_stream());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.client {
            Some((source, _)) => source.is_end_stream(),
            None => self.whole.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.client {
            Some((Source::Once(incoming), _)) => incoming.size_hint(),
            Some((Source::Kept(reader), _)) => reader.size_hint(),
            None => SizeHint::with_exact(self.whole.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

/// A response's body on its way to the client.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    kind: Kind,
    activity: Option<Rc<Activity>>,
    /// The stream of HTTP/2 that it goes over.
    note: Option<Rc<Note>>,
    /// The request's story; it goes on as long as this body does.
    story: Option<Rc<Story>>,
    /// A copy of the request, whose answer is to be compared with this, and how much of this has passed.
    pair: Option<(Rc<Pair>, u64)>,
    /// A piece was handed out, and the next was not asked for: the client has to make room first.
    unread: bool,
}

#[derive(Debug)]
enum Kind {
    Local(Option<Bytes>),
    Streaming(Box<Streaming>),
}

/// Time limits while a body streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamLimits {
    /// Between two pieces.
    pub(crate) idle: Option<Duration>,
    /// For the whole exchange.
    pub(crate) total: Option<Instant>,
    /// Bytes a second, for a fault that was injected.
    pub(crate) throttle: Option<u32>,
}

/// An endpoint's body, with the connection that it comes over and the attempt that it ends.
#[derive(Debug)]
pub(crate) struct Streaming {
    incoming: Incoming,
    /// Absent once the body has ended.
    running: Option<(Upstream, Exchange)>,
    pool: Rc<Pool>,
    outcome: Outcome,
    /// A gRPC response has its status in its trailers.
    grpc: bool,
    limits: StreamLimits,
    /// When the wait for the next piece began; none while pieces come without one.
    waiting_since: Option<Instant>,
    has_waited: bool,
    throttle: Option<Box<Throttle>>,
}

impl Streaming {
    /// Begins to stream. `outcome` is what it will be if the body comes to its end.
    pub(crate) fn begin(
        incoming: Incoming,
        (upstream, exchange): (Upstream, Exchange),
        pool: Rc<Pool>,
        (outcome, grpc): (Outcome, bool),
        limits: StreamLimits,
    ) -> Self {
        let running = Some((upstream, exchange));
        let throttle = limits.throttle.map(|rate| Box::new(Throttle::new(rate)));
        let (waiting_since, has_waited) = (None, false);
        let mut body =
            Self { incoming, running, pool, outcome, grpc, limits, waiting_since, has_waited, throttle };
        if body.incoming.is_end_stream() {
            body.complete();
        }
        body
    }

    /// The body has come whole: count the attempt, and keep the connection for the next.
    fn complete(&mut self) {
        if let Some((upstream, mut exchange)) = self.running.take() {
            let now = clock::now();
            if !self.has_waited {
                exchange.answered_at_once(now);
            }
            // A gRPC response without a status broke off, whatever its HTTP status says.
            let unfinished = self.grpc && self.outcome == Outcome::Ok;
            exchange.finish(if unfinished { Outcome::GrpcError } else { self.outcome }, now);
            self.pool.put_back(upstream, now);
        }
    }

    /// The body was cut short: count that, and close the connection.
    fn fail(&mut self, outcome: Outcome) {
        if let Some((_closed, exchange)) = self.running.take() {
            exchange.finish(outcome, clock::now());
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(mut throttle) = self.throttle.take() else { return self.poll_piece(cx) };
        let polled = throttle.poll(cx, |cx| self.poll_piece(cx));
        self.throttle = Some(throttle);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream() && self.throttle.as_ref().is_none_or(|throttle| throttle.is_empty())
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_pending() {
            let Some((upstream, _)) = &mut self.running else { return Poll::Ready(None) };
            upstream.drive(cx);
            polled = Pin::new(&mut self.incoming).poll_frame(cx);
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting_since = None;
                if let (true, Some(trailers)) = (self.grpc, frame.trailers_ref()) {
                    self.read_status(trailers);
                }
                // Nobody asks for what comes after trailers.
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.complete();
                } else if self.limits.total.is_some_and(|deadline| clock::now() >= deadline) {
                    // Pieces that never have to be waited for would outrun the timer.
                    return Poll::Ready(Some(Err(self.give_up(Outcome::TotalTimeout))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.fail(Outcome::ResetMidBody);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                self.complete();
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_limits(cx).map(|error| Some(Err(error))),
        }
    }

    fn read_status(&mut self, headers: &http::HeaderMap) {
        if let Some(outcome) = classify::grpc(headers) {
            (self.grpc, self.outcome) = (false, outcome);
        }
    }

    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<BoxError> {
        self.has_waited = true;
        let since = *self.waiting_since.get_or_insert_with(clock::now);
        let idle = self.limits.idle.map(|idle| (since + idle, Outcome::IdleTimeout));
        let total = self.limits.total.map(|deadline| (deadline, Outcome::TotalTimeout));
        let Some((deadline, outcome)) = idle.into_iter().chain(total).min_by_key(|(deadline, _)| *deadline)
        else {
            return Poll::Pending;
        };
        let Some((upstream, _)) = &mut self.running else { return Poll::Pending };
        upstream.poll_deadline(deadline, cx).map(|()| self.give_up(outcome))
    }

    fn give_up(&mut self, outcome: Outcome) -> BoxError {
        self.fail(outcome);
        format!("the endpoint's body was given up: {}", outcome.label()).into()
    }
}

impl ResponseBody {
    /// A short text by Serin itself.
    pub(crate) fn local(text: String) -> Self {
        Self {
            kind: Kind::Local(Some(text.into())),
            activity: None,
            note: None,
            story: None,
            pair: None,
            unread: false,
        }
    }

    /// The text, if it is one by Serin itself.
    pub(crate) fn local_text(&self) -> Option<&Bytes> {
        match &self.kind {
            Kind::Local(text) => text.as_ref(),
            Kind::Streaming(_) => None,
        }
    }

    /// An answer that was ready before.
    pub(crate) fn ready(bytes: Bytes) -> Self {
        let kind = Kind::Local(Some(bytes).filter(|bytes| !bytes.is_empty()));
        Self { kind, activity: None, note: None, story: None, pair: None, unread: false }
    }

    /// No body.
    pub(crate) fn none() -> Self {
        Self { kind: Kind::Local(None), activity: None, note: None, story: None, pair: None, unread: false }
    }

    /// An endpoint's body.
    pub(crate) fn streaming(body: Streaming) -> Self {
        Self {
            kind: Kind::Streaming(Box::new(body)),
            activity: None,
            note: None,
            story: None,
            pair: None,
            unread: false,
        }
    }

    /// Notes the end of the response in the client's activity, and what goes out in the request's story.
    pub(crate) fn noting(mut self, activity: Rc<Activity>, story: Option<Rc<Story>>) -> Self {
        self.note = activity.streams.current();
        (self.activity, self.story) = (Some(activity), story);
        self
    }

    /// Tells the request's copy of its end and length.
    pub(crate) fn heard_by(mut self, pair: Rc<Pair>) -> Self {
        self.pair = Some((pair, 0));
        self
    }

    /// A piece passes, or the end. Who sends it on may not ask for the end where the length is known.
    fn tell_pair(&mut self, piece: Option<&Result<Frame<Bytes>, BoxError>>) {
        let Some((pair, length)) = self.pair.take() else { return };
        match piece {
            None => pair.ended(length),
            Some(Ok(frame)) if frame.is_trailers() => pair.ended(length),
            Some(Ok(frame)) => {
                self.pair = Some((pair, length + frame.data_ref().map_or(0, |data| data.len() as u64)));
            }
            Some(Err(_)) => {}
        }
    }

    fn set_unread(&mut self, unread: bool) {
        if let (true, Some(activity)) = (self.unread != unread, &self.activity) {
            self.unread = unread;
            activity.await_reader(unread);
            if let Some(note) = &self.note {
                note.owe(unread);
            }
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some((pair, length)) = self.pair.take()
            && self.is_end_stream()
        {
            pair.ended(length);
        }
        self.set_unread(false);
        if let Some(activity) = &self.activity {
            activity.end();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        this.set_unread(false);
        let polled = match &mut this.kind {
            Kind::Local(text) => Poll::Ready(text.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Streaming(body) => body.poll_frame(cx),
        };
        if let (Some(story), Poll::Ready(Some(Ok(frame)))) = (&this.story, &polled) {
            story.received(frame.data_ref().map_or(0, Bytes::len));
        }
        if let (Some(_), Poll::Ready(piece)) = (&this.pair, &polled) {
            this.tell_pair(piece.as_ref());
        }
        this.set_unread(matches!(polled, Poll::Ready(Some(Ok(_)))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Local(text) => text.is_none(),
            Kind::Streaming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Local(text) => SizeHint::with_exact(text.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Streaming(body) => body.incoming.size_hint(),
        }
    }
}
