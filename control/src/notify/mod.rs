//! Telling people and their tools of decisions, and webhooks of steps that are over.
//!
//! The journal is the outbox: it is durable, in order, and written in the transaction that makes a decision true. So
//! all that must be kept for somebody who is told is how far, one number, stored as a fact. After a crash, and under
//! a new leader, telling goes on behind it: each decision is told at least once, in order, and none twice but where a
//! crash came between the telling and the number. Whoever is told can tell those apart by the decision's number.
//!
//! Each has a task of its own, away from the keeper's thread. What can't be told is tried again, ever less
//! often; one that is too far behind skips what is oldest, which is counted. Nothing here can hold a decision up. A
//! changed file ends the tasks of those that it changes, and begins them anew behind what was told.

mod addressee;
mod form;
mod message;
mod teller;
#[cfg(test)]
mod tests;
mod trouble;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use serin_config::{notification::Recipient, terms::Terms, webhook::When};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    access::Access,
    post::Client,
    store::{FactChanges, Facts},
};
use addressee::Addressee;

/// The beginning of the names of the stored facts.
const FACTS: &str = "told/";

/// How far each was told, by name: the sequence of the last decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told(pub BTreeMap<String, u64>);

impl Told {
    /// What is stored.
    pub fn of_facts(facts: &Facts) -> Self {
        let told = facts
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(FACTS)?.to_owned(), value.as_u64()?)));
        Self(told.collect())
    }

    /// Notes how far one was told; gives what must be stored.
    pub fn note(&mut self, name: &str, sequence: u64) -> FactChanges {
        self.0.insert(name.to_owned(), sequence);
        FactChanges::from([(format!("{FACTS}{name}"), Some(Value::from(sequence)))])
    }
}

/// Who is to be told, as the file says it at present.
pub(crate) struct Wanted {
    pub(crate) recipients: watch::Receiver<Vec<Recipient>>,
    pub(crate) terms: watch::Receiver<Arc<Terms>>,
}

impl Wanted {
    fn all(&mut self) -> Vec<Addressee> {
        let recipients = self.recipients.borrow_and_update().clone();
        let terms = self.terms.borrow_and_update().clone();
        let webhooks = terms.webhooks.iter().filter(|webhook| webhook.on.contains(&When::AfterStep));
        let webhooks = webhooks.cloned().map(Addressee::AfterStep);
        recipients.into_iter().map(Addressee::Recipient).chain(webhooks).collect()
    }

    /// Until something is new; false where nothing will be.
    async fn changed(&mut self) -> bool {
        tokio::select! {
            changed = self.recipients.changed() => changed.is_ok(),
            changed = self.terms.changed() => changed.is_ok(),
        }
    }
}

/// Begins to tell everybody, until stopped.
pub(crate) fn start(
    mut wanted: Wanted,
    access: &Access,
    client: &Arc<Client>,
    stopped: &watch::Receiver<bool>,
) {
    let (access, client, mut stopped) = (access.clone(), client.clone(), stopped.clone());
    tokio::spawn(async move {
        let mut running: Vec<(Addressee, Task)> = Vec::new();
        loop {
            let now = wanted.all();
            running.retain(|(addressee, _)| now.contains(addressee));
            for addressee in now {
                if running.iter().all(|(other, _)| *other != addressee) {
                    let teller = teller::Teller::new(addressee.clone(), access.clone(), client.clone());
                    running.push((addressee, Task(tokio::spawn(teller.run()))));
                }
            }
            tokio::select! {
                true = wanted.changed() => {}
                _ = stopped.wait_for(|stop| *stop) => return,
                else => return,
            }
        }
    });
}

/// A task that ends with whoever holds it.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
