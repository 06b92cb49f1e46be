//! One attempt, counted exactly once.
//!
//! [`Exchange::finish`] consumes the exchange, so nothing can be counted twice. An exchange that is dropped
//! unfinished was given up by the client: the HTTP library drops a request's future or body when its client
//! has gone, and that is the only sign of it.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Response};
use serin_config::{Address, Outcome};
use serin_split::{Aside, Tally, balance::Tried, events::Named, tally::Timing, trace::TraceId};

use super::{
    backend::Backend,
    choice::Chosen,
    lane::Lane,
    mirror::Pair,
    story::{Step, Trail},
    upstream::Pool,
};
use crate::{clock, observe::metrics};

/// From this part of its time on, a caller that gives up has run out of it.
const DUE_FROM: f64 = 0.95;

/// An attempt in flight.
#[derive(Debug)]
pub(crate) struct Exchange {
    lane: Rc<Lane>,
    started: Instant,
    headers_at: Option<Instant>,
    /// When the caller said that it would give up.
    due: Option<Instant>,
    own: Duration,
    aside: Option<Aside>,
    /// The hash of the key by which the split keeps its user on a version.
    user: Option<u64>,
    /// Its place among those that wait for their answer.
    place: Option<usize>,
    /// It waited for so long that it was counted before its end.
    booked: bool,
    /// The business events that its answer named.
    events: Named,
    /// The trace, if it is sampled.
    trace: Option<TraceId>,
    /// What the request's story has of the attempt.
    step: Option<Box<Step>>,
    /// The request's place on a ring of endpoints.
    key: Option<u64>,
    chosen: Option<Chosen>,
    /// It has a place in the version's bulkhead, to be given back.
    admitted: bool,
    /// It waits for an answer, and somebody watches how long.
    waits: bool,
    /// A copy of the request, which is told how this ends.
    pair: Option<Rc<Pair>>,
    finished: bool,
}

impl Exchange {
    /// Begins an attempt on a lane for a request whose head came at `started`.
    pub(crate) fn begin(lane: Rc<Lane>, started: Instant) -> Self {
        lane.backend.load.in_flight.set(lane.backend.load.in_flight.get() + 1);
        Self {
            lane,
            started,
            headers_at: None,
            due: None,
            own: Duration::ZERO,
            aside: None,
            user: None,
            place: None,
            booked: false,
            events: Named::default(),
            trace: None,
            step: None,
            key: None,
            chosen: None,
            admitted: false,
            waits: false,
            pair: None,
            finished: false,
        }
    }

    /// Begins an attempt that has its place in the bulkhead of the version.
    pub(crate) fn admitted(lane: Rc<Lane>, started: Instant) -> Self {
        let mut exchange = Self::begin(lane, started);
        let Backend { rules, shared, .. } = &*exchange.lane.backend;
        exchange.admitted = true;
        if let Some(load) = &rules.load {
            load.shedding.begin();
        }
        if let Some(worker) = rules.pulse {
            shared.pulse.begin(worker);
            exchange.waits = true;
        }
        exchange
    }

    /// Tells of the attempt in the request's story.
    pub(crate) fn follow(mut self, trail: &Trail) -> Self {
        self.trace = trail.sampled();
        self.step = trail.attempt(&self.lane.names);
        self
    }

    /// The attempt goes to this endpoint, with these headers.
    pub(crate) fn goes_to(&mut self, endpoint: &Address, headers: &mut HeaderMap) {
        if let Some(step) = &mut self.step {
            step.goes_to(endpoint, headers);
        }
    }

    pub(crate) fn lane(&self) -> &Rc<Lane> {
        &self.lane
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Which endpoint the request belongs to, where the balance keeps users on endpoints.
    pub(crate) fn set_key(&mut self, key: Option<u64>) {
        self.key = key;
    }

    /// Chooses the endpoint for this attempt, one that was not tried before if there is any, and notes it as
    /// tried. None if the version has no endpoint that is ready.
    pub(crate) fn choose(&mut self, tried: &mut Tried) -> Option<Rc<Pool>> {
        let now = if tried.is_empty() { self.started } else { clock::now() };
        let chosen = self.lane.backend.choice.choose(now, self.key, tried)?;
        tried.add(chosen.id());
        let pool = chosen.pool().clone();
        self.chosen = Some(chosen);
        Some(pool)
    }

    /// Whose request it is, where the split keeps users on versions and this one has a key.
    pub(crate) fn set_user(&mut self, user: Option<u64>) {
        self.user = user;
    }

    /// The request has a copy, if this is its first attempt.
    pub(crate) fn set_pair(&mut self, pair: Option<Rc<Pair>>) {
        self.pair = pair;
    }

    /// The attempt is about to go out: if it hangs from now on, it is counted before it ends.
    pub(crate) fn goes_out(&mut self) {
        let backend = &self.lane.backend;
        if backend.rules.compared && self.aside.is_none() {
            self.place = Some(backend.load.waiting.enter(self.started, self.lane.tally.clone()));
        }
    }

    /// Leaves the attempt out of the comparison of versions; the first reason stays.
    pub(crate) fn set_aside(&mut self, why: Aside) {
        self.aside.get_or_insert(why);
    }

    /// The caller waits for so long from `asked` and no longer: if it gives up then, the endpoint was late.
    pub(crate) fn due_within(&mut self, asked: Instant, time: Duration) {
        // Caller and proxy count the same time from different moments; the caller's comes first.
        self.due = Some(asked + time.mul_f64(DUE_FROM));
    }

    /// The response's head has come.
    pub(crate) fn headers_came<B>(&mut self, response: &Response<B>, at: Instant) {
        self.headers_at = Some(at);
        if let Some(step) = &mut self.step {
            step.answered(response.status(), response.version());
        }
        if let Some(chosen) = &self.chosen {
            chosen.answered(at);
        }
        if let Some(events) = &self.lane.backend.rules.events {
            self.events = events.named(response.headers());
        }
        self.stop_waiting(at, true);
    }

    fn stop_waiting(&mut self, at: Instant, answered: bool) {
        let backend = &self.lane.backend;
        if let Some(place) = self.place.take() {
            self.booked = backend.load.waiting.leave(place);
        }
        if let (true, Some(worker)) = (std::mem::take(&mut self.waits), backend.rules.pulse) {
            let took = at.saturating_duration_since(self.started);
            backend.shared.pulse.end(worker, answered.then_some(took));
            if self.aside.is_none() {
                backend.shared.pulse.spend(worker, took);
            }
        }
    }

    /// Gives the place back, and lets the trip-wire know.
    fn leave(&mut self, outcome: Outcome, at: Instant) {
        self.stop_waiting(at, false);
        let Backend { rules, shared, .. } = &*self.lane.backend;
        if self.admitted {
            shared.requests.leave();
            if let Some(load) = &rules.load {
                load.shedding.end();
            }
        }
        if let Some(wire) = &rules.wire
            && shared.trip.note(wire, outcome, self.headers_at.is_some(), self.aside != Some(Aside::Pinned))
            && let Some(tripped) = shared.trip.tripped()
        {
            metrics::tripped(&rules.key, &tripped.reason);
        }
    }

    /// A tunnel carried so many bytes to the endpoint and to the client.
    pub(crate) fn carried(&mut self, sent: u64, received: u64) {
        if let Some(step) = &mut self.step {
            step.carried(sent, received);
        }
    }

    /// The request was ready to go out: what passed until then was the proxy's own time.
    pub(crate) fn handed_over(&mut self, at: Instant) {
        self.own = at.saturating_duration_since(self.started);
        if let Some(chosen) = &mut self.chosen {
            chosen.went_out(at);
        }
    }

    /// The answer went through without a wait for the endpoint: that time was the proxy's own, too.
    pub(crate) fn answered_at_once(&mut self, at: Instant) {
        if let Some(headers_at) = self.headers_at {
            self.own += at.saturating_duration_since(headers_at);
        }
    }

    /// Counts what the comparison of versions looks at besides.
    fn compare(&self, tally: &mut Tally, outcome: Outcome, timing: Timing, in_control: bool) {
        let Backend { rules, shared, .. } = &*self.lane.backend;
        let failed = outcome.is_failure();
        if let Some(worker) = rules.pulse {
            shared.pulse.count(worker, failed);
        }
        if failed && rules.sticky {
            tally.note_erring(self.user);
        }
        if in_control && (failed || !self.booked) {
            tally.note_control(outcome, timing);
        }
        if let Some(events) = rules.events.as_ref().filter(|_| !self.events.is_none()) {
            tally.note_events(events.names(self.events));
        }
    }

    /// Counts the attempt.
    pub(crate) fn finish(mut self, outcome: Outcome, at: Instant) {
        self.count(outcome, at);
    }

    fn count(&mut self, outcome: Outcome, at: Instant) {
        self.finished = true;
        let load = &self.lane.backend.load;
        load.in_flight.set(load.in_flight.get().saturating_sub(1));
        let in_control = self.chosen.as_ref().is_some_and(Chosen::is_in_control);
        if let Some(chosen) = self.chosen.take() {
            chosen.end(outcome, at);
        }
        self.leave(outcome, at);
        let since_start = |at: Instant| micros(at.saturating_duration_since(self.started));
        let headers = self.headers_at.map(since_start);
        let timing = Timing { headers, total: since_start(at), own: headers.map(|_| micros(self.own)) };
        if let Some(pair) = self.pair.take().filter(|_| self.aside.is_none()) {
            pair.original_ended(outcome, timing);
        }
        let mut tally = self.lane.tally.borrow_mut();
        match self.aside {
            None if self.booked => tally.record_late(outcome, timing),
            None => tally.record(outcome, timing),
            Some(why) => tally.record_aside(why, outcome, timing),
        }
        if self.lane.backend.rules.compared && self.aside.is_none() && outcome.counts() {
            self.compare(&mut tally, outcome, timing, in_control);
        }
        let Some(step) = self.step.take() else {
            return self.trace.into_iter().for_each(|trace| tally.note_trace(trace, outcome, timing));
        };
        let trace = step.trace();
        let answer_after = self.headers_at.unwrap_or(at).saturating_duration_since(self.started);
        let own = self.headers_at.map(|_| self.own);
        if step.ended(outcome, at, answer_after, own) || self.trace.is_some() {
            tally.note_trace(trace, outcome, timing);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.finished {
            let now = clock::now();
            let due = self.due.is_some_and(|due| now >= due);
            self.count(if due { Outcome::TotalTimeout } else { Outcome::ClientCancel }, now);
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
