//! Telling people and their tools of decisions.
//!
//! The journal is the outbox: it is durable, in order, and written in the transaction that makes a decision true. So
//! all that must be kept for a recipient is how far it was told, one number, stored as a fact. After a crash, and under
//! a new leader, telling goes on behind it: each decision is told at least once, in order, and none twice but where a
//! crash came between the telling and the number. Whoever is told can tell those apart by the decision's number.
//!
//! Each recipient has a task of its own, away from the keeper's thread. What can't be told is tried again, ever less
//! often; a recipient that is too far behind skips what is oldest, which is counted. Nothing here can hold a decision up.

mod client;
mod form;
mod message;
mod teller;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use serin_config::{RecipientName, notification::Recipient};
use tokio::sync::watch;

use crate::{
    access::Access,
    store::{FactChanges, Facts},
};

/// The beginning of the names of the stored facts.
const FACTS: &str = "told/";

/// How far each recipient was told: the sequence of the last decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told(pub BTreeMap<RecipientName, u64>);

impl Told {
    /// What is stored.
    pub fn of_facts(facts: &Facts) -> Self {
        let told = facts.iter().filter_map(|(key, value)| {
            let name = RecipientName::try_new(key.strip_prefix(FACTS)?).ok()?;
            Some((name, value.as_u64()?))
        });
        Self(told.collect())
    }

    /// Notes how far one was told; gives what must be stored.
    pub fn note(&mut self, name: &RecipientName, sequence: u64) -> FactChanges {
        self.0.insert(name.clone(), sequence);
        FactChanges::from([(format!("{FACTS}{name}"), Some(Value::from(sequence)))])
    }
}

/// Begins to tell everybody, until stopped.
pub(crate) fn start(recipients: &[Recipient], access: &Access, stopped: &watch::Receiver<bool>) {
    let client = Arc::new(client::Client::new());
    for recipient in recipients {
        let teller =
            teller::Teller { recipient: recipient.clone(), access: access.clone(), client: client.clone() };
        tokio::spawn(teller.run(stopped.clone()));
    }
}
