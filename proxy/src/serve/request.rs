//! The straight line that every request walks.
//!
//! Read head → vet → one plan → route → its limit → its own answer → pick → forward; the count is taken when the
//! body ends.

use std::{rc::Rc, time::Duration};

use http::{HeaderName, Request, Response};
use hyper::body::Incoming;
use serin_config::{Sticky, Timeouts, limits::GRPC_DEADLINE_GRACE};
use serin_split::{
    Aside, balance, classify,
    filter::Edits,
    grpc, pick,
    resilience::inject::{Effect, Seen},
    vet,
};

use super::{
    body::{RequestBody, ResponseBody},
    fault, forward, head,
    lane::{Compiled, Lane},
    mirror, routing, spill,
    story::Trail,
    tunnel,
    watch::Activity,
    worker::{Peer, Worker},
};
use crate::clock;

const GENERATION: HeaderName = HeaderName::from_static("x-serin-generation");

/// Serves one request, whatever comes of it.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    activity: Rc<Activity>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let started = clock::now();
    activity.begin();
    let grpc = classify::is_grpc(request.headers());
    let (mut head, incoming) = request.into_parts();
    let was_http1 = head.version <= http::Version::HTTP_11;
    let mut trail = Trail::begin(&worker, &peer, &head, started);
    let mut ending = Ending { activity: Some((activity.clone(), trail.clone())), grpc, edits: None };
    let extended = tunnel::unfold(&mut head);
    let plan = worker.plan();
    let vetted = vet::vet(&head.method, &head.uri, head.version, &head.headers);
    if let (Ok(_), Some(answer)) = (vetted, routing::of_server(&head)) {
        return ending.answer(answer);
    }
    let found = match vetted.and_then(|authority| routing::find(&plan.matcher, &head, authority, &peer)) {
        Ok(found) => found,
        Err(refusal) => return ending.answer(refuse(&worker, refusal)),
    };
    let route = &plan.routes[found.route];
    trail.routed(&plan.plan, found.route);
    ending.edits = route.answer_edits.clone();
    if let Some(answer) = route.over_limit(&head, &peer, started) {
        return ending.answer(answer);
    }
    let way = match route.way(&head, &found, &peer) {
        Ok(way) => way,
        Err(answer) => return ending.answer(*answer),
    };
    let (service, splitter) = (plan.service(way.service), &plan.services[way.service]);
    let client = match service.sticky {
        Sticky::ClientAddress => routing::client(&peer, &head.headers),
        _ => peer.address,
    };
    let keys = || [worker.random(), worker.random()];
    let wish = match tunnel::wished(&mut head, extended.as_ref(), &service.upgrades, keys) {
        Ok(wish) => wish,
        Err(refusal) => return ending.answer(refuse(&worker, refusal)),
    };
    let random = worker.random();
    let picked = pick(service, &splitter.table, splitter.salt, &head.headers, client, random);
    if let Some(shed) = worker.shared.shedding.refuses() {
        return ending.answer(fault::shed(&worker.counters, shed, was_http1));
    }
    let pinned = picked.reason == pick::Reason::Pinned;
    // Who asks for a version by name gets it, whatever tripped: somebody has to find out why.
    let version = if pinned { picked.version } else { splitter.in_force(picked.version) };
    let spilled = if pinned { None } else { spill::over(service, splitter, version, &way.lanes) };
    let version = spilled.unwrap_or(version);
    let lane = way.lanes[version].clone();
    trail.leads_to(&service.name);
    trail.settle(&worker, lane.trace_sampling);
    let effect =
        if worker.shared.faults.any() { strike(&worker, &plan, found.route, &lane, &head) } else { None };
    let tags = worker.telemetry.debug_headers.then(|| plan.generation.clone());
    let balance = &service.versions[version].endpoint_policy.balance;
    let key = balance::key(balance, &service.sticky, &head.headers, client);
    let target = way.target(&head.uri, &found);
    let body = RequestBody::new(incoming, activity.clone(), trail.story());
    let client_side = body.client_side();
    let mut request = head::prepare(head, found.authority, body, &peer, &trail, &worker);
    way.change(&mut request, target);
    let mirror = plan.mirrors[way.service].as_ref().filter(|_| wish.is_none());
    let copied = mirror::begin(mirror, version, &worker, &request, client_side.as_ref());
    if let Some(wish) = &wish {
        wish.write(request.headers_mut());
    }
    if let Some(generation) = &tags {
        request.headers_mut().insert(GENERATION, generation.clone());
    }
    let patience = if ending.grpc { grpc::timeout(request.headers()) } else { None };
    let task = forward::Task {
        worker: &worker,
        service,
        timeouts: within(way.timeouts, patience),
        patience,
        lane,
        // A tester who asks for the canary wants to see what it does.
        rescue: splitter.rescue(version).filter(|_| !pinned).map(|stable| way.lanes[stable].clone()),
        aside: pinned.then_some(Aside::Pinned).or(spilled.map(|_| Aside::Spilled)),
        trail: trail.clone(),
        key,
        effect,
        started,
        client: client_side,
        wish,
        activity: &activity,
        tells_version: tags.is_some(),
    };
    let mut response = forward::forward(task, request).await;
    if let Some(generation) = tags {
        response.headers_mut().insert(GENERATION, generation);
    }
    let response = match copied {
        Some(pair) => pair.answered(response),
        None => response,
    };
    ending.answer(response)
}

/// What an injected fault does to this request.
#[cold]
fn strike(
    worker: &Worker,
    plan: &Compiled,
    route: usize,
    lane: &Lane,
    head: &http::request::Parts,
) -> Option<Effect> {
    let (service, version) = &lane.backend.rules.key;
    let route = &plan.plan.catalogue().routes()[route].name;
    let seen = Seen { service, version, route, headers: &head.headers };
    worker.shared.faults.hit(&seen, clock::now(), || worker.random())
}

/// A caller that says how long it waits is not there any more soon after that. It is left to be the first to say so:
/// a stream that we broke off a moment before would look like an error of another kind.
fn within(timeouts: Timeouts, patience: Option<Duration>) -> Timeouts {
    let total = patience.map(|patience| patience.saturating_add(GRPC_DEADLINE_GRACE));
    Timeouts { total: total.into_iter().chain(timeouts.total).min(), ..timeouts }
}

/// Answers what was no request.
pub(crate) fn refused(
    worker: &Worker,
    activity: Rc<Activity>,
    refusal: vet::Refusal,
) -> Response<ResponseBody> {
    activity.begin();
    refuse(worker, refusal).map(|body| body.noting(activity, None))
}

#[cold]
fn refuse(worker: &Worker, refusal: vet::Refusal) -> Response<ResponseBody> {
    let label = if refusal.status == routing::NO_ROUTE.status {
        worker.counters.no_route.increment(1);
        "no_route"
    } else {
        worker.counters.bad_request.increment(1);
        "bad_request"
    };
    fault::local(refusal.status, label, refusal.detail)
}

/// The client's activity ends with the response's body, or here if the request is given up before.
struct Ending {
    /// With the way that the request has gone.
    activity: Option<(Rc<Activity>, Trail)>,
    /// The caller reads answers as gRPC writes them.
    grpc: bool,
    /// What the route changes in the head of every answer, whoever gives it.
    edits: Option<Rc<Edits>>,
}

impl Ending {
    fn answer(mut self, response: Response<ResponseBody>) -> Response<ResponseBody> {
        let mut response = if self.grpc { fault::for_grpc(response) } else { response };
        if let Some(edits) = &self.edits {
            edits.apply(response.headers_mut());
        }
        match self.activity.take() {
            Some((activity, trail)) => {
                trail.answered(&response);
                response.map(|body| body.noting(activity, trail.story().cloned()))
            }
            None => response,
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some((activity, _)) = self.activity.take() {
            activity.give_up();
        }
    }
}
