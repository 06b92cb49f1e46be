//! From a verdict to what happens to the rollout.
//!
//! A verdict says what is proven; what follows from it depends on the step's time, on whether anybody still reports,
//! and on the policy. The order is that of the harm: first what takes the canary out, then what lowers its share or
//! holds it, and only then what lets it go on.

use serin_config::{
    Service,
    policy::{OnFail, OnTimeout, Step, Strategy, Until},
    wire::TripCause,
};
use serin_judge::{Advice, Guard, Lacking, State as Judged, Verdict};

use super::Watch;
use crate::rollout::{Event, HeldFor, Rollout, State};

/// How long a window may be under way before its absence is taken for an absence of traffic: proxies report
/// each second, and a step may be that short.
const WINDOW_WAIT_MS: u64 = 5_000;

impl Watch {
    pub(super) fn event(
        &self,
        rollout: &Rollout,
        service: &Service,
        step: &Step,
        verdict: &Verdict,
    ) -> Option<(Event, String)> {
        let state = rollout.state;
        let blind = self.seen_ms.saturating_sub(self.heard_ms) > WINDOW_WAIT_MS;
        if verdict.state == Judged::Fail && self.acts_on(verdict, service, step) {
            return failed(verdict, service, step, state);
        }
        if let Some(event) = self.kept.mounting.event(rollout, &service.rollout.actions) {
            return Some(event);
        }
        let moves = matches!(state, State::Running { .. } | State::Held { .. });
        let passed = verdict.state == Judged::Pass && self.kept.counting && moves && !blind;
        if passed && rollout.halvings == 0 {
            return self.passed(state, step, verdict);
        }
        let traffic = self.kept.counting && verdict.step.failures.canary.requests > 0 && !blind;
        if traffic && matches!(state, State::Held { why: HeldFor::Traffic, .. }) {
            return Some((Event::TrafficSeen, "the canary has traffic".into()));
        }
        // What has passed, or will when it is old enough, waits for nothing that a timeout could settle.
        let soaks = |lacking: &Lacking| matches!(lacking, Lacking::Soak { .. });
        let good = moves && self.kept.counting && !blind && verdict.lacking.iter().all(soaks);
        if good { None } else { self.timeout(rollout, service, step, verdict, (traffic, blind)) }
    }

    /// Whether a failing verdict does anything: evidence ends no A/B test before its time. What it may cost is no
    /// question of evidence.
    fn acts_on(&self, verdict: &Verdict, service: &Service, step: &Step) -> bool {
        let spent = matches!(verdict.culprit, Some(Guard::FailedRequests | Guard::AddedLatency));
        let over = u128::from(self.kept.elapsed_ms) >= step.min_duration.as_millis();
        service.rollout.strategy != Strategy::Ab || spent || over
    }

    fn passed(&self, state: State, step: &Step, verdict: &Verdict) -> Option<(Event, String)> {
        let number = self.kept.step + 1;
        let requests = verdict.step.failures.canary.requests;
        let (event, passed) = match step.until {
            Until::Pass => (Event::Pass, format!("step {number} passed")),
            Until::Time if requests == 0 => (
                Event::ClockOver { traffic: verdict.canary.requests > 0 },
                format!(
                    "the time of step {number} is over; the canary had no request in it, so nothing was judged"
                ),
            ),
            Until::Time => (
                Event::ClockOver { traffic: true },
                format!(
                    "the time of step {number} is over, and none of its guards failed over the canary's requests in it ({requests})"
                ),
            ),
        };
        match state {
            // Somebody was told already.
            State::Held { why: HeldFor::Approval, .. } => None,
            _ if step.approval && !matches!(state, State::Held { why: HeldFor::Group, .. }) => {
                Some((Event::AwaitApproval, format!("{passed}, and waits for an approval")))
            }
            _ => Some((event, passed)),
        }
    }

    fn timeout(
        &self,
        rollout: &Rollout,
        service: &Service,
        step: &Step,
        verdict: &Verdict,
        (traffic, blind): (bool, bool),
    ) -> Option<(Event, String)> {
        let number = match rollout.state {
            State::Running { step } => step,
            // A timeout that promotes had to wait for a webhook, and is asked about until it need not.
            State::Held { step, why: HeldFor::Webhook }
                if service.rollout.on_timeout == OnTimeout::Promote =>
            {
                step
            }
            _ => return None,
        };
        let wait_ms = if self.kept.counting { 0 } else { WINDOW_WAIT_MS };
        let limit_ms = step.max_duration.as_millis() + u128::from(wait_ms);
        if u128::from(self.kept.elapsed_ms) < limit_ms {
            return None;
        }
        let policy = &service.rollout;
        if policy.on_timeout == OnTimeout::Promote && traffic && is_held(verdict) {
            return None;
        }
        let after = format!("step {} was not decided within {:?}", number + 1, step.max_duration);
        Some(if traffic && policy.on_timeout == OnTimeout::Promote && step.approval {
            (Event::AwaitApproval, format!("{after}, and waits for an approval"))
        } else if traffic {
            (Event::TimedOut(policy.on_timeout), after)
        } else {
            let what = if blind { "no proxy reports" } else { "the canary had no traffic" };
            (Event::TimedOutWithoutTraffic, format!("{after}: {what}"))
        })
    }
}

/// What takes the canary out, and by which guard; or what holds it where it is, once.
fn failed(verdict: &Verdict, service: &Service, step: &Step, state: State) -> Option<(Event, String)> {
    let (event, what) = culprit(verdict);
    match &service.rollout.on_fail {
        OnFail::RollBack => Some((event, what)),
        // What has no users can be taken from none.
        OnFail::Hold { .. } if step.mirror.is_some() => Some((event, what)),
        OnFail::Hold { .. } if matches!(state, State::Held { why: HeldFor::Unsafe, .. }) => None,
        OnFail::Hold { reason } => Some((
            Event::FailUnsafe,
            format!("{what}; going back is held as unsafe ({reason}): abort, or promote, by hand"),
        )),
    }
}

fn culprit(verdict: &Verdict) -> (Event, String) {
    let route = verdict.route.as_ref().map(|route| format!(" on route {route}")).unwrap_or_default();
    match verdict.culprit {
        Some(Guard::FailedRequests) => {
            (Event::Trip(TripCause::FailedRequests), "the rollout's bound on failed requests is spent".into())
        }
        Some(Guard::AddedLatency) => {
            (Event::Trip(TripCause::AddedLatency), "the rollout's bound on added latency is spent".into())
        }
        Some(guard) => (Event::Fail, format!("guard {guard} failed{route}")),
        None => (Event::Fail, format!("a guard failed{route}")),
    }
}

/// Whether the judge wants the weight to stay although the step ran out of time, even if the policy says
/// `promote`: it never rises into a suspicion, nor to everything before the soak is over.
fn is_held(verdict: &Verdict) -> bool {
    let young = verdict.lacking.iter().any(|lacking| matches!(lacking, Lacking::Soak { .. }));
    young || matches!(verdict.advice, Advice::Hold { .. } | Advice::Lower)
}
