//! Whom rollouts ask around their steps, as it is written.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    decode::{Fault, Leaf, List},
    leaf::{SecretSource, choice_leaf},
    notification::UrlSource,
    record::record,
};
use crate::{
    name::ServiceName,
    problem::{nearest, shown},
    webhook::{OnFailure, When},
};

record! {
    /// Somebody who is asked, or told, around the steps of rollouts: a gate that stands elsewhere. No rollback ever waits
    /// for it.
    pub struct Webhook {
        /// Where: as in notifications.
        required @ url: UrlSource,
        /// What signs each call, with its time: "${NAME}" or "${file:PATH}". Default: nothing is signed.
        @ key: SecretSource,
        /// The file (PEM) of the certificates that may sign that of an https URL. Default: the system's.
        @ ca: String,
        /// When: before_step (the canary gets the step's share when this is allowed), at_step (asked again and again
        /// during the step, which is not left while it is not allowed; a denial takes the canary out) and after_step
        /// (it is told, and nothing waits). Default: [before_step].
        @ on: List<When>,
        /// In the rollouts of which services. Default: all.
        @ services: List<ServiceName>,
        /// For one call, from 100ms to 60s. Default: 10s.
        @ timeout: Duration,
        /// Tries after one that failed, until on_failure counts; from 0 to 100. Default: 3.
        @ retries: u64,
        /// From an answer until it is asked again, where it is; from 1s to 1h. Default: 10s.
        @ interval: Duration,
        /// What it means that all tries failed: wait (the rollout stays where it is, and the webhook is asked on),
        /// proceed (as if it had allowed) or abort (as if it had denied). Default: wait.
        @ on_failure: OnFailure,
    }
}

choice_leaf!(
    When,
    "before_step, at_step or after_step",
    "a moment of a step",
    [("before_step", Self::BeforeStep), ("at_step", Self::AtStep), ("after_step", Self::AfterStep)]
);
choice_leaf!(
    OnFailure,
    "wait, proceed or abort",
    "a meaning of a failure",
    [("wait", Self::Wait), ("proceed", Self::Proceed), ("abort", Self::Abort)]
);
