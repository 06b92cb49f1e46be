//! Copies of requests to another version, whose answers nobody gets.
//!
//! A copy is made when the request goes out: its head is cloned, its body is copied piece by piece as it passes on
//! to the endpoint, and only when all of it has passed is the copy sent, by a task of its own. So a copy can't
//! delay its request, and it is the copy that is given up when there are too many, when the body is too long, or
//! when the request breaks off. The answer is read, compared with the real one ([`serin_split::mirror`]), and
//! thrown away. Copies have counts and a histogram of their own; neither windows nor the version's load know them.
//!
//! Every method is copied. Who mirrors requests that change something needs a version that keeps its changes to
//! itself.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body::Body;
use hyper::body::Incoming;
use serin_config::{
    Outcome, ServiceName,
    limits::{MIRROR_ANSWER_MAX, STALE_CONNECTION_RETRIES_MAX},
    steer,
};
use serin_split::{
    Tally,
    balance::Tried,
    classify,
    mirror::{Seen, differences},
    tally::Timing,
};

use super::{
    backend::Backend,
    body::{ClientSide, RequestBody, ResponseBody},
    head,
    upstream::{Patience, Pool, SendError, Upstream},
    worker::Worker,
};
use crate::{clock, observe::metrics::MirrorCounters};

/// Says to whoever gets a copy that it is one.
const MIRROR: HeaderName = HeaderName::from_static("x-serin-mirror");

/// The mirror of a service on one worker.
pub(crate) struct Mirror {
    /// The position of the version among the service's.
    to: usize,
    backend: Rc<Backend>,
    /// In parts per million.
    share: u32,
    in_flight_max: usize,
    body_max: usize,
    connect: Duration,
    timeout: Duration,
    in_flight: Cell<usize>,
    tally: Rc<RefCell<Tally>>,
    counters: MirrorCounters,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror")
            .field("to", &self.to)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

impl Mirror {
    /// The mirror to the version at `to`; this worker has an equal share of what may be under way.
    pub(crate) fn new(
        (service, mirror): (&ServiceName, &steer::Mirror),
        (to, backend): (usize, Rc<Backend>),
        tally: Rc<RefCell<Tally>>,
        (connect, workers): (Duration, usize),
    ) -> Rc<Self> {
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Rc::new(Self {
            to,
            backend,
            share: mirror.share.ppm(),
            in_flight_max: count(mirror.max_in_flight).div_ceil(workers.max(1)),
            body_max: count(mirror.max_body),
            connect,
            timeout: mirror.timeout,
            in_flight: Cell::new(0),
            tally,
            counters: MirrorCounters::new(service, &mirror.version),
        })
    }
}

/// Copies a request that goes to the version at `picked`, if it is its turn. Its answer is to be told to what comes
/// back.
pub(crate) fn begin(
    mirror: Option<&Rc<Mirror>>,
    picked: usize,
    worker: &Worker,
    request: &Request<RequestBody>,
    client: Option<&Rc<ClientSide>>,
) -> Option<Rc<Pair>> {
    let mirror = mirror?;
    if picked == mirror.to || !worker.chance(mirror.share) {
        return None;
    }
    if mirror.in_flight.get() >= mirror.in_flight_max {
        mirror.counters.too_many.increment(1);
        return None;
    }
    if request.body().size_hint().lower() > mirror.body_max as u64 {
        mirror.counters.too_long.increment(1);
        return None;
    }
    mirror.in_flight.set(mirror.in_flight.get() + 1);
    let (real, copy) = (Cell::default(), Cell::default());
    let pair =
        Rc::new(Pair { mirror: mirror.clone(), began: clock::now(), real_head: Cell::default(), real, copy });
    let copy = Copy::of(request, pair.clone());
    match client {
        None => copy.send(Bytes::new()),
        Some(client) => client.copy_to(Tee { copy: Some(copy), kept: Vec::new() }),
    }
    Some(pair)
}

/// A request and its copy; what came back for each.
#[derive(Debug)]
pub(crate) struct Pair {
    mirror: Rc<Mirror>,
    began: Instant,
    /// Status and time of the real answer's head.
    real_head: Cell<Option<(u16, u64)>>,
    real: Cell<Option<Seen>>,
    copy: Cell<Option<Seen>>,
}

impl Pair {
    /// The head of the real answer is here; its body tells the rest.
    pub(crate) fn answered(self: &Rc<Self>, response: Response<ResponseBody>) -> Response<ResponseBody> {
        self.real_head.set(Some((response.status().as_u16(), micros_since(self.began))));
        let pair = self.clone();
        response.map(|body| body.heard_by(pair))
    }

    /// The real answer has ended, with a body of that length.
    pub(crate) fn ended(&self, length: u64) {
        if let Some((status, headers_us)) = self.real_head.get() {
            self.real.set(Some(Seen { status, length, headers_us }));
            self.compare();
        }
    }

    /// Whichever comes last compares.
    fn compare(&self) {
        let (Some(real), Some(copy)) = (self.real.get(), self.copy.get()) else { return };
        let found = differences(real, copy);
        let counters = &self.mirror.counters;
        counters.compared.increment(1);
        for (differs, counter) in [
            (found.status, &counters.status),
            (found.length, &counters.length),
            (found.slower, &counters.slower),
        ] {
            if differs {
                counter.increment(1);
            }
        }
    }
}

/// A copy that has not been sent yet.
#[derive(Debug)]
struct Copy {
    head: Request<()>,
    pair: Rc<Pair>,
}

impl Copy {
    fn of(request: &Request<RequestBody>, pair: Rc<Pair>) -> Self {
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = request.headers().clone();
        // The copy's length is known when it goes out.
        head.headers_mut().remove(CONTENT_LENGTH);
        head.headers_mut().remove(TRANSFER_ENCODING);
        head.headers_mut().insert(MIRROR, pair.mirror.backend.name.clone());
        Self { head, pair }
    }

    /// Sends it by a task of its own.
    fn send(self, body: Bytes) {
        tokio::task::spawn_local(async move {
            let Self { ref head, ref pair } = self;
            let mirror = &pair.mirror;
            let mut request = head.clone().map(|()| RequestBody::whole(body));
            if !request.body().is_end_stream() {
                let length = request.body().size_hint().lower();
                request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            let started = clock::now();
            let exchanged = tokio::time::timeout(mirror.timeout, exchange(mirror, request, started)).await;
            let total = micros_since(started);
            let (outcome, seen) =
                exchanged.unwrap_or(Err(Outcome::TotalTimeout)).unwrap_or_else(|failed| (failed, None));
            let headers = seen.map(|seen| seen.headers_us);
            mirror.tally.borrow_mut().record(outcome, Timing { headers, total, own: None });
            if let Some(seen) = seen {
                pair.copy.set(Some(seen));
                pair.compare();
            }
        });
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let in_flight = &self.pair.mirror.in_flight;
        in_flight.set(in_flight.get().saturating_sub(1));
    }
}

/// Keeps the pieces of a body as they pass, until the copy can be sent.
#[derive(Debug)]
pub(crate) struct Tee {
    /// Absent once it was sent or given up.
    copy: Option<Copy>,
    kept: Vec<u8>,
}

impl Tee {
    /// A piece passes; `ended` says that it was the last.
    pub(crate) fn pass(&mut self, piece: &[u8], ended: bool) {
        let Some(copy) = self.copy.take() else { return };
        let mirror = &copy.pair.mirror;
        if self.kept.len() + piece.len() > mirror.body_max {
            mirror.counters.too_long.increment(1);
            self.kept = Vec::new();
            return;
        }
        self.kept.extend_from_slice(piece);
        if ended {
            copy.send(std::mem::take(&mut self.kept).into());
        } else {
            self.copy = Some(copy);
        }
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        if let Some(copy) = &self.copy {
            copy.pair.mirror.counters.unfinished.increment(1);
        }
    }
}

/// Sends the copy and reads its answer: how it ended, and what to compare.
async fn exchange(
    mirror: &Mirror,
    mut request: Request<RequestBody>,
    started: Instant,
) -> Result<(Outcome, Option<Seen>), Outcome> {
    // How copies fare says nothing of endpoints; that they are under way does, for as long as this is held.
    let chosen = mirror.backend.choice.choose(started, None, &Tried::default()).ok_or(Outcome::NoEndpoint)?;
    let pool = chosen.pool();
    let total = Some(started + mirror.timeout);
    let patience = Patience { connect: mirror.connect, header: None, total, client: None };
    for again in 0..=STALE_CONNECTION_RETRIES_MAX {
        let pooled = if again < STALE_CONNECTION_RETRIES_MAX { pool.checkout(started) } else { None };
        let mut upstream = match pooled {
            Some(upstream) => upstream,
            None => pool.connect(&patience, clock::now()).await?,
        };
        match upstream.send(request, clock::now(), &patience).await {
            Ok(response) if response.status().is_informational() => return Err(Outcome::ProtocolError),
            Ok(response) => return Ok(read(response, upstream, pool, started).await),
            Err(SendError::Again(same)) if upstream.is_reused() => request = *same,
            Err(SendError::Late(outcome)) => return Err(outcome),
            Err(SendError::Failed(error)) if error.is_parse() => return Err(Outcome::ProtocolError),
            Err(SendError::Again(_) | SendError::Refused(_) | SendError::Failed(_)) => {
                return Err(Outcome::ResetBeforeHeaders);
            }
        }
    }
    Err(Outcome::ResetBeforeHeaders)
}

/// Reads an answer to its end; one that is too long is cut, and not compared.
async fn read(
    response: Response<Incoming>,
    mut upstream: Upstream,
    pool: &Pool,
    started: Instant,
) -> (Outcome, Option<Seen>) {
    let headers_us = micros_since(started);
    let (head, mut incoming) = response.into_parts();
    let (mut outcome, mut grpc) = head::judge(&head);
    if head.headers.contains_key(TRANSFER_ENCODING) && head.headers.contains_key(CONTENT_LENGTH) {
        upstream.retire();
    }
    let mut length = 0;
    loop {
        let piece = poll_fn(|cx| {
            let polled = Pin::new(&mut incoming).poll_frame(cx);
            if polled.is_ready() {
                return polled;
            }
            upstream.drive(cx);
            Pin::new(&mut incoming).poll_frame(cx)
        });
        match piece.await {
            None => break,
            Some(Err(_)) => return (Outcome::ResetMidBody, None),
            Some(Ok(frame)) => {
                length += frame.data_ref().map_or(0, |data| data.len() as u64);
                if let Some(last) = frame.trailers_ref().filter(|_| grpc).and_then(classify::grpc) {
                    (outcome, grpc) = (last, false);
                }
            }
        }
        if length > MIRROR_ANSWER_MAX {
            return (outcome, None);
        }
    }
    pool.put_back(upstream, clock::now());
    let outcome = if grpc && outcome == Outcome::Ok { Outcome::GrpcError } else { outcome };
    (outcome, Some(Seen { status: head.status.as_u16(), length, headers_us }))
}

fn micros_since(began: Instant) -> u64 {
    u64::try_from(clock::now().saturating_duration_since(began).as_micros()).unwrap_or(u64::MAX)
}
