//! Webhooks around steps: who was asked what, what came back, and what counts.
//!
//! Two halves, as everywhere. What is asked, when it is asked again, and what an answer or the lack of one means is
//! pure: a set of [`Hooks`] in the planner's state, changed by [`heard`](crate::planner::heard), looked at by the
//! planner where a rollout would go forward. The calls are made by a task of the shell ([`ask`]), which does what the set
//! says and hands back what it [`Said`] as a request to the keeper. So nothing that decides ever waits for a socket.
//!
//! The set is not stored. After a restart, and under a new leader, every question that is open is asked again, with the
//! same id; an answer that was given once is cheap to give again, and a store needs no write for each poll.

mod ask;
pub(crate) mod form;

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serin_config::{
    ServiceName, WebhookName,
    limits::WEBHOOK_RETRY_MIN,
    webhook::{OnFailure, Webhook, When},
};

pub(crate) use ask::start;

/// What is asked of whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Question {
    /// About a rollout of this service.
    pub service: ServiceName,
    /// The rollout's number.
    pub rollout: u64,
    /// About this step, from zero.
    pub step: usize,
    /// At which moment of it.
    pub when: When,
    /// Who is asked.
    pub webhook: WebhookName,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "webhook {} ({} {})", self.webhook, self.when, self.step + 1)
    }
}

/// What came of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Go on.
    Allow,
    /// Don't, for this reason; it may be empty.
    Deny(String),
    /// Not yet, for this reason; it may be empty.
    Wait(String),
    /// Nothing that can be understood: why.
    Failed(String),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, reason) = match self {
            Self::Allow => ("allow", ""),
            Self::Deny(reason) => ("deny", reason.as_str()),
            Self::Wait(reason) => ("wait", reason.as_str()),
            Self::Failed(why) => ("none", why.as_str()),
        };
        if reason.is_empty() { f.write_str(word) } else { write!(f, "{word}: {reason}") }
    }
}

/// What counts of all that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// Nothing goes forward.
    #[default]
    Waits,
    /// It may.
    Allows,
    /// The canary is to go.
    Denies,
}

/// What came of a question so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When it was opened, in milliseconds since 1970.
    pub since_ms: u64,
    /// Calls so far.
    pub tries: u32,
    /// The last of them that failed in a row.
    pub failures: u32,
    /// What came of the last one.
    pub last: Option<Said>,
    /// When it is to be asked again; none where the answer is final.
    pub due_ms: Option<u64>,
    /// What counts.
    pub stands: Stands,
}

impl Asked {
    /// A question that is to be asked now.
    pub fn open(now_ms: u64) -> Self {
        let stands = Stands::default();
        Self { since_ms: now_ms, tries: 0, failures: 0, last: None, due_ms: Some(now_ms), stands }
    }

    /// After one more call.
    #[must_use]
    pub fn heard(&self, webhook: &Webhook, when: When, said: Said, now_ms: u64) -> Self {
        let failures = if matches!(said, Said::Failed(_)) { self.failures.saturating_add(1) } else { 0 };
        let stands = match &said {
            Said::Allow => Stands::Allows,
            Said::Deny(_) => Stands::Denies,
            Said::Wait(_) => Stands::Waits,
            // What was said last counts until it is clear that nothing more will be.
            Said::Failed(_) if failures <= webhook.retries => self.stands,
            Said::Failed(_) => match webhook.on_failure {
                OnFailure::Wait => Stands::Waits,
                OnFailure::Proceed => Stands::Allows,
                OnFailure::Abort => Stands::Denies,
            },
        };
        let pause = match failures {
            0 => webhook.interval,
            _ => WEBHOOK_RETRY_MIN.saturating_mul(1 << (failures - 1).min(16)).min(webhook.interval),
        };
        let is_final = when == When::BeforeStep && stands != Stands::Waits;
        let pause_ms = u64::try_from(pause.max(Duration::from_millis(1)).as_millis()).unwrap_or(u64::MAX);
        Self {
            since_ms: self.since_ms,
            tries: self.tries.saturating_add(1),
            failures,
            last: Some(said),
            due_ms: (!is_final).then(|| now_ms.saturating_add(pause_ms)),
            stands,
        }
    }
}

/// All questions that are open, or were answered and still count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks(pub BTreeMap<Question, Asked>);

impl Hooks {
    /// Whether this is allowed. What was never asked is not.
    pub fn allow(&self, question: &Question) -> bool {
        self.0.get(question).is_some_and(|asked| asked.stands == Stands::Allows)
    }

    /// The questions of one rollout.
    pub fn of(&self, service: &str, rollout: u64) -> impl Iterator<Item = (&Question, &Asked)> {
        let own = move |question: &Question| question.service.as_str() == service;
        self.0.iter().filter(move |(question, _)| own(question) && question.rollout == rollout)
    }

    /// Those that are to be asked at that time.
    pub fn due(&self, now_ms: u64) -> impl Iterator<Item = (&Question, &Asked)> {
        self.0.iter().filter(move |(_, asked)| asked.due_ms.is_some_and(|due| due <= now_ms))
    }
}

/// One question, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookStatus {
    /// Who is asked.
    pub webhook: WebhookName,
    /// At which moment.
    pub when: When,
    /// Of which step, from one.
    pub step: usize,
    /// What counts.
    pub stands: Stands,
    /// Calls so far.
    pub tries: u32,
    /// The last of them that failed in a row.
    pub failures: u32,
    /// What came of the last one.
    pub last: Option<String>,
    /// When it was opened, in milliseconds since 1970.
    pub since_ms: u64,
    /// The same in words.
    pub summary: String,
}

impl HookStatus {
    /// How a question stands.
    pub fn of(question: &Question, asked: &Asked) -> Self {
        let last = asked.last.as_ref().map(ToString::to_string);
        let stands = match asked.stands {
            Stands::Waits => "Waits for",
            Stands::Allows => "Allowed by",
            Stands::Denies => "Denied by",
        };
        let told = match (&last, asked.tries) {
            (Some(last), 1) => format!("asked once, last answer: {last}"),
            (Some(last), tries) => format!("asked {tries} times, last answer: {last}"),
            (None, _) => "not answered yet".into(),
        };
        Self {
            webhook: question.webhook.clone(),
            when: question.when,
            step: question.step + 1,
            stands: asked.stands,
            tries: asked.tries,
            failures: asked.failures,
            last,
            since_ms: asked.since_ms,
            summary: format!("{stands} {question}: {told}."),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
