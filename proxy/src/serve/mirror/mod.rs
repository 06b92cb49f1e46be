//! Copies of requests to another version, whose answers nobody gets. The file may ask for them for as long as it stands, or a
//! rollout for its first steps.
//!
//! A copy is made when the request goes out: its head is cloned, its body is copied piece by piece as it passes on
//! to the endpoint, and only when all of it has passed is the copy sent, by a task of its own. So a copy can't
//! delay its request, and it is the copy that is given up when there are too many, when the body is too long, or
//! when the request breaks off. The answer is read, compared with the real one ([`serin_split::mirror`]), and
//! thrown away. Copies have counts and a histogram of their own; neither windows nor the version's load know them.
//!
//! Where the file asks for them, every method is copied: who mirrors requests that change something needs a version that
//! keeps its changes to itself. Steps of a rollout copy what their policy says, and count pairs ([`trial`]).

mod exchange;
mod trial;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body::Body;
use serin_config::{Outcome, ServiceName, steer};
use serin_split::{
    Tally,
    mirror::{Seen, differences},
    tally::Timing,
};

pub(crate) use self::trial::{Paired, PairedKey, Trial};
use self::{exchange::exchange, trial::Ended};
use super::{
    backend::Backend,
    body::{ClientSide, RequestBody, ResponseBody},
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
    copies: Rc<Copies>,
    counters: MirrorCounters,
    /// Where a step of a rollout has copies made.
    trial: Option<Trial>,
}

/// The copies that a version gets on one worker, whatever plan is in force.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    in_flight: Cell<usize>,
    pub(crate) tally: RefCell<Tally>,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").field("to", &self.to).field("copies", &self.copies).finish_non_exhaustive()
    }
}

impl Mirror {
    /// The mirror to the version at `to`; this worker has an equal share of what may be under way.
    pub(crate) fn new(
        (service, mirror): (&ServiceName, &steer::Mirror),
        (to, backend): (usize, Rc<Backend>),
        copies: Rc<Copies>,
        (connect, workers): (Duration, usize),
        trial: Option<Trial>,
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
            copies,
            counters: MirrorCounters::new(service, &mirror.version),
            trial,
        })
    }

    /// Whether a request of this method that goes to the version at `picked` may be copied; `aside` if it is none that the
    /// split sent there.
    fn wants(&self, picked: usize, aside: bool, method: &Method) -> bool {
        match &self.trial {
            None => picked != self.to,
            Some(trial) => !aside && trial.wants(self, picked, method),
        }
    }
}

/// A request's way: the position of the version, whether it was set aside, and the position of the route.
pub(crate) type Way = (usize, bool, usize);

/// Copies a request that goes this way, if it is its turn. Its answer is to be told to what comes back.
pub(crate) fn begin(
    mirror: Option<&Rc<Mirror>>,
    (picked, aside, route): Way,
    worker: &Worker,
    request: &Request<RequestBody>,
    client: Option<&Rc<ClientSide>>,
) -> Option<Rc<Pair>> {
    let mirror = mirror?;
    if !mirror.wants(picked, aside, request.method()) || !worker.chance(mirror.share) {
        return None;
    }
    let in_flight = &mirror.copies.in_flight;
    if in_flight.get() >= mirror.in_flight_max {
        mirror.counters.too_many.increment(1);
        return None;
    }
    if request.body().size_hint().lower() > mirror.body_max as u64 {
        mirror.counters.too_long.increment(1);
        return None;
    }
    in_flight.set(in_flight.get() + 1);
    let pair = Rc::new(Pair {
        mirror: mirror.clone(),
        route,
        began: clock::now(),
        real_head: Cell::default(),
        real: Cell::default(),
        copy: Cell::default(),
        original: Cell::default(),
        copied: Cell::default(),
    });
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
    route: usize,
    began: Instant,
    /// Status and time of the real answer's head.
    real_head: Cell<Option<(u16, u64)>>,
    real: Cell<Option<Seen>>,
    copy: Cell<Option<Seen>>,
    /// How the first attempt of the request ended, and how its copy did.
    original: Cell<Option<Ended>>,
    copied: Cell<Option<Ended>>,
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

    /// The request's first attempt has ended so. One that says nothing of its version has no part.
    pub(crate) fn original_ended(&self, outcome: Outcome, timing: Timing) {
        if outcome.counts() {
            self.original.set(Some((outcome, timing)));
            self.count();
        }
    }

    /// The copy has ended so.
    fn copy_ended(&self, outcome: Outcome, timing: Timing) {
        self.mirror.copies.tally.borrow_mut().record(outcome, timing);
        if let Some(trial) = &self.mirror.trial {
            trial.note(&self.mirror, outcome, timing.headers.is_some());
            self.copied.set(Some((outcome, timing)));
            self.count();
        }
    }

    /// Whichever ends last counts the pair.
    fn count(&self) {
        let Some(trial) = &self.mirror.trial else { return };
        if let (Some(copy), Some(original)) = (self.copied.get(), self.original.get())
            && let Some(pairs) = trial.pairs.get(self.route)
        {
            pairs.borrow_mut().record(copy, original);
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
            pair.copy_ended(outcome, Timing { headers, total, own: None });
            if let Some(seen) = seen {
                pair.copy.set(Some(seen));
                pair.compare();
            }
        });
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let in_flight = &self.pair.mirror.copies.in_flight;
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

fn micros_since(began: Instant) -> u64 {
    u64::try_from(clock::now().saturating_duration_since(began).as_micros()).unwrap_or(u64::MAX)
}
