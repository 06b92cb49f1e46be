//! What another control plane tells the one who leads: what it has refused, for the audit log.
//!
//! It stands in front of the API, and is no part of it: whoever does not prove to be a control plane ([`Pass`]) finds
//! nothing here. A batch that comes again, since its answer was lost, is not taken again; only a leader that is new does not
//! know what the one before was told, and may count one twice.
//!
//! [`Pass`]: crate::lead::pass::Pass

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::to_bytes,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode};
use serin_config::limits::{API_TIMEOUT, AUDIT_BATCH_BYTES_MAX, AUDIT_BATCH_MAX, CONTROL_PLANES_MAX};
use tokio::{sync::mpsc, time::timeout};

use super::Context;
use crate::{
    audit::Refused,
    command::Caller,
    lead::{
        messenger::PATH,
        outbox::Batch,
        pass::{Claim, digest_of},
    },
};

/// The newest batch of each control plane: its process, and its number there.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<BTreeMap<String, (u64, u64)>>>);

impl Heard {
    /// Gives what is new of it on; false where there is no room for it.
    fn take(&self, by: &str, batch: Batch, keeper: &mpsc::Sender<Refused>) -> bool {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (batch.epoch, batch.sequence);
        if heard.get(by).is_some_and(|newest| *newest >= number) {
            return true;
        }
        let Ok(places) = keeper.try_reserve_many(batch.refusals.len()) else { return false };
        for (place, mut refused) in places.zip(batch.refusals) {
            refused.note = refused.note.short();
            // One that led until now may tell of what a third one has passed on.
            let named = |who: Caller| if who.via.is_some() { who } else { who.via(by) };
            refused.note.who = refused.note.who.map(named);
            place.send(refused);
        }
        // So many there are not: some have gone, and all but one begin anew.
        if heard.len() >= CONTROL_PLANES_MAX && !heard.contains_key(by) {
            heard.clear();
        }
        heard.insert(by.to_owned(), number);
        true
    }
}

pub(super) async fn hear(State(context): State<Context>, request: Request, next: Next) -> Response {
    if request.uri().path() != PATH || *request.method() != Method::POST {
        return next.run(request).await;
    }
    let standing = &context.access.standing;
    let Some(Claim { by, body: Some(digest), .. }) = standing.claim(&request) else {
        return next.run(request).await;
    };
    if !standing.now().leads() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let Ok(Ok(body)) = timeout(API_TIMEOUT, to_bytes(request.into_body(), AUDIT_BATCH_BYTES_MAX)).await
    else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let batch = serde_json::from_slice(&body)
        .ok()
        .filter(|batch: &Batch| digest_of(&body) == digest && batch.refusals.len() <= AUDIT_BATCH_MAX);
    let Some(batch) = batch else { return StatusCode::BAD_REQUEST.into_response() };
    let taken = context.heard.take(&by, batch, &context.access.refused);
    if taken { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Fate, Note},
        command::Actor,
    };

    fn batch(epoch: u64, sequence: u64) -> Batch {
        let note = Note {
            who: Some(Caller::new("ci", "10.0.0.7")),
            actor: Actor::Api,
            what: "start".into(),
            detail: "start".into(),
            service: None,
            group: None,
            reason: String::new(),
            urgent: false,
            fate: Fate::Refused,
            refusal: None,
            generation: None,
        };
        Batch { epoch, sequence, refusals: vec![Refused { note, times: 3, at_ms: 1 }] }
    }

    #[test]
    fn a_batch_is_taken_once_and_says_who_passed_it_on() {
        let heard = Heard::default();
        let (keeper, mut inlet) = mpsc::channel(4);
        assert!(heard.take("b", batch(7, 1), &keeper) && heard.take("b", batch(7, 1), &keeper));
        assert!(heard.take("c", batch(7, 1), &keeper) && heard.take("b", batch(8, 1), &keeper));
        let told: Vec<_> = std::iter::from_fn(|| inlet.try_recv().ok()).collect();
        let by = |refused: &Refused| refused.note.who.as_ref().unwrap().to_string();
        assert_eq!(
            told.iter().map(by).collect::<Vec<_>>(),
            ["ci from 10.0.0.7 via b", "ci from 10.0.0.7 via c", "ci from 10.0.0.7 via b"]
        );
    }

    #[test]
    fn a_batch_that_finds_no_place_is_taken_when_it_comes_again() {
        let heard = Heard::default();
        let (keeper, mut inlet) = mpsc::channel(1);
        assert!(heard.take("b", batch(7, 1), &keeper));
        assert!(!heard.take("b", batch(7, 2), &keeper));
        inlet.try_recv().unwrap();
        assert!(heard.take("b", batch(7, 2), &keeper));
        assert_eq!(inlet.try_recv().unwrap().times, 3);
    }
}
