//! Who is told, of which decisions, and what: a recipient of notifications, or a webhook of what happens after a step.

use std::sync::Arc;

use serde_json::json;
use serin_config::{
    limits::{MAIL_WAIT, NOTIFICATION_WAIT},
    notification::{Recipient, Way},
    webhook::{Webhook, When},
};

use super::{form, message::severity};
use crate::{
    access::Access,
    hook::form::Subject,
    journal::Entry,
    post::{Client, Failure, Post, headers, mail},
    rollout::{HeldFor, State},
};

/// Who is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Addressee {
    /// Of decisions.
    Recipient(Recipient),
    /// Of steps that are over.
    AfterStep(Webhook),
}

/// What one is told of a decision.
#[derive(Debug)]
pub(super) struct Letter {
    id: String,
    body: Vec<u8>,
}

impl Addressee {
    /// By what it is known in the store, in logs and in metrics. No name has a colon.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Recipient(recipient) => recipient.name.to_string(),
            Self::AfterStep(webhook) => format!("webhook:{}", webhook.name),
        }
    }

    /// What it is told of a decision; none where that does not concern it.
    pub(super) fn letter(&self, entry: &Entry, access: &Access) -> Option<Letter> {
        match self {
            Self::Recipient(recipient) => {
                let services = &recipient.services;
                let own = entry.about().next().is_none() || entry.about().any(|name| services.contains(name));
                let severity = severity(entry).filter(|severity| *severity >= recipient.from)?;
                // The same whoever leads, and another one in every other installation.
                let id = format!("serin-{}-{}", entry.at_ms, entry.sequence);
                if !own && !services.is_empty() {
                    return None;
                }
                let body = match &recipient.way {
                    Way::Http(http) => form::body(http.form, entry, severity, &id),
                    Way::Mail(mail) => form::message(mail, entry, severity, &id).into_bytes(),
                };
                Some(Letter { id, body })
            }
            Self::AfterStep(webhook) => after_step(webhook, entry, access),
        }
    }

    /// Says it, once.
    pub(super) async fn tell(
        &self,
        letter: &Letter,
        client: &Arc<Client>,
        now_ms: u64,
    ) -> Result<(), Failure> {
        let (url, ca, key, wait) = match self {
            Self::Recipient(Recipient { way: Way::Http(to), .. }) => {
                (&to.url, &to.ca, &to.key, NOTIFICATION_WAIT)
            }
            Self::Recipient(Recipient { way: Way::Mail(to), .. }) => {
                let message = String::from_utf8_lossy(&letter.body);
                return mail::send(client, to, &message, MAIL_WAIT).await;
            }
            Self::AfterStep(to) => (&to.url, &to.ca, &to.key, to.timeout),
        };
        let headers = headers(&letter.id, key.as_ref(), now_ms, &letter.body);
        let (ca, body) = (ca.as_deref(), letter.body.clone());
        client.post(Post { url, ca, headers, body, wait, answer: None }).await.map(drop)
    }
}

/// The step that a decision ended, if it ended one: the one at which the rollout was when the decision before left it.
fn after_step(webhook: &Webhook, entry: &Entry, access: &Access) -> Option<Letter> {
    let (service, rollout, state) = (entry.service.as_ref()?, entry.rollout?, entry.state?);
    if !webhook.is_about(service.as_str(), When::AfterStep) {
        return None;
    }
    let earlier = access.journal.newest(Some(service.as_str()), Some(entry.sequence), usize::MAX);
    let before = earlier.iter().find(|earlier| earlier.rollout == Some(rollout))?.state?;
    let step = left(before, state)?;
    let status = access.status();
    let service_status = status.services.get(service)?;
    let present = service_status.rollout.as_ref().filter(|present| present.id == rollout);
    let subject = match present {
        Some(present) => Subject::of(service, present),
        None => {
            let earlier = service_status.earlier.iter().find(|earlier| earlier.id == rollout)?;
            Subject::of_earlier(service, earlier)
        }
    };
    let mut body = subject.body(step, When::AfterStep);
    body["webhook"] = json!(webhook.name);
    body["state"] = json!(state.to_string());
    body["present"] = json!(entry.to.as_ref().map(|split| subject.share_in(split)));
    body["reason"] = json!(entry.reason);
    body["decision"] = json!(entry.sequence);
    Some(Letter { id: subject.id(step, When::AfterStep), body: body.to_string().into_bytes() })
}

/// The step that is over when a rollout goes from one state to another; one that waited to begin had none.
pub(super) fn left(before: State, after: State) -> Option<usize> {
    let began = !matches!(before, State::Held { why: HeldFor::Start, .. });
    before.step().filter(|step| began && Some(*step) != after.step())
}
