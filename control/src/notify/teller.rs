//! One recipient's task: what it was not told yet, in order.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use serin_config::{
    limits::{NOTIFICATION_RETRY_MAX, NOTIFICATION_RETRY_MIN, NOTIFICATIONS_BEHIND_MAX},
    notification::{Recipient, Severity},
};
use tokio::{sync::watch, time::sleep};
use tracing::{info, warn};

use super::{client::Client, form, message::severity};
use crate::{
    access::Access,
    command::{Actor, Command, Request},
    journal::Entry,
    metrics,
};

/// Decisions that are read at once.
const BATCH: usize = 100;

/// Tells one recipient.
pub(super) struct Teller {
    pub(super) recipient: Recipient,
    pub(super) access: Access,
    pub(super) client: Arc<Client>,
}

impl Teller {
    /// Tells until stopped.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.tell_all() => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    }

    async fn tell_all(&self) {
        let mut news = self.access.status.clone();
        // How far it was told here: what is stored may be behind, while nothing can be stored.
        let mut here = 0;
        loop {
            // Only who leads tells. Others may have led, and told, meanwhile.
            if self.access.standing.now().leads() {
                here = self.catch_up(here).await;
            } else {
                here = 0;
            }
            if news.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells what was not told yet, and stores how far that is; gives it.
    async fn catch_up(&self, here: u64) -> u64 {
        let journal = &self.access.journal;
        let name = &self.recipient.name;
        let Some(told) = self.access.status().told.0.get(name).copied() else {
            // What was decided before it was named is no news.
            let last = if here > 0 { here } else { journal.last() };
            self.note(last).await;
            return last;
        };
        let last = journal.last();
        // Decisions that could not be stored may have been taken back: their numbers are given again.
        let mut told = told.max(here).min(last);
        let oldest = last.saturating_sub(NOTIFICATIONS_BEHIND_MAX);
        if told < oldest {
            let skipped = oldest - told;
            warn!(recipient = %name, skipped, "decisions are not told any more: too many wait");
            metrics::notifications(name, "skipped", skipped);
            told = oldest;
        }
        let entries = journal.after(told, BATCH);
        let Some(newest) = entries.last().map(|entry| entry.sequence) else { return told };
        for entry in &entries {
            if let Some(severity) = self.wanted(entry)
                && !self.tell(entry, severity).await
            {
                // Nobody leads here any more.
                return told;
            }
            told = entry.sequence;
        }
        self.note(newest).await;
        newest
    }

    fn wanted(&self, entry: &Entry) -> Option<Severity> {
        let services = &self.recipient.services;
        let own = services.is_empty() || entry.service.as_ref().is_none_or(|name| services.contains(name));
        severity(entry).filter(|severity| own && *severity >= self.recipient.from)
    }

    /// Tells of one decision, however often that takes; false where another control plane is to do it.
    async fn tell(&self, entry: &Entry, severity: Severity) -> bool {
        let name = &self.recipient.name;
        let mut wait = NOTIFICATION_RETRY_MIN;
        loop {
            let Err(failure) = self.post(entry, severity).await else {
                metrics::notifications(name, "told", 1);
                return true;
            };
            metrics::notifications(name, "failed", 1);
            if !failure.passes() {
                warn!(recipient = %name, decision = entry.sequence, "not told, and not tried again: {failure}");
                return true;
            }
            info!(recipient = %name, decision = entry.sequence, "not told yet: {failure}");
            sleep(wait).await;
            wait = next_wait(wait);
            if !self.access.standing.now().leads() {
                return false;
            }
            let behind = self.access.journal.last().saturating_sub(entry.sequence);
            if behind > NOTIFICATIONS_BEHIND_MAX {
                metrics::notifications(name, "skipped", 1);
                return true;
            }
        }
    }

    async fn post(&self, entry: &Entry, severity: Severity) -> Result<(), super::client::Failure> {
        // The same whoever leads, and another one in every other installation.
        let id = format!("serin-{}-{}", entry.at_ms, entry.sequence);
        let body = form::body(&self.recipient, entry, severity, &id);
        let mut headers = Vec::new();
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.push((HeaderName::from_static("idempotency-key"), id));
        }
        if let Some(key) = &self.recipient.key {
            let signature = form::signature(key.expose(), self.access.clock.now_ms() / 1_000, &body);
            if let Ok(signature) = HeaderValue::from_str(&signature) {
                headers.push((HeaderName::from_static(form::SIGNATURE), signature));
            }
        }
        self.client.post(&self.recipient.url, body, &headers).await
    }

    /// Stores how far it was told. What can't be stored now is with the next one.
    async fn note(&self, sequence: u64) {
        let recipient = self.recipient.name.clone();
        let request = Request::new(Command::Told { recipient, sequence }, Actor::Judge, "");
        if let Err(error) = self.access.command(request).await {
            info!(recipient = %self.recipient.name, "how far it was told is not stored yet: {error}");
            sleep(NOTIFICATION_RETRY_MIN).await;
        }
    }
}

fn next_wait(wait: Duration) -> Duration {
    (wait * 2).min(NOTIFICATION_RETRY_MAX)
}
