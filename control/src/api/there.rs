//! What only the control plane that leads knows: counts of the last seconds, webhooks that are asked, proxies that are
//! connected. A follower passes such a read on, for a short time that is bounded, and answers by itself where that can't be
//! done: then what is not known here is null, and never a zero.
//!
//! An answer that is there at once is taken whole before it is given on. One that waits, or never ends, is given on as it
//! comes, by a task that ends with the reader, with this process, or when somebody else leads: a leader that was may not go on
//! telling what it believes.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{MatchedPath, Request},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serin_config::limits::{
    API_VERDICT_WAIT_MAX, API_WATCH_LIFE, API_WATCH_QUEUE_MAX, API_WATCH_STALL, FORWARD_BYTES_MAX,
    FORWARD_READ_WAIT,
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Context,
    operation::{Knows, Pace},
    peer::Peer,
    serve::stopped,
    watch::Stream,
};
use crate::lead::{
    LeaderAddress,
    forward::{answer, ask},
};

/// Who gave the answer, where it was the one who leads.
pub(super) const LEADER: HeaderName = HeaderName::from_static("x-serin-leader");

/// A read of what only the leader knows.
pub(super) struct There {
    asked: Request,
    pace: Pace,
    patience: Duration,
    peer: Option<Peer>,
}

/// Whether whoever asks is known by a certificate alone. By it the leader would know this control plane, and not who asks.
pub(super) fn by_certificate(context: &Context, headers: &HeaderMap) -> bool {
    context.known.ask() && !headers.contains_key(header::AUTHORIZATION)
}

/// What is to be asked of the leader; none where what is known here will do, or must, since the leader would not know who
/// asks.
pub(super) fn there(context: &Context, request: &Request) -> Option<There> {
    let matched = request.extensions().get::<MatchedPath>()?;
    let operation = context.operations.find(request.method(), matched.as_str())?;
    let only_here = *request.method() != Method::GET || by_certificate(context, request.headers());
    if operation.knows != Knows::Leader || only_here {
        return None;
    }
    let mut asked = Request::get(request.uri().clone()).body(Body::empty()).ok()?;
    asked.headers_mut().clone_from(request.headers());
    let peer = request.extensions().get::<Peer>().cloned();
    Some(There { asked, pace: operation.pace, patience: patience(request), peer })
}

/// The leader's own answer. None where it can't be had in time.
pub(super) async fn answered(context: &Context, there: There, leader: &LeaderAddress) -> Option<Response> {
    let There { asked, pace, patience, peer } = there;
    let standing = &context.access.standing;
    let from = peer.as_ref().map_or("unknown", |peer| peer.from.as_str());
    let mut response = match pace {
        Pace::Prompt => {
            let whole = async {
                let (parts, body) =
                    ask(asked, from, leader, standing, FORWARD_READ_WAIT).await.ok()?.into_parts();
                let body = Limited::new(body, FORWARD_BYTES_MAX).collect().await.ok()?;
                parts
                    .status
                    .is_success()
                    .then(|| answer(parts.status, &parts.headers, body.to_bytes().into()))
            };
            timeout(FORWARD_READ_WAIT, whole).await.ok()??
        }
        Pace::Waits => {
            let place = context.watchers.clone().try_acquire_owned().ok()?;
            let (parts, body) = ask(asked, from, leader, standing, patience).await.ok()?.into_parts();
            if !parts.status.is_success() {
                return None;
            }
            if let Some(peer) = &peer {
                peer.begin_stream();
            }
            answer(parts.status, &parts.headers, given_on(context, body, place))
        }
    };
    if let Ok(name) = HeaderValue::from_str(&leader.name) {
        response.headers_mut().insert(LEADER, name);
    }
    Some(response)
}

/// How long the head of an answer may take.
fn patience(request: &Request) -> Duration {
    let waits = request.uri().query().is_some_and(|query| query.contains("wait="));
    if waits { API_VERDICT_WAIT_MAX.saturating_add(FORWARD_READ_WAIT) } else { FORWARD_READ_WAIT }
}

fn given_on(context: &Context, mut body: Incoming, place: OwnedSemaphorePermit) -> Body {
    let (given, taken) = mpsc::channel::<Bytes>(API_WATCH_QUEUE_MAX);
    let (mut stop, mut leadership) = (context.stop.clone(), context.access.standing.leadership());
    leadership.mark_unchanged();
    tokio::spawn(async move {
        let _place = place;
        let end = Instant::now() + API_WATCH_LIFE;
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                () = given.closed() => return,
                () = sleep_until(end) => return,
                _ = leadership.changed() => return,
                () = stopped(&mut stop) => return,
            };
            let Some(Ok(frame)) = frame else { return };
            let Ok(bytes) = frame.into_data() else { continue };
            let Ok(Ok(())) = timeout(API_WATCH_STALL, given.send(bytes)).await else { return };
        }
    });
    Body::new(Stream(taken))
}
