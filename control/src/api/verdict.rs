//! The verdict on a rollout, for pipelines and other controllers that gate on it: now, or as soon as there is one.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::{Query, State, rejection::QueryRejection},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use serin_config::{limits::API_VERDICT_WAIT_MAX, raw::decode::Leaf};
use serin_judge::State as Answer;
use tokio::time::Instant;

use super::{
    Context,
    identity::Identity,
    name::Name,
    peer::Peer,
    problem::Problem,
    read::{find_rollout, known_in_part, malformed},
    serve::stopped,
};
use crate::{
    rollout::{self, PromotedBy, RolledBackFor},
    status::{RolloutStatus, ServiceStatus},
};

/// What may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patience {
    wait: Option<String>,
    until: Option<Until>,
}

/// What is worth an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Until {
    /// The canary passes or fails at its step, or the rollout has ended.
    #[default]
    Decided,
    /// The rollout has ended.
    Ended,
    /// Anything but what it is now: the verdict, the step, the state.
    Changed,
}

pub(super) async fn verdict(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    Extension(Identity { grant, .. }): Extension<Identity>,
    Name(name): Name,
    patience: Result<Query<Patience>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(patience) = patience.map_err(malformed)?;
    let wait = patience.wait.as_deref().map(duration).transpose()?.unwrap_or(Duration::ZERO);
    if wait == Duration::ZERO && patience.until.is_some() {
        let detail = "\"until\" goes with \"wait\", such as ?wait=30s&until=decided";
        return Err(Problem::bad_request("malformed-query", detail));
    }
    let until = patience.until.unwrap_or_default();
    let first = find_rollout(&context, &grant, &name)?;
    if wait == Duration::ZERO || is_reached(until, &first.1, &first.1) {
        return Ok(Json(view(&first)));
    }
    let Ok(_place) = context.watchers.clone().try_acquire_owned() else {
        return Err(too_many());
    };
    peer.begin_stream();
    let deadline = Instant::now() + wait;
    let (mut status, mut stop) = (context.access.status.clone(), context.stop.clone());
    loop {
        let over = tokio::select! {
            changed = status.changed() => changed.is_err(),
            () = tokio::time::sleep_until(deadline) => true,
            () = stopped(&mut stop) => true,
        };
        let now = find_rollout(&context, &grant, &name)?;
        if over || is_reached(until, &first.1, &now.1) {
            return Ok(Json(view(&now)));
        }
    }
}

/// The problem of one watcher more than there may be.
pub(super) fn too_many() -> Problem {
    let detail = "too many watch or wait for a verdict already: ask without waiting, or try again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-watchers", detail)
}

fn duration(text: &str) -> Result<Duration, Problem> {
    let wrong = |detail: String| Problem::bad_request("malformed-query", detail);
    let read =
        Duration::read(text).map_err(|fault| wrong(format!("wait: {}; {}", fault.wrong, fault.right)))?;
    if read > API_VERDICT_WAIT_MAX {
        return Err(wrong(format!("wait is at most {} s", API_VERDICT_WAIT_MAX.as_secs())));
    }
    Ok(read)
}

/// What the verdict is. Of a rollout that has ended:
///
/// - `pass`: the canary has everything, and something was counted of it.
/// - `fail`: it was taken out for what it did (a guard, on users or on copies; a trip-wire; a bound on its cost; a webhook's
///   no), or a guard had failed when something else ended the rollout.
/// - `insufficient`: anything else. Whoever aborts or supersedes a rollout, and a step that runs out of time, has shown nothing
///   against the canary; and what the clock alone promoted, without a request to judge, is no pass.
fn state(rollout: &RolloutStatus) -> Answer {
    use rollout::State as S;
    let judged = rollout.verdict.as_ref().map_or(Answer::Insufficient, |verdict| verdict.state);
    match rollout.state {
        S::Promoted { why: PromotedBy::ClockWithoutTraffic } => Answer::Insufficient,
        S::Promoted { .. } => Answer::Pass,
        S::RolledBack {
            why:
                RolledBackFor::Evidence
                | RolledBackFor::Copies
                | RolledBackFor::Trip
                | RolledBackFor::BlastRadius
                | RolledBackFor::Webhook,
        } => Answer::Fail,
        S::RolledBack { why: RolledBackFor::Timeout | RolledBackFor::Group }
        | S::Aborted { .. }
        | S::Undone { .. } => match judged {
            Answer::Fail => Answer::Fail,
            Answer::Pass | Answer::Insufficient => Answer::Insufficient,
        },
        S::Running { .. } | S::Paused { .. } | S::Held { .. } => match &rollout.verdict {
            Some(verdict) if judged == Answer::Pass && verdict.step.failures.canary.requests == 0 => {
                Answer::Insufficient
            }
            _ => judged,
        },
    }
}

/// What ended it, by the word that the rollout's own state has for it; none of one in progress.
fn ended_by(state: rollout::State) -> Option<Value> {
    use rollout::State as S;
    Some(match state {
        S::Promoted { why } => json!(why),
        S::RolledBack { why } => json!(why),
        S::Aborted { why } => json!(why),
        S::Undone { .. } => json!("undo"),
        S::Running { .. } | S::Paused { .. } | S::Held { .. } => return None,
    })
}

fn is_reached(until: Until, first: &RolloutStatus, now: &RolloutStatus) -> bool {
    match until {
        Until::Decided => !now.live || state(now) != Answer::Insufficient,
        Until::Ended => !now.live,
        Until::Changed => {
            (now.id, now.state, now.halvings, state(now))
                != (first.id, first.state, first.halvings, state(first))
        }
    }
}

fn view((service, rollout): &(ServiceStatus, RolloutStatus)) -> Value {
    let state = state(rollout);
    let mut reasons = vec![rollout.summary.clone()];
    reasons.extend(rollout.explained());
    reasons.extend(rollout.asked().map(|asked| asked.summary.clone()));
    reasons.extend(known_in_part(service, rollout).map(ToOwned::to_owned));
    let promoted_by = match rollout.state {
        rollout::State::Promoted { why } => Some(why),
        _ => None,
    };
    json!({
        "service": service.name,
        "generation": service.generation,
        "state": state,
        "decided": !rollout.live || state != Answer::Insufficient,
        "ended": !rollout.live,
        "ended_by": ended_by(rollout.state),
        "promoted_by": promoted_by,
        "reasons": reasons,
        "rollout": {
            "id": rollout.id,
            "canary": rollout.canary,
            "stable": rollout.stable,
            "weight": rollout.weight,
            "state": rollout.state,
            "summary": rollout.summary,
        },
        "evidence": rollout.verdict,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serin_config::policy::RolloutPolicy;
    use serin_judge::{Evidence, Verdict};

    use super::*;
    use crate::rollout::{
        AbortedBy as A, HeldFor, PromotedBy as P, RolledBackFor as R, State as S, WasUndone,
    };

    fn rollout(state: S, judged: Option<Answer>) -> RolloutStatus {
        let verdict = judged.map(|state| {
            let policy = RolloutPolicy::default();
            let verdict = Evidence::new(&policy).verdict(&policy.steps[0], Duration::ZERO);
            Verdict { state, ..verdict }
        });
        let mut rollout = json!({
            "id": 1, "canary": "v2", "stable": "v1", "summary": state.to_string(), "live": state.is_live(),
            "weight": "5%", "steps": ["5%", "100%"], "started_ms": 1_000, "step_began_ms": 61_000, "ended_ms": null,
            "verdict": verdict,
        });
        rollout.as_object_mut().unwrap().extend(json!(state).as_object().unwrap().clone());
        serde_json::from_value(rollout).unwrap()
    }

    const KNOWN: [Option<Answer>; 4] =
        [None, Some(Answer::Insufficient), Some(Answer::Pass), Some(Answer::Fail)];

    #[test]
    fn only_what_a_canary_did_is_held_against_it_at_the_end() {
        use Answer::{Fail, Insufficient, Pass};
        let promoted = [P::Evidence, P::Command, P::Timeout, P::Approval, P::Group, P::Clock]
            .map(|why| S::Promoted { why });
        let guilty =
            [R::Evidence, R::Copies, R::Trip, R::BlastRadius, R::Webhook].map(|why| S::RolledBack { why });
        let innocent = [
            S::RolledBack { why: R::Timeout },
            S::RolledBack { why: R::Group },
            S::Aborted { why: A::Command },
            S::Aborted { why: A::File },
            S::Aborted { why: A::Superseded },
            S::Aborted { why: A::Group },
            S::Aborted { why: A::Webhook },
            S::Undone { was: WasUndone::Promoted },
            S::Undone { was: WasUndone::Aborted },
        ];
        for judged in KNOWN {
            let state = |ended: S| state(&rollout(ended, judged));
            promoted.iter().for_each(|ended| assert_eq!(state(*ended), Pass, "{ended}"));
            guilty.iter().for_each(|ended| assert_eq!(state(*ended), Fail, "{ended}"));
            let failed = if judged == Some(Fail) { Fail } else { Insufficient };
            innocent.iter().for_each(|ended| assert_eq!(state(*ended), failed, "{ended}, {judged:?}"));
            assert_eq!(state(S::Promoted { why: P::ClockWithoutTraffic }), Insufficient);
        }
    }

    #[test]
    fn of_one_that_never_began_it_is_not_said_that_it_ended_at_a_share() {
        let mut ended = rollout(S::Aborted { why: A::Command }, Some(Answer::Insufficient));
        assert!(ended.explained()[0].starts_with("Not decided at 1%"), "{:?}", ended.explained());
        ended.never_began = true;
        let said = "It ended before its first step: v2 had no traffic, so nothing was judged.";
        assert_eq!(ended.explained(), [said]);
    }

    #[test]
    fn what_ended_it_is_told_by_the_word_of_its_state() {
        assert_eq!(ended_by(S::Aborted { why: A::Superseded }), Some(json!("superseded")));
        assert_eq!(ended_by(S::RolledBack { why: R::BlastRadius }), Some(json!("blast_radius")));
        assert_eq!(
            ended_by(S::Promoted { why: P::ClockWithoutTraffic }),
            Some(json!("clock_without_traffic"))
        );
        assert_eq!(ended_by(S::Undone { was: WasUndone::Promoted }), Some(json!("undo")));
        assert_eq!(ended_by(S::Held { step: 0, why: HeldFor::Unsafe }), None);
    }
}
