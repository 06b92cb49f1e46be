//! What a webhook is sent, and how its answer is read. Pure.

use serde::Deserialize;
use serde_json::{Value, json};
use serin_config::{ServiceName, Split, VersionName, Weight, limits::REASON_CHARS_MAX, webhook::When};

use super::{Asked, Question, Said};
use crate::{
    command::plain,
    status::{EarlierRollout, RolloutStatus},
};

/// The rollout that is spoken of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    service: &'a ServiceName,
    rollout: u64,
    started_ms: u64,
    canary: &'a VersionName,
    stable: &'a VersionName,
    summary: &'a str,
    /// The shares of its steps; none of one that is over and was followed by another.
    steps: Option<&'a [Weight]>,
    /// For each of its steps, of what share the canary gets copies; empty where no step copies.
    mirrors: &'a [Weight],
    /// The canary's share at this moment; none as above.
    present: Option<Weight>,
}

impl<'a> Subject<'a> {
    pub(crate) fn of(service: &'a ServiceName, rollout: &'a RolloutStatus) -> Self {
        Self {
            service,
            rollout: rollout.id,
            started_ms: rollout.started_ms,
            canary: &rollout.canary,
            stable: &rollout.stable,
            summary: &rollout.summary,
            steps: Some(&rollout.steps),
            mirrors: &rollout.mirrors,
            present: Some(rollout.weight),
        }
    }

    pub(crate) fn of_earlier(service: &'a ServiceName, rollout: &'a EarlierRollout) -> Self {
        Self {
            service,
            rollout: rollout.id,
            started_ms: rollout.started_ms,
            canary: &rollout.canary,
            stable: &rollout.stable,
            summary: &rollout.summary,
            steps: None,
            mirrors: &[],
            present: None,
        }
    }

    /// By what a question is known again, whoever asks it and however often: other installations have other ones.
    pub(crate) fn id(&self, step: usize, when: When) -> String {
        format!("serin-{}-{}-{}-{}", self.started_ms, self.rollout, step + 1, when.label())
    }

    /// The canary's share in a split.
    pub(crate) fn share_in(&self, split: &Split) -> Weight {
        split.of(self.canary)
    }

    /// What is the same in all that is said of a step.
    pub(crate) fn body(&self, step: usize, when: When) -> Value {
        json!({
            "id": self.id(step, when),
            "when": when,
            "service": self.service,
            "rollout": self.rollout,
            "canary": self.canary,
            "stable": self.stable,
            "step": step + 1,
            "steps": self.steps.map(<[_]>::len),
            "weight": self.steps.and_then(|steps| steps.get(step)),
            "mirror": self.mirrors.get(step).filter(|share| **share > Weight::ZERO),
            "present": self.present,
            "state": self.summary,
        })
    }
}

/// The body of one call.
pub(crate) fn body(question: &Question, asked: &Asked, subject: &Subject<'_>) -> Vec<u8> {
    let mut body = subject.body(question.step, question.when);
    body["webhook"] = json!(question.webhook);
    body["try"] = json!(asked.tries.saturating_add(1));
    body.to_string().into_bytes()
}

/// What an answer of success may say.
#[derive(Deserialize)]
struct Answer {
    decision: String,
    #[serde(default)]
    reason: String,
}

/// Reads an answer of success. One that has no decision allows: whoever only knows statuses has said so.
pub(crate) fn read(answer: &[u8]) -> Said {
    let value = serde_json::from_slice::<Value>(answer).unwrap_or_default();
    if value.get("decision").is_none() {
        return Said::Allow;
    }
    let wrong = || Said::Failed("its decision is none of allow, deny and wait, or its reason no text".into());
    let Ok(Answer { decision, reason }) = serde_json::from_value(value) else { return wrong() };
    let reason = plain(&reason, REASON_CHARS_MAX);
    match decision.as_str() {
        "allow" => Said::Allow,
        "deny" => Said::Deny(reason),
        "wait" => Said::Wait(reason),
        _ => wrong(),
    }
}
