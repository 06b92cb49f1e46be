//! The straight line that every request walks.
//!
//! Read head → one plan → vet → route → its limit → its own answer → version → forward; the count is taken when
//! the body ends.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, Request, Response, Version, header::CONTENT_LENGTH, request};
use hyper::body::Incoming;
use serin_config::{Sticky, Timeouts, limits::GRPC_DEADLINE_GRACE};
use serin_split::{
    classify,
    filter::Edits,
    grpc,
    resilience::inject::{Effect, Seen},
    vet,
};

use super::{
    body::{RequestBody, ResponseBody},
    destination, fault, forward, head,
    lane::{Compiled, Lane},
    mirror, routing,
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
    let (head, incoming) = request.into_parts();
    let trail = Trail::begin(&worker, &peer, &head, started);
    let mut ending = Ending { activity: Some((activity.clone(), trail.clone())), grpc, edits: None };
    let arrived = Arrived { head, incoming, trail, started };
    match walk(&worker, &peer, &activity, arrived, &mut ending).await {
        Ok(response) => ending.answer(response),
        Err(early) => ending.answer(*early),
    }
}

/// A request as it came.
struct Arrived {
    head: request::Parts,
    incoming: Incoming,
    trail: Trail,
    started: Instant,
}

/// The line itself. Whatever answers before an endpoint is asked comes back as an error.
async fn walk(
    worker: &Worker,
    peer: &Peer,
    activity: &Rc<Activity>,
    Arrived { mut head, incoming, mut trail, started }: Arrived,
    ending: &mut Ending,
) -> Result<Response<ResponseBody>, Box<Response<ResponseBody>>> {
    let refused = |refusal| Box::new(refuse(worker, refusal));
    let was_http1 = head.version <= Version::HTTP_11;
    let extended = tunnel::unfold(&mut head);
    let plan = worker.plan();

    let authority = vet::vet(&head.method, &head.uri, head.version, &head.headers).map_err(refused)?;
    routing::of_server(&head)?;
    within_length(&head.headers, worker.limits.max_body).map_err(refused)?;
    let found = routing::find(&plan.matcher, &head, authority, peer).map_err(refused)?;
    let route = &plan.routes[found.route];
    trail.routed(&plan.plan, found.route);
    ending.edits = route.answer_edits.clone();
    route.within_limit(&head, peer, started)?;
    let way = route.way(&head, &found, peer)?;

    let (service, splitter) = (plan.service(way.service), &plan.services[way.service]);
    let keys = || [worker.random(), worker.random()];
    let wish = tunnel::wished(&mut head, extended.as_ref(), &service.upgrades, keys).map_err(refused)?;
    if let Some(shed) = worker.shared.shedding.refuses() {
        return Err(Box::new(fault::shed(&worker.counters, shed, was_http1)));
    }
    let client = match service.sticky {
        Sticky::ClientAddress => routing::client(peer, &head.headers),
        _ => peer.address,
    };
    let to = destination::choose(
        (service, splitter),
        &way.lanes,
        &head.headers,
        client,
        (started, worker.random()),
    );
    trail.leads_to(&service.name);
    trail.settle(worker, to.lane.trace_sampling);
    let struck = worker.shared.faults.any();
    let effect = if struck { strike(worker, &plan, found.route, &to.lane, &head) } else { None };

    let target = way.target(&head.uri, &found);
    let body = RequestBody::new(incoming, activity.clone(), trail.story());
    let client_side = body.client_side();
    if let Some(client) = &client_side {
        client.limit(worker.limits.max_body);
    }
    let mut request = head::prepare(head, found.authority, body, peer, &trail, worker);
    way.change(&mut request, target);
    let mirror = plan.mirrors[way.service].as_ref().filter(|_| wish.is_none());
    let copied_way = (to.version, to.aside.is_some(), found.route);
    let copied = mirror::begin(mirror, copied_way, worker, &request, client_side.as_ref());
    if let Some(wish) = &wish {
        wish.write(request.headers_mut());
    }
    let generation = worker.telemetry.debug_headers.then(|| plan.generation.clone());
    if let Some(generation) = &generation {
        request.headers_mut().insert(GENERATION, generation.clone());
    }

    let patience = if ending.grpc { grpc::timeout(request.headers()) } else { None };
    let task = forward::Task {
        worker,
        service,
        timeouts: within(way.timeouts, patience),
        patience,
        lane: to.lane,
        rescue: to.rescue,
        aside: to.aside,
        trail: trail.clone(),
        key: to.key,
        user: to.user,
        effect,
        started,
        client: client_side,
        wish,
        activity,
        tells_version: generation.is_some(),
        pair: Cell::new(copied.clone()),
    };
    let mut response = forward::forward(task, request).await;
    if let Some(generation) = generation {
        response.headers_mut().insert(GENERATION, generation);
    }
    Ok(match copied {
        Some(pair) => pair.answered(response),
        None => response,
    })
}

/// What an injected fault does to this request.
#[cold]
fn strike(
    worker: &Worker,
    plan: &Compiled,
    route: usize,
    lane: &Lane,
    head: &request::Parts,
) -> Option<Effect> {
    let (service, version) = &lane.backend.rules.key;
    let route = &plan.plan.catalogue().routes()[route].name;
    let seen = Seen { service, version, route, headers: &head.headers };
    worker.shared.faults.hit(&seen, clock::now(), || worker.random())
}

/// Whether a body of the length that is stated may come.
fn within_length(headers: &HeaderMap, max: Option<u64>) -> Result<(), vet::Refusal> {
    let Some(max) = max else { return Ok(()) };
    let stated = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|stated| stated > max) { Err(fault::TOO_LONG) } else { Ok(()) }
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
