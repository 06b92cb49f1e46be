//! From a version that was picked to an answer for the client: the loop over attempts.
//!
//! Each attempt is an exchange of its own, charged to the version that made it; the client sees one answer.
//! What may be tried again, where and when, is decided in `serin_split::resilience::retry`; here it is carried
//! out. A second attempt stays on its version; only the shield moves a failed request of the canary to the
//! stable version.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use serin_config::{Outcome, Service, Timeouts};
use serin_split::{
    Aside,
    balance::Tried,
    classify,
    resilience::{
        inject::Effect,
        retry::{self, Asked, Failed},
    },
};

use super::{
    admission,
    attempt::{self, Answer, Failure},
    body::{ClientSide, RequestBody, ResponseBody, StreamLimits, Streaming},
    fault, head, injected,
    lane::Lane,
    mirror::Pair,
    record::Exchange,
    retries::{Retrying, Spare},
    story::Trail,
    tunnel::{Grant, Tunnel, Wish},
    upstream::Patience,
    watch::Activity,
    worker::Worker,
};
use crate::clock;

/// Which version answered, for debugging.
pub(crate) const VERSION: HeaderName = HeaderName::from_static("x-serin-version");

/// A request's way from here on.
pub(crate) struct Task<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) service: &'a Service,
    /// Those of the service, and of the caller.
    pub(crate) timeouts: Timeouts,
    /// How long the caller waits, if it said so.
    pub(crate) patience: Option<Duration>,
    /// The way to the version that was picked.
    pub(crate) lane: Rc<Lane>,
    /// The way to the stable version, if it shall take over what the picked one fails.
    pub(crate) rescue: Option<Rc<Lane>>,
    /// Its place on a ring of endpoints.
    pub(crate) key: Option<u64>,
    /// The hash of the key by which the split keeps its user on a version.
    pub(crate) user: Option<u64>,
    /// What is told of the request.
    pub(crate) trail: Trail,
    /// Why the request has no part in the comparison of versions, if it has none.
    pub(crate) aside: Option<Aside>,
    /// The injected fault that hits it.
    pub(crate) effect: Option<Effect>,
    /// When its head came.
    pub(crate) started: Instant,
    pub(crate) client: Option<Rc<ClientSide>>,
    pub(crate) wish: Option<Wish>,
    pub(crate) activity: &'a Rc<Activity>,
    /// Whether endpoint and client are told the version.
    pub(crate) tells_version: bool,
    /// A copy of the request, to be told how the first attempt ends.
    pub(crate) pair: Cell<Option<Rc<Pair>>>,
}

/// How an attempt ended that brought no good answer.
struct Ended {
    failed: Failed,
    outcome: Outcome,
    /// None if the version had no room.
    exchange: Option<Exchange>,
    /// The request, if no endpoint has seen it.
    unsent: Option<Box<Request<RequestBody>>>,
    answer: Option<Box<Answer>>,
    asked: Asked,
}

/// Sends a prepared request to the task's version, again if need be, and streams the answer back.
pub(crate) async fn forward(mut task: Task<'_>, mut request: Request<RequestBody>) -> Response<ResponseBody> {
    let total = task.timeouts.total.map(|total| task.started + total);
    let spare = Spare::of(&task, &mut request);
    let idempotent = request.method().is_idempotent() && task.wish.is_none();
    let (mut lane, mut began, mut made) = (task.lane.clone(), task.started, 1);
    let (mut retrying, mut tried) = (None, Tried::default());
    loop {
        if task.tells_version {
            request.headers_mut().insert(VERSION, lane.backend.name.clone());
        }
        let ended = match attempted(&task, &lane, request, &mut tried, began, total).await {
            Ok((exchange, answer)) => {
                if let Some(spare) = &spare {
                    spare.let_go();
                }
                let wish = task.wish.take();
                return told(&task, &lane, pass_on(wish, &task, exchange, answer, total));
            }
            Err(Ended { exchange, answer: None, .. })
                if task.client.as_deref().is_some_and(ClientSide::has_failed) =>
            {
                let answer = fail(&lane, exchange, Outcome::ClientCancel);
                let too_long = task.client.as_deref().is_some_and(ClientSide::is_too_long);
                return told(&task, &lane, if too_long { fault::too_long() } else { answer });
            }
            Err(ended) => ended,
        };
        drop(retrying.take());
        let whole = ended.unsent.is_some() || spare.as_ref().is_some_and(Spare::is_whole);
        let remains = retry::Remains { idempotent, whole };
        let now = clock::now();
        let left = total.map(|total| total.saturating_duration_since(now));
        let policy = task.service.resilience.retries.as_ref();
        let wait = policy.and_then(|policy| {
            retry::next(policy, made, ended.failed, remains, ended.asked, left, task.worker.random())
        });
        let wait = wait.filter(|_| {
            retrying = policy.and_then(|policy| Retrying::begin(&lane.backend, policy));
            retrying.is_some()
        });
        let rescue = task
            .rescue
            .take_if(|_| wait.is_none() && ended.failed.is_rescuable() && remains.may_go_again(ended.failed));
        if wait.is_none() && rescue.is_none() {
            return told(&task, &lane, give_up(&task, &lane, ended, total));
        }
        if let Some(exchange) = ended.exchange {
            exchange.finish(ended.outcome, now);
        }
        drop(ended.answer);
        request = match (ended.unsent, &spare) {
            (Some(request), _) => *request,
            (None, Some(spare)) => spare.request(task.client.as_ref()),
            (None, None) => return told(&task, &lane, fault::response(ended.outcome)),
        };
        if let Some(client) = &task.client {
            client.begin_again();
        }
        made += 1;
        if let Some(stable) = rescue {
            (lane, made, tried) = (stable, 1, Tried::default());
            lane.backend.rules.shielded.increment(1);
            task.aside = Some(Aside::Rescue);
            task.effect = None;
        }
        began = now;
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            tokio::time::sleep(wait).await;
            began = clock::now();
        }
    }
}

/// One attempt on a lane.
async fn attempted(
    task: &Task<'_>,
    lane: &Rc<Lane>,
    request: Request<RequestBody>,
    tried: &mut Tried,
    began: Instant,
    total: Option<Instant>,
) -> Result<(Exchange, Answer), Ended> {
    let ended = |failed, outcome, exchange| Ended {
        failed,
        outcome,
        exchange,
        unsent: None,
        answer: None,
        asked: Asked::Nothing,
    };
    let Some(mut exchange) = admission::admit(lane, &task.trail, began, total).await else {
        let outcome = Outcome::OverloadLocal;
        return Err(Ended {
            unsent: Some(Box::new(request)),
            ..ended(Failed::Without(outcome), outcome, None)
        });
    };
    exchange.set_key(task.key);
    exchange.set_user(task.user);
    exchange.set_pair(task.pair.take());
    if let Some(aside) = task.aside {
        exchange.set_aside(aside);
    }
    if let Some(patience) = task.patience {
        exchange.due_within(task.started, patience);
    }
    let timeouts = &task.timeouts;
    if let Some(effect) = task.effect
        && let Err((failed, outcome)) = injected::strike(&mut exchange, effect, timeouts.header, total).await
    {
        // Where there was no connection nothing was sent, whatever the method.
        let unsent = (outcome == Outcome::ConnectFail).then(|| Box::new(request));
        return Err(Ended { unsent, ..ended(failed, outcome, Some(exchange)) });
    }
    let per_try = task.service.resilience.retries.as_ref().and_then(|retries| retries.per_try_timeout);
    let patience = Patience {
        connect: timeouts.connect,
        header: timeouts.header.into_iter().chain(per_try).min(),
        total,
        client: task.client.as_deref(),
    };
    exchange.goes_out();
    match attempt::attempt(&mut exchange, request, &patience, task.wish.as_ref(), tried).await {
        Ok(answer) => {
            exchange.headers_came(&answer.response, clock::now());
            match failed(&answer) {
                None => Ok((exchange, answer)),
                Some((failed, outcome)) => {
                    let asked = retry::asked(answer.response.headers());
                    let ended = ended(failed, outcome, Some(exchange));
                    Err(Ended { answer: Some(Box::new(answer)), asked, ..ended })
                }
            }
        }
        Err(Failure { outcome, failed, unsent }) => {
            Err(Ended { unsent, ..ended(failed, outcome, Some(exchange)) })
        }
    }
}

/// Whether an answer's head says that the attempt failed in a way that a second one might mend.
fn failed(answer: &Answer) -> Option<(Failed, Outcome)> {
    let response = &answer.response;
    let status = response.status();
    if status.is_server_error() || status.as_u16() == 429 {
        return Some((Failed::Status(status.as_u16()), classify::status(status)));
    }
    // A gRPC answer that failed before its first message has its status in its head.
    let code = response.headers().get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let outcome = classify::grpc(response.headers())?;
    (classify::is_grpc(response.headers()) && code != 0).then_some((Failed::Grpc(code), outcome))
}

/// No further attempt: the client gets what there is.
fn give_up(task: &Task<'_>, lane: &Lane, ended: Ended, total: Option<Instant>) -> Response<ResponseBody> {
    match (ended.exchange, ended.answer) {
        (Some(exchange), Some(answer)) => pass_on(None, task, exchange, *answer, total),
        (Some(exchange), None) => match (task.effect, ended.failed) {
            (Some(_), Failed::Status(status)) => injected::answer(exchange, ended.outcome, status),
            _ => fail(lane, Some(exchange), ended.outcome),
        },
        (None, _) => fail(lane, None, ended.outcome),
    }
}

fn pass_on(
    wish: Option<Wish>,
    task: &Task<'_>,
    exchange: Exchange,
    answer: Answer,
    total: Option<Instant>,
) -> Response<ResponseBody> {
    if let Some(client) = &task.client {
        client.answered();
    }
    let timeouts = &task.timeouts;
    let throttle = task.effect.and_then(|effect| effect.throttle);
    let limits = StreamLimits { idle: timeouts.idle, total, throttle };
    match (wish, &answer.grant) {
        (Some(wish), Some(Grant::Granted(_))) => {
            tunnel(exchange, answer, wish, timeouts.tunnel, task.activity)
        }
        (_, Some(_)) => hang_up(stream(exchange, answer, limits)),
        (_, None) => stream(exchange, answer, limits),
    }
}

/// Joins the client's connection and the endpoint's.
fn tunnel(
    exchange: Exchange,
    answer: Answer,
    wish: Wish,
    idle: Option<Duration>,
    activity: &Rc<Activity>,
) -> Response<ResponseBody> {
    let Answer { upstream, response, grant, .. } = answer;
    let stream = if let Some(Grant::Granted(stream)) = grant { stream } else { None };
    let (mut head, _) = response.into_parts();
    head::clean(&mut head);
    Tunnel::new(upstream, stream, exchange, idle).open(wish, &mut head, activity);
    Response::from_parts(head, ResponseBody::none())
}

/// The client's connection ends with this answer, as the endpoint's does.
fn hang_up(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Passes the answer on: its head now, its body as it comes.
fn stream(exchange: Exchange, answer: Answer, limits: StreamLimits) -> Response<ResponseBody> {
    let Answer { mut upstream, response, pool, grant } = answer;
    let (mut head, incoming) = response.into_parts();
    let verdict = head::judge(&head);
    if grant.is_some() && !upstream.is_shared() {
        upstream.retire();
    }
    if head.headers.contains_key(TRANSFER_ENCODING) && head.headers.remove(CONTENT_LENGTH).is_some() {
        // RFC 9112, 6.3: the coding overrides a length, which must not be passed on; who sends both may be up
        // to something.
        upstream.retire();
    }
    head::clean(&mut head);
    let body = Streaming::begin(incoming, (upstream, exchange), pool, verdict, limits);
    Response::from_parts(head, ResponseBody::streaming(body))
}

/// An answer by Serin itself, for an attempt that brought none.
fn fail(lane: &Lane, exchange: Option<Exchange>, outcome: Outcome) -> Response<ResponseBody> {
    if let Some(exchange) = exchange {
        exchange.finish(outcome, clock::now());
    }
    match &lane.backend.rules.fallback {
        Some(fallback) if outcome == Outcome::OverloadLocal => fallback.response(),
        _ => fault::response(outcome),
    }
}

/// Tells the client which version this is, if it shall know.
fn told(task: &Task<'_>, lane: &Lane, mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    if task.tells_version {
        response.headers_mut().insert(VERSION, lane.backend.name.clone());
    }
    response
}
