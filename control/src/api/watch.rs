//! What happens, as it happens: server-sent events.
//!
//! Two kinds of events. A `decision` is an entry of the journal, in order and without gaps; its sequence is the
//! event's `id`, so whoever connects again with `last-event-id` goes on where it was. What the journal has forgotten
//! meanwhile is told as one `gap`. A `status` is how things are now, once a second at most: only the newest matters, so
//! none waits behind another.
//!
//! Sources wait for nobody. A task for each watcher reads the journal and the snapshot when it has room to send; a
//! watcher that does not read is cut. The stream ends by itself after a while, and when its token is taken back.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context as Task, Poll},
};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, header};
use http_body::Frame;
use serde::Serialize;
use serde_json::{Value, json};
use serin_config::limits::{API_WATCH_BEAT, API_WATCH_LIFE, API_WATCH_QUEUE_MAX, API_WATCH_STALL};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Context,
    identity::Identity,
    peer::Peer,
    problem::Problem,
    read::{EntryView, brief, find},
    serve::stopped,
    verdict::too_many,
};
use crate::sight::Sight;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Entries that are read at once.
const ENTRIES_AT_ONCE: usize = 100;

pub(super) async fn all(
    State(context): State<Context>,
    Extension(identity): Extension<Identity>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    begin(context, identity, &peer, &headers, None)
}

pub(super) async fn of_service(
    State(context): State<Context>,
    Extension(identity): Extension<Identity>,
    Extension(peer): Extension<Peer>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(name) =
        path.map_err(|rejection| Problem::bad_request("malformed-path", rejection.body_text()))?;
    find(&context, &identity.grant, &name)?;
    begin(context, identity, &peer, &headers, Some(name))
}

fn begin(
    context: Context,
    identity: Identity,
    peer: &Peer,
    headers: &HeaderMap,
    service: Option<String>,
) -> Result<Response, Problem> {
    let after = match headers.get(LAST_EVENT_ID) {
        None => context.access.journal.last(),
        Some(value) => value.to_str().ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
            let detail =
                "last-event-id is the id of the last event that arrived: the sequence of a journal entry";
            Problem::bad_request("malformed-header", detail)
        })?,
    };
    // An id from beyond the journal's end is that of another journal.
    let after = after.min(context.access.journal.last());
    let place = context.watchers.clone().try_acquire_owned().map_err(|_| too_many())?;
    peer.begin_stream();
    let (events, arriving) = mpsc::channel(API_WATCH_QUEUE_MAX);
    let authorization = headers.get(header::AUTHORIZATION).cloned();
    let watcher =
        Watcher { context, identity, authorization, peer: peer.clone(), service, after, shown: None, events };
    tokio::spawn(watcher.run(place));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(Stream(arriving))).into_response())
}

/// One stream.
struct Watcher {
    context: Context,
    identity: Identity,
    authorization: Option<http::HeaderValue>,
    peer: Peer,
    service: Option<String>,
    /// The sequence up to which the journal was told.
    after: u64,
    /// What was told last of how things are.
    shown: Option<Value>,
    events: mpsc::Sender<Bytes>,
}

/// Nobody reads any more, or not in time.
struct Gone;

impl Watcher {
    async fn run(mut self, _place: OwnedSemaphorePermit) {
        let end = Instant::now() + API_WATCH_LIFE;
        let (mut status, mut stop) = (self.context.access.status.clone(), self.context.stop.clone());
        let mut leadership = self.context.access.standing.leadership();
        leadership.mark_unchanged();
        loop {
            status.mark_unchanged();
            if !self.may_still_watch() || self.tell().await.is_err() {
                return;
            }
            let quiet = tokio::select! {
                changed = status.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
                () = sleep_until(Instant::now() + API_WATCH_BEAT) => true,
                () = sleep_until(end) => return,
                // Whoever leads now knows more: the client comes back, and is passed on.
                Ok(()) = leadership.changed() => return,
                () = self.events.closed() => return,
                () = stopped(&mut stop) => return,
            };
            if quiet && self.send(": still here\n\n".into()).await.is_err() {
                return;
            }
        }
    }

    /// Whether whoever watches could begin to do so now.
    fn may_still_watch(&self) -> bool {
        let (tokens, now_ms) = (&self.context.access.status().tokens, self.context.access.clock.now_ms());
        let authorization = self.authorization.as_ref().map(http::HeaderValue::as_bytes);
        let found = self.context.known.identify(authorization, &self.peer, tokens, now_ms);
        found.is_ok_and(|found| found == self.identity)
    }

    async fn tell(&mut self) -> Result<(), Gone> {
        loop {
            let entries = self.context.access.journal.after(self.after, ENTRIES_AT_ONCE);
            let Some(first) = entries.first().map(|entry| entry.sequence) else { break };
            if first > self.after + 1 {
                let gap = json!({ "after": self.after, "next": first });
                self.send(event("gap", None, &gap)).await?;
            }
            for entry in entries {
                self.after = entry.sequence;
                let wanted = self.service.as_ref().is_none_or(|wanted| entry.concerns(wanted));
                let all = self.context.access.status();
                let sight = Sight::new(&self.identity.grant, &all.terms);
                if let Some(seen) = sight.entry(&entry).filter(|_| wanted) {
                    let id = Some(entry.sequence);
                    self.send(event("decision", id, &EntryView::from(seen.as_ref()))).await?;
                }
            }
        }
        let status = self.context.seen(&self.identity.grant);
        let now = match &self.service {
            Some(name) => match status.services.get(name.as_str()) {
                Some(service) => json!(service),
                // The file has left it out.
                None => return Err(Gone),
            },
            None => {
                let services: Vec<Value> = status.services.values().map(brief).collect();
                json!({
                    "generation": status.plan.generation(), "stored": status.stored, "services": services,
                })
            }
        };
        if self.shown.as_ref() == Some(&now) {
            return Ok(());
        }
        self.send(event("status", None, &now)).await?;
        self.shown = Some(now);
        Ok(())
    }

    async fn send(&self, text: String) -> Result<(), Gone> {
        match timeout(API_WATCH_STALL, self.events.send(text.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

/// The text of one event; JSON has no line ends of its own.
fn event<T: Serialize>(kind: &str, id: Option<u64>, data: &T) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("{id}event: {kind}\ndata: {data}\n\n")
}

/// The answer's body: a frame for each event.
pub(super) struct Stream(pub(super) mpsc::Receiver<Bytes>);

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(task).map(|text| text.map(|text| Ok(Frame::data(text))))
    }
}
