//! What can be read: plan, services, rollouts, the journal.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use serin_config::{Generation, ServiceName, limits::API_ENTRIES_MAX};
use serin_judge::Verdict;

use super::{Context, name::Name, problem::Problem};
use crate::{
    command::Actor,
    journal::{Action, Entry},
    rollout,
    status::{RolloutStatus, ServiceStatus, Weights, weights},
};

/// Entries in an answer that asks for no number.
const ENTRIES_DEFAULT: usize = 100;

pub(super) async fn plan(State(context): State<Context>) -> Json<Value> {
    let status = context.access.status();
    let services = status.plan.services().map(|(service, split)| {
        json!({
            "name": service.name,
            "stable": service.stable,
            "canary": service.canary,
            "weights": weights(split),
            "versions": service.versions,
            "sticky": service.sticky,
            "timeouts": service.timeouts,
            "rollout": service.rollout,
        })
    });
    Json(json!({
        "generation": status.plan.generation(),
        "parent": status.plan.parent(),
        "stored": status.stored,
        "routes": status.plan.catalogue().routes(),
        "services": services.collect::<Vec<_>>(),
    }))
}

/// A service in the list: without its seconds and earlier rollouts.
pub(super) async fn services(State(context): State<Context>) -> Json<Value> {
    let status = context.access.status();
    let services = status.services.values().map(|service| {
        json!({
            "name": service.name,
            "weights": service.weights,
            "stable": service.stable,
            "canary": service.canary,
            "versions": service.versions,
            "rollout": service.rollout.as_ref().map(|rollout| json!({
                "id": rollout.id, "live": rollout.live, "summary": rollout.summary,
            })),
        })
    });
    let services: Vec<Value> = services.collect();
    Json(json!({ "generation": status.plan.generation(), "stored": status.stored, "services": services }))
}

pub(super) async fn service(
    State(context): State<Context>,
    Name(name): Name,
) -> Result<Json<ServiceStatus>, Problem> {
    find(&context, &name).map(Json)
}

pub(super) async fn rollout(
    State(context): State<Context>,
    Name(name): Name,
) -> Result<Json<RolloutStatus>, Problem> {
    find_rollout(&context, &name).map(|(_, rollout)| Json(rollout))
}

pub(super) async fn explain(
    State(context): State<Context>,
    Name(name): Name,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (service, rollout) = find_rollout(&context, &name)?;
    let mut entries = context.access.journal.newest(Some(&name), None, usize::MAX);
    entries.retain(|entry| entry.rollout == Some(rollout.id));
    entries.reverse();
    let lines = sentences(&service, &rollout, &entries);
    let wants_json = headers.get_all(header::ACCEPT).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("application/json"))
    });
    if !wants_json {
        return Ok((
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            lines.iter().map(|line| format!("{line}\n")).collect::<String>(),
        )
            .into_response());
    }
    let journal: Vec<EntryView<'_>> = entries.iter().map(|entry| EntryView::from(entry.as_ref())).collect();
    Ok(Json(json!({ "service": service.name, "lines": lines, "rollout": rollout, "journal": journal }))
        .into_response())
}

fn sentences(service: &ServiceStatus, rollout: &RolloutStatus, entries: &[Arc<Entry>]) -> Vec<String> {
    let (canary, stable) = (rollout.canary.as_str(), rollout.stable.as_str());
    let mut lines = vec![format!(
        "Rollout {} of service {}: {canary} against {stable}, {}.",
        rollout.id, service.name, rollout.summary
    )];
    for entry in entries {
        let after = entry.at_ms.saturating_sub(rollout.started_ms) as f64 / 1_000.0;
        let split = entry.to.as_ref().map(ToString::to_string).unwrap_or_default();
        let because = if entry.reason.is_empty() { String::new() } else { format!(": {}", entry.reason) };
        let action = entry.action.label().replace('_', " ");
        lines.push(format!("{after:>8.1} s  {action:<9} → {split}  ({}{because})", entry.actor));
    }
    if let Some(verdict) = &rollout.verdict {
        lines.extend(serin_judge::explain(verdict, canary, stable));
    }
    lines
}

/// What a reader of the journal may ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    service: Option<String>,
    limit: Option<usize>,
    before: Option<u64>,
}

pub(super) async fn journal(
    State(context): State<Context>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(page) =
        page.map_err(|rejection| Problem::bad_request("malformed-query", rejection.body_text()))?;
    let limit = page.limit.unwrap_or(ENTRIES_DEFAULT);
    if limit == 0 || limit > API_ENTRIES_MAX {
        let detail = format!("limit must be from 1 to {API_ENTRIES_MAX}");
        return Err(Problem::bad_request("malformed-query", detail));
    }
    let entries = context.access.journal.newest(page.service.as_deref(), page.before, limit);
    let views: Vec<EntryView<'_>> = entries.iter().map(|entry| EntryView::from(entry.as_ref())).collect();
    Ok(Json(json!({ "entries": views })))
}

fn find(context: &Context, name: &str) -> Result<ServiceStatus, Problem> {
    context.access.status().services.get(name).cloned().ok_or_else(|| Problem::no_service(name))
}

fn find_rollout(context: &Context, name: &str) -> Result<(ServiceStatus, RolloutStatus), Problem> {
    let service = find(context, name)?;
    match service.rollout.clone() {
        Some(rollout) => Ok((service, rollout)),
        None => {
            let detail = format!("service \"{name}\" has no rollout: start one first");
            Err(Problem::new(http::StatusCode::NOT_FOUND, "no-rollout", detail))
        }
    }
}

/// A journal entry as the API shows it: splits as maps.
#[derive(Serialize)]
struct EntryView<'a> {
    sequence: u64,
    at_ms: u64,
    actor: Actor,
    service: Option<&'a ServiceName>,
    action: Action,
    from: Option<Weights>,
    to: Option<Weights>,
    generation: Generation,
    reason: &'a str,
    rollout: Option<u64>,
    state: Option<rollout::State>,
    verdict: Option<&'a Verdict>,
}

impl<'a> From<&'a Entry> for EntryView<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            sequence: entry.sequence,
            at_ms: entry.at_ms,
            actor: entry.actor,
            service: entry.service.as_ref(),
            action: entry.action,
            from: entry.from.as_ref().map(weights),
            to: entry.to.as_ref().map(weights),
            generation: entry.generation,
            reason: &entry.reason,
            rollout: entry.rollout,
            state: entry.state,
            verdict: entry.verdict.as_ref(),
        }
    }
}
