//! The straight line that every request walks.
//!
//! Read head → one plan → match → pick → forward; the count is taken when the body ends.

use std::{rc::Rc, time::Duration};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header::HOST, request};
use hyper::body::Incoming;
use serin_config::{Outcome, Sticky, Timeouts};
use serin_split::{classify, forwarded, grpc, pick, vet};

use super::{
    body::{RequestBody, ResponseBody},
    fault, forward, head,
    lane::Compiled,
    record::Exchange,
    tunnel,
    watch::Activity,
    worker::{Peer, Worker},
};
use crate::clock;

const VERSION: HeaderName = HeaderName::from_static("x-serin-version");
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
    let ending = Ending { activity: Some(activity.clone()), grpc: classify::is_grpc(request.headers()) };
    let (mut head, incoming) = request.into_parts();
    let extended = tunnel::unfold(&mut head);
    let plan = worker.plan();
    let routed = match route(&plan, &head) {
        Ok(routed) => routed,
        Err(refusal) => return ending.answer(refuse(&worker, refusal)),
    };
    let (service_at, lanes) = &plan.routes[routed.route];
    let (service, splitter) = (plan.service(*service_at), &plan.services[*service_at]);
    let client = match service.sticky {
        Sticky::ClientAddress if peer.trusted => {
            let trusted = |address| peer.trusted_proxies.iter().any(|net| net.contains(&address));
            forwarded::client(&head.headers, peer.address, trusted)
        }
        _ => peer.address,
    };
    let keys = || [worker.random(), worker.random()];
    let wish = match tunnel::wished(&mut head, extended.as_ref(), &service.upgrades, keys) {
        Ok(wish) => wish,
        Err(refusal) => return ending.answer(refuse(&worker, refusal)),
    };
    let random = worker.random();
    let picked = pick(service, &splitter.table, splitter.salt, &head.headers, client, random);
    let lane = lanes[picked.version].clone();
    let tags = worker.telemetry.debug_headers.then(|| (lane.backend.name.clone(), plan.generation.clone()));
    if lane.backend.load.in_flight.get() >= worker.requests_per_version {
        Exchange::begin(lane, started).finish(Outcome::OverloadLocal, clock::now());
        return ending.answer(tag(fault::response(Outcome::OverloadLocal), tags));
    }
    let mut exchange = Exchange::begin(lane, started);
    let body = RequestBody::new(incoming, activity.clone());
    let client_side = body.client_side();
    let mut request = head::prepare(head, routed.authority, body, &peer, &worker);
    if let Some(wish) = &wish {
        wish.write(request.headers_mut());
    }
    if let Some((version, generation)) = &tags {
        request.headers_mut().insert(VERSION, version.clone());
        request.headers_mut().insert(GENERATION, generation.clone());
    }
    let patience = if ending.grpc { grpc::timeout(request.headers()) } else { None };
    let timeouts = within(service.timeouts, patience);
    if let Some(patience) = patience {
        exchange.due_within(patience);
    }
    let response = forward::forward(exchange, request, &timeouts, client_side, wish, &activity).await;
    ending.answer(tag(response, tags))
}

/// A caller that says how long it waits is not there any more after that.
fn within(timeouts: Timeouts, patience: Option<Duration>) -> Timeouts {
    Timeouts { total: patience.into_iter().chain(timeouts.total).min(), ..timeouts }
}

/// Answers what was no request.
pub(crate) fn refused(
    worker: &Worker,
    activity: Rc<Activity>,
    refusal: vet::Refusal,
) -> Response<ResponseBody> {
    activity.begin();
    refuse(worker, refusal).map(|body| body.noting(activity))
}

/// Where a request belongs.
struct Routed {
    route: usize,
    /// The `Host` for the endpoint, where the request named it in its target.
    authority: Option<HeaderValue>,
}

fn route(plan: &Compiled, head: &request::Parts) -> Result<Routed, vet::Refusal> {
    let authority = vet::vet(&head.method, &head.uri, head.version, &head.headers)?;
    let route = plan.matcher.find(authority, head.uri.path()).ok_or(NO_ROUTE)?;
    let in_target = head.uri.authority().is_some() || !head.headers.contains_key(HOST);
    let authority = if in_target { HeaderValue::from_str(authority).ok() } else { None };
    Ok(Routed { route, authority })
}

const NO_ROUTE: vet::Refusal = vet::Refusal {
    status: StatusCode::NOT_FOUND,
    detail: "no route leads from this host and path to a service",
};

#[cold]
fn refuse(worker: &Worker, refusal: vet::Refusal) -> Response<ResponseBody> {
    let label = if refusal.status == NO_ROUTE.status {
        worker.counters.no_route.increment(1);
        "no_route"
    } else {
        worker.counters.bad_request.increment(1);
        "bad_request"
    };
    fault::local(refusal.status, label, refusal.detail)
}

fn tag(
    mut response: Response<ResponseBody>,
    tags: Option<(HeaderValue, HeaderValue)>,
) -> Response<ResponseBody> {
    if let Some((version, generation)) = tags {
        response.headers_mut().insert(VERSION, version);
        response.headers_mut().insert(GENERATION, generation);
    }
    response
}

/// The client's activity ends with the response's body, or here if the request is given up before.
struct Ending {
    activity: Option<Rc<Activity>>,
    /// The caller reads answers as gRPC writes them.
    grpc: bool,
}

impl Ending {
    fn answer(mut self, response: Response<ResponseBody>) -> Response<ResponseBody> {
        let response = if self.grpc { fault::for_grpc(response) } else { response };
        match self.activity.take() {
            Some(activity) => response.map(|body| body.noting(activity)),
            None => response,
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(activity) = self.activity.take() {
            activity.give_up();
        }
    }
}
