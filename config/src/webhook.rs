//! Whom a rollout asks, or tells, around its steps.
//!
//! A webhook is a gate that somebody else keeps: a test that must have run, a change that must be open, an hour in which
//! somebody is there. It can delay and forbid the way forward, never the way back. What its silence means is its own
//! [`OnFailure`], because only who wrote the file knows what stands behind it.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    name::{ServiceName, WebhookName},
    notification::Url,
    secret::Secret,
};

/// Somebody who is asked, or told, around the steps of rollouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub name: WebhookName,
    /// Where it is asked.
    pub url: Url,
    /// What signs what it is sent.
    pub key: Option<Secret>,
    /// The authorities (PEM) by which it is known over TLS; the system's where there are none.
    pub ca: Option<PathBuf>,
    /// When; each once.
    pub on: Vec<When>,
    /// About which services; about all where it is empty.
    pub services: Vec<ServiceName>,
    /// For one call, connection and answer together; from [`WEBHOOK_WAIT_MIN`](crate::limits::WEBHOOK_WAIT_MIN).
    pub timeout: Duration,
    /// Tries after one that failed, until `on_failure` says what it means.
    pub retries: u32,
    /// From an answer until it is asked again; from [`WEBHOOK_INTERVAL_MIN`](crate::limits::WEBHOOK_INTERVAL_MIN).
    pub interval: Duration,
    /// What it means that no try brought an answer.
    pub on_failure: OnFailure,
}

/// A moment of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before the canary gets the step's share. It gets it when this is allowed.
    BeforeStep,
    /// While the canary has the step's share, again and again. The step is not left while this is not allowed, and
    /// forbidden it takes the canary out.
    AtStep,
    /// When the step is over, however it ended. Nothing waits for the answer.
    AfterStep,
}

impl When {
    /// As the file says it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::BeforeStep => "before_step",
            Self::AtStep => "at_step",
            Self::AfterStep => "after_step",
        }
    }
}

/// The moment in words, to be followed by the step's number.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeStep => "before step",
            Self::AtStep => "at step",
            Self::AfterStep => "after step",
        })
    }
}

/// What it means that a webhook can't be asked: it is not reached, is late, or answers with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The rollout stays where it is, and it is asked on.
    #[default]
    Wait,
    /// As if it had allowed.
    Proceed,
    /// As if it had forbidden.
    Abort,
}

impl OnFailure {
    /// As the file says it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Proceed => "proceed",
            Self::Abort => "abort",
        }
    }
}

impl Webhook {
    /// Whether it is asked, or told, of this service at that moment.
    pub fn is_about(&self, service: &str, when: When) -> bool {
        let own = self.services.is_empty() || self.services.iter().any(|name| name.as_str() == service);
        own && self.on.contains(&when)
    }
}
