//! One addressee's task: what it was not told yet, in order.

use std::{sync::Arc, time::Duration};

use serin_config::limits::{NOTIFICATION_RETRY_MAX, NOTIFICATION_RETRY_MIN, NOTIFICATIONS_BEHIND_MAX};
use tokio::time::sleep;
use tracing::{info, warn};

use super::{
    addressee::{Addressee, Letter},
    trouble::Trouble,
};
use crate::{
    access::Access,
    command::{Actor, Command, Request},
    metrics,
    post::Client,
};

/// Decisions that are read at once.
const BATCH: usize = 100;

/// Tells one.
pub(super) struct Teller {
    name: String,
    addressee: Addressee,
    access: Access,
    client: Arc<Client>,
    trouble: Trouble,
}

impl Teller {
    pub(super) fn new(addressee: Addressee, access: Access, client: Arc<Client>) -> Self {
        Self { name: addressee.name(), addressee, access, client, trouble: Trouble::default() }
    }

    /// Tells until the task is ended.
    pub(super) async fn run(mut self) {
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
    async fn catch_up(&mut self, here: u64) -> u64 {
        let journal = self.access.journal.clone();
        let name = self.name.clone();
        let Some(told) = self.access.status().told.0.get(&name).copied() else {
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
            metrics::notifications(&name, "skipped", skipped);
            told = oldest;
        }
        let entries = journal.after(told, BATCH);
        let Some(newest) = entries.last().map(|entry| entry.sequence) else { return told };
        for entry in &entries {
            if let Some(letter) = self.addressee.letter(entry, &self.access)
                && !self.tell(entry.sequence, &letter).await
            {
                // Nobody leads here any more.
                return told;
            }
            told = entry.sequence;
        }
        self.note(newest).await;
        newest
    }

    /// Tells of one decision, however often that takes; false where another control plane is to do it.
    async fn tell(&mut self, decision: u64, letter: &Letter) -> bool {
        let name = &self.name;
        let mut wait = NOTIFICATION_RETRY_MIN;
        loop {
            let now_ms = self.access.clock.now_ms();
            let Err(failure) = self.addressee.tell(letter, &self.client, now_ms).await else {
                metrics::notifications(name, "told", 1);
                if self.trouble.is_over() {
                    info!(recipient = %name, decision, "told again");
                }
                return true;
            };
            metrics::notifications(name, "failed", 1);
            if !failure.passes() {
                warn!(recipient = %name, decision, "not told, and not tried again: {failure}");
                return true;
            }
            if self.trouble.again(failure.wants_somebody(), now_ms) {
                warn!(recipient = %name, decision, "not told, and tried again: {failure}");
            } else {
                info!(recipient = %name, decision, "not told yet: {failure}");
            }
            sleep(wait).await;
            wait = next_wait(wait);
            if !self.access.standing.now().leads() {
                return false;
            }
            let behind = self.access.journal.last().saturating_sub(decision);
            if behind > NOTIFICATIONS_BEHIND_MAX {
                metrics::notifications(name, "skipped", 1);
                return true;
            }
        }
    }

    /// Stores how far it was told. What can't be stored now is with the next one.
    async fn note(&self, sequence: u64) {
        let recipient = self.name.clone();
        let request = Request::new(Command::Told { recipient, sequence }, Actor::Judge, "");
        if let Err(error) = self.access.command(request).await {
            info!(recipient = %self.name, "how far it was told is not stored yet: {error}");
            sleep(NOTIFICATION_RETRY_MIN).await;
        }
    }
}

fn next_wait(wait: Duration) -> Duration {
    (wait * 2).min(NOTIFICATION_RETRY_MAX)
}
