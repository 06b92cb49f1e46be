//! Who is told of decisions, as it is written.

use serde_json::{Value, json};

use super::{
    decode::{Fault, Leaf, List},
    leaf::{SecretSource, choice_leaf},
    mail::Mail,
    record::record,
};
use crate::{
    name::ServiceName,
    notification::{Form, Severity, Url},
    problem::{nearest, shown},
};

record! {
    /// Somebody who is told of decisions: at least once, and in their order.
    pub struct Recipient {
        /// Where: a URL such as http://127.0.0.1:9093/api/v2/alerts. One that holds a secret is not written here but found:
        /// "${NAME}" for an environment variable, "${file:PATH}" for a file. This or email is needed.
        @ url: UrlSource,
        /// By e-mail, instead of url: over which server, by whom and to whom.
        @ email: Mail,
        /// In which form: webhook (the decision as JSON), slack (a text) or alertmanager (an alert, version 2 of its API).
        /// Default: webhook.
        @ form: Form,
        /// Of which decisions: info (all), warning (also where a rollout waits, or its share was lowered) or critical (a
        /// canary was taken out, or can't be). Default: warning.
        @ from: Severity,
        /// Of decisions on which services. Default: all.
        @ services: List<ServiceName>,
        /// The file (PEM) of the certificates that may sign that of an https URL. Default: the system's.
        @ ca: String,
        /// What signs the body of a webhook, with its time: "${NAME}" or "${file:PATH}". Default: nothing is signed.
        @ key: SecretSource,
    }
}

/// A URL, or where one is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlSource {
    /// It.
    Clear(Url),
    /// It is a secret.
    Secret(SecretSource),
}

/// What is said of a text that is no URL.
pub(crate) const URL_FORM: &str = "write http://HOST/PATH or https://HOST/PATH, or \"${NAME}\" or \"${file:PATH}\" where the URL is a secret";

impl Leaf for UrlSource {
    const EXPECTED: &'static str = "a URL, or \"${NAME}\"";
    const SECRET: bool = true;
    fn read(text: &str) -> Result<Self, Fault> {
        if text.contains("${") {
            return SecretSource::read(text).map(Self::Secret);
        }
        // It may hold a secret all the same, so it is not repeated.
        Url::try_new(text).map(Self::Clear).ok_or_else(|| Fault::new("this is not a URL", URL_FORM))
    }
    fn schema() -> Value {
        json!({ "type": "string", "examples": ["http://127.0.0.1:9093/api/v2/alerts", "${SLACK_URL}"] })
    }
}

choice_leaf!(
    Form,
    "webhook, slack or alertmanager",
    "a form of notifications",
    [("webhook", Self::Webhook), ("slack", Self::Slack), ("alertmanager", Self::Alertmanager)]
);
choice_leaf!(
    Severity,
    "info, warning or critical",
    "a severity",
    [("info", Self::Info), ("warning", Self::Warning), ("critical", Self::Critical)]
);
