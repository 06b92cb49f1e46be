//! What the steps of a rollout took: how long, how many requests, and what each waited for.
//!
//! After each second it is noted what keeps the step from passing, by the names that verdicts use. A step usually
//! waits for several things at once, so the seconds of its reasons add up to more than its own; the ones that were
//! there in the last second are what it waited for in the end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serin_config::{Weight, limits::STEPS_MAX};
use serin_judge::Verdict;

use crate::rollout::{HeldFor, Rollout, State};

/// The steps so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Course {
    /// Each once, in order.
    pub steps: Vec<Stage>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Which, from zero.
    pub step: usize,
    /// The canary's share at it, unless it was lowered.
    pub weight: Weight,
    /// The share of the stable version's requests that it got copies of; absent at a step with users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Weight>,
    /// Seconds since the rollout's start at which it began; only those that were watched count.
    pub began: u64,
    /// How many seconds it was watched.
    pub seconds: u64,
    /// Requests of the canary that were judged in it, or copies.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// What kept it from passing, and for how many seconds.
    pub waited: BTreeMap<String, u64>,
    /// What kept it from passing in the last second before it ended.
    pub last: Vec<String>,
    /// How it ended; none while it lasts.
    pub end: Option<String>,
}

/// The name for a share that was lowered and is not yet back.
pub const LOWERED: &str = "lowered";
/// The name for a webhook that had to allow the next step first.
pub const WEBHOOK: &str = "webhook";

impl Course {
    /// Follows the rollout to its present state, after so many seconds.
    pub(super) fn follow(&mut self, rollout: &Rollout, changed: bool, seconds: u64) {
        let present = rollout.state.step();
        if let Some(last) = self.steps.last_mut()
            && Some(last.step) != present
            && last.end.is_none()
        {
            last.end = Some(end(rollout.state));
        }
        let (Some(step), true) = (present, changed || self.steps.is_empty()) else { return };
        if self.steps.last().is_none_or(|last| last.step != step) && self.steps.len() < STEPS_MAX {
            self.steps.push(Stage {
                step,
                weight: rollout.weights.get(step).copied().unwrap_or(Weight::ZERO),
                mirror: rollout.mirrors.get(step).copied().filter(|share| *share > Weight::ZERO),
                began: seconds,
                seconds: 0,
                requests: 0,
                failed: 0,
                waited: BTreeMap::new(),
                last: Vec::new(),
                end: None,
            });
        }
    }

    /// Takes the verdict after so many seconds; the same number of seconds again says nothing new.
    pub(super) fn note(&mut self, rollout: &Rollout, verdict: &Verdict, seconds: u64) {
        let Some(stage) = self.steps.last_mut().filter(|stage| Some(stage.step) == rollout.state.step())
        else {
            return;
        };
        let new = seconds.saturating_sub(stage.began).saturating_sub(stage.seconds);
        if new == 0 {
            return;
        }
        stage.seconds += new;
        let canary = verdict.step.failures.canary;
        (stage.requests, stage.failed) = (canary.requests, canary.bad);
        let mut reasons: Vec<String> = verdict.lacking.iter().filter_map(name).collect();
        reasons.extend((rollout.halvings > 0).then(|| LOWERED.to_owned()));
        let asked = matches!(rollout.state, State::Held { why: HeldFor::Webhook, .. });
        reasons.extend(asked.then(|| WEBHOOK.to_owned()));
        if !reasons.is_empty() {
            reasons.sort();
            reasons.dedup();
            for reason in &reasons {
                *stage.waited.entry(reason.clone()).or_default() += new;
            }
            stage.last = reasons;
        }
    }
}

/// The name that a reason has in a verdict.
fn name(lacking: &serin_judge::Lacking) -> Option<String> {
    let lacking = serde_json::to_value(lacking).ok()?;
    lacking.get("reason")?.as_str().map(str::to_owned)
}

fn end(state: State) -> String {
    match state.step() {
        Some(step) => format!("on to step {}", step + 1),
        None => state.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures::weight, samples::begun};
    use serin_judge::{Evidence, Lacking};

    fn verdict() -> Verdict {
        let policy = crate::fixtures::policy();
        Evidence::new(&policy).verdict(&policy.steps[0], std::time::Duration::ZERO)
    }

    #[test]
    fn a_step_knows_how_long_it_took_and_what_it_waited_for_last() {
        let mut course = Course::default();
        let first = begun();
        course.follow(&first, true, 0);
        let mut lacking = verdict();
        assert!(lacking.lacking.len() > 1, "{lacking:?}");
        for second in 1..=7 {
            course.note(&first, &lacking, second);
            course.note(&first, &lacking, second);
        }
        lacking.lacking = vec![Lacking::Soak { have: 7, need: 10 }];
        for second in 8..=10 {
            course.note(&first, &lacking, second);
        }
        let second = Rollout { state: State::Running { step: 1 }, ..first };
        course.follow(&second, true, 10);
        let [stage, next] = course.steps.as_slice() else { panic!("{course:?}") };
        assert_eq!((stage.began, stage.seconds, stage.weight), (0, 10, weight("10%")));
        assert_eq!((stage.waited["no_canary_traffic"], stage.waited["soak"]), (7, 3));
        assert_eq!(
            (stage.last.as_slice(), stage.end.as_deref()),
            (["soak".to_owned()].as_slice(), Some("on to step 2"))
        );
        assert_eq!((next.step, next.began, next.end.as_deref()), (1, 10, None));
    }

    #[test]
    fn a_step_that_waited_for_a_webhook_says_so() {
        let mut course = Course::default();
        let first = begun();
        course.follow(&first, true, 0);
        let held = Rollout { state: State::Held { step: 0, why: HeldFor::Webhook }, ..first };
        let passed = Verdict { lacking: vec![], ..verdict() };
        course.note(&held, &passed, 4);
        assert_eq!(
            (course.steps[0].waited["webhook"], course.steps[0].last.as_slice()),
            (4, ["webhook".to_owned()].as_slice())
        );
    }

    #[test]
    fn the_last_step_ends_with_the_rollout() {
        let mut course = Course::default();
        let first = begun();
        course.follow(&first, true, 0);
        let out =
            Rollout { state: State::RolledBack { why: crate::rollout::RolledBackFor::Evidence }, ..first };
        course.follow(&out, true, 3);
        assert_eq!(course.steps.len(), 1);
        assert_eq!(course.steps[0].end.as_deref(), Some("rolled back on evidence"));
    }
}
