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
    name::Name,
    peer::Peer,
    problem::Problem,
    read::{find_rollout, known_in_part, malformed},
    serve::stopped,
};
use crate::{
    rollout::{self, PromotedBy},
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
    let first = find_rollout(&context, &name)?;
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
        let now = find_rollout(&context, &name)?;
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

/// What the verdict is: of a rollout that has ended, what became of it. What came about by the clock alone, without a
/// request to judge, is no pass.
fn state(rollout: &RolloutStatus) -> Answer {
    match rollout.state {
        rollout::State::Promoted { why: PromotedBy::ClockWithoutTraffic } => Answer::Insufficient,
        rollout::State::Promoted { .. } => Answer::Pass,
        rollout::State::RolledBack { .. }
        | rollout::State::Aborted { .. }
        | rollout::State::Undone { .. } => Answer::Fail,
        _ => match &rollout.verdict {
            Some(verdict) if verdict.state == Answer::Pass && verdict.step.failures.canary.requests == 0 => {
                Answer::Insufficient
            }
            Some(verdict) => verdict.state,
            None => Answer::Insufficient,
        },
    }
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
    let explained = rollout
        .verdict
        .as_ref()
        .map(|verdict| serin_judge::explain(verdict, rollout.canary.as_str(), rollout.stable.as_str()));
    let mut reasons = vec![rollout.summary.clone()];
    reasons.extend(explained.unwrap_or_default());
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
