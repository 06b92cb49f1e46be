//! The rollouts that are known: one in progress or last for each service, and the ended ones that are kept.

use axum::{
    Extension, Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use serin_config::{ServiceName, VersionName, limits::API_ENTRIES_MAX};

use super::{
    Context,
    identity::Identity,
    problem::Problem,
    read::{limit, malformed},
};
use crate::{
    rollout,
    status::{EarlierRollout, RolloutStatus, ServiceStatus},
    waiting::Waiting,
};

/// Which of them a reader wants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    service: Option<String>,
    limit: Option<usize>,
    before: Option<u64>,
}

/// A rollout in the list: what it was and how it ended.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: u64,
    service: &'a ServiceName,
    canary: &'a VersionName,
    stable: &'a VersionName,
    #[serde(flatten)]
    state: rollout::State,
    summary: &'a str,
    waiting: Option<&'a Waiting>,
    live: bool,
    started_ms: u64,
    ended_ms: Option<u64>,
}

/// The newest first, over all services or of one.
pub(super) async fn list(
    State(context): State<Context>,
    Extension(Identity { grant, .. }): Extension<Identity>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(page) = page.map_err(malformed)?;
    let limit = limit(page.limit, API_ENTRIES_MAX)?;
    let status = context.seen(&grant);
    if let Some(name) = page.service.as_deref()
        && grant.covers(name)
        && !status.services.contains_key(name)
    {
        return Err(Problem::no_service(&name.chars().take(80).collect::<String>()));
    }
    let wanted = |service: &&ServiceStatus| {
        page.service.as_deref().is_none_or(|wanted| wanted == service.name.as_str())
    };
    let mut rows: Vec<Row<'_>> = status.services.values().filter(wanted).flat_map(of_service).collect();
    rows.retain(|row| page.before.is_none_or(|before| row.id < before));
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id);
    Ok(Json(json!({ "rollouts": rows, "next": next })))
}

fn of_service(service: &ServiceStatus) -> impl Iterator<Item = Row<'_>> {
    let last = service.rollout.iter().map(|rollout| Row::of_last(&service.name, rollout));
    last.chain(service.earlier.iter().map(|rollout| Row::of_earlier(&service.name, rollout)))
}

impl<'a> Row<'a> {
    fn of_last(service: &'a ServiceName, rollout: &'a RolloutStatus) -> Self {
        Self {
            id: rollout.id,
            service,
            canary: &rollout.canary,
            stable: &rollout.stable,
            state: rollout.state,
            summary: &rollout.summary,
            waiting: rollout.waiting.as_ref(),
            live: rollout.live,
            started_ms: rollout.started_ms,
            ended_ms: rollout.ended_ms,
        }
    }

    fn of_earlier(service: &'a ServiceName, rollout: &'a EarlierRollout) -> Self {
        Self {
            id: rollout.id,
            service,
            canary: &rollout.canary,
            stable: &rollout.stable,
            state: rollout.state,
            summary: &rollout.summary,
            waiting: None,
            live: false,
            started_ms: rollout.started_ms,
            ended_ms: rollout.ended_ms,
        }
    }
}
