//! One rollout, watched: its evidence, and the clock of its present step.
//!
//! Two things here are easy to get wrong. A window counted under an older plan than the step's still holds
//! both versions over the same seconds, so it is evidence; but it must not count for the step's own number of
//! requests. Hence a step's totals begin with the first window that the step's plan was in force for. And the
//! clock of a step runs only while somebody watches: neither a pause nor the time during which the control
//! plane was down may run a step out of its time.
//!
//! And evidence grows old. Where no window comes at all, because the proxies hang or can't be reached, what was
//! seen before must not carry a rollout on: neither a pass nor a timeout moves a weight then, the step is held.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serin_config::{
    Service,
    policy::{ErrorWeights, OnTimeout, Step},
    wire::WindowReport,
};
use serin_judge::{Evidence, Lacking, State as Judged, Verdict, Window};

use crate::rollout::{Event, HeldFor, Rollout, State};

/// How long a window may be under way before its absence is taken for an absence of traffic: proxies report
/// each second, and a step may be that short.
const WINDOW_WAIT_MS: u64 = 5_000;

/// What is stored of a watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The rollout that it belongs to.
    pub rollout: u64,
    /// The step that its clock and totals belong to.
    pub step: usize,
    /// Whether the step's totals have begun.
    pub counting: bool,
    /// How long the step was watched, in milliseconds.
    pub elapsed_ms: u64,
    /// The evidence of the whole rollout.
    pub evidence: Evidence,
}

/// The running evidence of one rollout.
#[derive(Debug, Clone)]
pub struct Watch {
    kept: Checkpoint,
    seen_ms: u64,
    /// When the last window came, or when the watch began.
    heard_ms: u64,
}

/// What the judge says at one moment, and what it means for the rollout.
#[derive(Debug)]
pub struct Look {
    /// The verdict.
    pub verdict: Verdict,
    /// What it makes happen, with the reason in words.
    pub event: Option<(Event, String)>,
}

impl Watch {
    /// Begins to watch, or goes on from what was stored of this very rollout and step.
    pub fn new(rollout: &Rollout, service: &Service, stored: Option<Checkpoint>, now_ms: u64) -> Self {
        let fresh = || Checkpoint {
            rollout: rollout.id,
            step: 0,
            counting: false,
            elapsed_ms: 0,
            evidence: Evidence::new(&service.rollout),
        };
        let kept = stored.filter(|stored| stored.rollout == rollout.id).unwrap_or_else(fresh);
        let mut watch = Self { kept, seen_ms: now_ms, heard_ms: now_ms };
        watch.follow(rollout, rollout, now_ms);
        watch
    }

    /// Follows the rollout from one state to the next: a new step begins its totals and its clock anew, and a
    /// step that is resumed after it ran out of time gets its time again.
    pub fn follow(&mut self, before: &Rollout, after: &Rollout, now_ms: u64) {
        self.run_clock(before.state, now_ms);
        let again = matches!((before.state, after.state), (State::Held { .. }, State::Running { .. }));
        if let Some(step) = after.state.step().filter(|step| *step != self.kept.step) {
            (self.kept.step, self.kept.counting, self.kept.elapsed_ms) = (step, false, 0);
        } else if again {
            self.kept.elapsed_ms = 0;
        }
    }

    /// Takes one second of one proxy's counts; those from before the rollout are not its evidence.
    pub fn observe(&mut self, rollout: &Rollout, report: &WindowReport, now_ms: u64) {
        self.heard_ms = self.heard_ms.max(now_ms);
        if report.generation < rollout.start_generation {
            return;
        }
        if !self.kept.counting && report.generation >= rollout.step_generation {
            self.kept.counting = true;
            self.kept.evidence.begin_step();
        }
        let window = Window::gather(
            &report.cells,
            &rollout.service,
            &rollout.canary,
            &rollout.stable,
            &ErrorWeights::default(),
        );
        self.kept.evidence.observe(&window);
    }

    /// Looks at the evidence. `step` is the step of the policy at which the rollout stands.
    pub fn look(&mut self, rollout: &Rollout, service: &Service, now_ms: u64) -> Option<Look> {
        self.run_clock(rollout.state, now_ms);
        let step = rollout.state.step().and_then(|step| service.rollout.steps.get(step))?;
        let verdict = self.kept.evidence.verdict(step, Duration::from_millis(self.kept.elapsed_ms));
        let event = self.event(rollout.state, service, step, &verdict);
        Some(Look { verdict, event })
    }

    fn event(
        &self,
        state: State,
        service: &Service,
        step: &Step,
        verdict: &Verdict,
    ) -> Option<(Event, String)> {
        let blind = self.seen_ms.saturating_sub(self.heard_ms) > WINDOW_WAIT_MS;
        let traffic = self.kept.counting && verdict.step.failures.canary.requests > 0 && !blind;
        let wait_ms = if self.kept.counting { 0 } else { WINDOW_WAIT_MS };
        let out_of_time =
            u128::from(self.kept.elapsed_ms) >= step.max_duration.as_millis() + u128::from(wait_ms);
        let promotes = service.rollout.on_timeout == OnTimeout::Promote;
        let moves = matches!(state, State::Running { .. } | State::Held { .. });
        match (verdict.state, state) {
            (Judged::Fail, _) => Some((Event::Fail, "a guard failed".into())),
            (Judged::Pass, _) if self.kept.counting && moves && !blind => {
                Some((Event::Pass, format!("step {} passed", self.kept.step + 1)))
            }
            (_, State::Held { why: HeldFor::Traffic, .. }) if traffic => {
                Some((Event::TrafficSeen, "the canary has traffic".into()))
            }
            (_, State::Running { .. }) if out_of_time && promotes && traffic && is_doubtful(verdict) => None,
            (_, State::Running { step: number }) if out_of_time => {
                let after = format!("step {} was not decided within {:?}", number + 1, step.max_duration);
                Some(if traffic {
                    (Event::TimedOut(service.rollout.on_timeout), after)
                } else {
                    let what = if blind { "no proxy reports" } else { "the canary had no traffic" };
                    (Event::TimedOutWithoutTraffic, format!("{after}: {what}"))
                })
            }
            _ => None,
        }
    }

    fn run_clock(&mut self, state: State, now_ms: u64) {
        if matches!(state, State::Running { .. } | State::Held { .. }) {
            self.kept.elapsed_ms += now_ms.saturating_sub(self.seen_ms);
        }
        self.seen_ms = self.seen_ms.max(now_ms);
    }

    /// The rollout that is watched.
    pub fn rollout(&self) -> u64 {
        self.kept.rollout
    }

    /// What to store of it.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.kept
    }
}

/// Whether there is something against the canary, though not enough to take it out. A step that ran out of
/// time then waits on, even if the policy says `promote`: a weight never rises into a suspicion.
fn is_doubtful(verdict: &Verdict) -> bool {
    verdict.lacking.iter().any(|lacking| {
        matches!(
            lacking,
            Lacking::Suspect { .. } | Lacking::OverLimit { .. } | Lacking::BothVersionsBreach { .. }
        )
    })
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
