//! What can be read: plan, services, rollouts, the journal.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Extension, Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use serin_config::{
    Generation, Grant, GroupName, Route, ServiceName, Weight,
    limits::{API_ENTRIES_MAX, API_SERVICES_MAX},
};
use serin_judge::Verdict;

use super::{Context, identity::Identity, lines::Lines, name::Name, problem::Problem};
use crate::{
    command::{Actor, Caller},
    journal::{Action, Entry},
    rollout,
    sight::Sight,
    status::{RolloutStatus, ServiceStatus, Weights, weights},
    tokens::LOCAL,
};

/// Entries in an answer that asks for no number.
const ENTRIES_DEFAULT: usize = 100;

pub(super) async fn plan(
    State(context): State<Context>,
    Extension(Identity { grant, .. }): Extension<Identity>,
) -> Response {
    let status = context.access.status();
    let services = status.plan.services().filter(|(service, _)| grant.covers(service.name.as_str()));
    let services = services.map(|(service, split)| {
        json!({
            "name": service.name,
            "stable": service.stable,
            "canary": service.canary,
            "weights": weights(split),
            "mirror": status.plan.mirror(service.name.as_str()),
            "stands_by": status.plan.stands_by(service.name.as_str()),
            "versions": service.versions,
            "sticky": service.sticky,
            "timeouts": service.timeouts,
            "rollout": service.rollout,
        })
    });
    let leads_there = |route: &&Route| {
        route.service().map_or(!grant.is_limited(), |service| grant.covers(service.as_str()))
    };
    let body = json!({
        "generation": status.plan.generation(),
        "parent": status.plan.parent(),
        "stored": status.stored,
        "routes": status.plan.catalogue().routes().iter().filter(leads_there).collect::<Vec<_>>(),
        "services": services.collect::<Vec<_>>(),
    });
    (tag(status.plan.generation()), Json(body)).into_response()
}

/// The plan as an entity tag, to be sent back in `if-match`.
fn tag(generation: Generation) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{generation}\""))]
}

/// What a reader of the list of services may ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServicesPage {
    limit: Option<usize>,
    after: Option<String>,
}

/// A service in the list: without its seconds and earlier rollouts.
pub(super) async fn services(
    State(context): State<Context>,
    Extension(Identity { grant, .. }): Extension<Identity>,
    page: Result<Query<ServicesPage>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(page) = page.map_err(malformed)?;
    let limit = match page.limit {
        None => API_SERVICES_MAX,
        given => limit(given, API_SERVICES_MAX)?,
    };
    let status = context.seen(&grant);
    let after = page.after.unwrap_or_default();
    let mut rest = status.services.values().filter(|service| *service.name.as_str() > *after);
    let shown: Vec<&ServiceStatus> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(shown.last()).map(|service| &service.name);
    let views: Vec<Value> = shown.iter().map(|service| brief(service)).collect();
    Ok(Json(json!({
        "generation": status.plan.generation(),
        "stored": status.stored,
        "services": views,
        "next": next,
    })))
}

/// A service as lists show it.
pub(super) fn brief(service: &ServiceStatus) -> Value {
    json!({
        "name": service.name,
        "weights": service.weights,
        "stable": service.stable,
        "canary": service.canary,
        "counted": service.counted,
        "versions": service.versions,
        "rollout": service.rollout.as_ref().map(|rollout| json!({
            "id": rollout.id, "live": rollout.live, "summary": rollout.summary, "waiting": rollout.waiting,
        })),
    })
}

pub(super) async fn split(
    State(context): State<Context>,
    Extension(Identity { grant, .. }): Extension<Identity>,
    Name(name): Name,
) -> Result<Response, Problem> {
    let service = find(&context, &grant, &name)?;
    let body = json!({ "generation": service.generation, "weights": service.weights });
    Ok((tag(service.generation), Json(body)).into_response())
}

pub(super) async fn service(
    State(context): State<Context>,
    Extension(Identity { grant, .. }): Extension<Identity>,
    Name(name): Name,
) -> Result<Json<ServiceStatus>, Problem> {
    find(&context, &grant, &name).map(Json)
}

pub(super) async fn rollout(
    State(context): State<Context>,
    Extension(Identity { grant, .. }): Extension<Identity>,
    Name(name): Name,
) -> Result<Json<RolloutStatus>, Problem> {
    find_rollout(&context, &grant, &name).map(|(_, rollout)| Json(rollout))
}

pub(super) async fn explain(
    State(context): State<Context>,
    Extension(Identity { grant, .. }): Extension<Identity>,
    Name(name): Name,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (service, rollout) = find_rollout(&context, &grant, &name)?;
    let status = context.access.status();
    let mut entries = context.access.journal.newest(Some(&name), None, usize::MAX);
    entries.retain(|entry| entry.rollout == Some(rollout.id));
    let sight = Sight::new(&grant, &status.terms);
    let entries: Vec<_> = entries.iter().rev().filter_map(|entry| sight.entry(entry)).collect();
    let mut lines = sentences(&service, &rollout, &entries);
    let frozen = status.frozen(&name, super::freezes::now_ms());
    let what =
        if rollout.urgent { "It is urgent, and goes on in spite of" } else { "It does not go forward:" };
    lines.extend(frozen.filter(|_| rollout.live).map(|freeze| format!("{what} {freeze}.")));
    lines.extend(rollout.asked().map(|asked| asked.summary.clone()));
    lines.extend(known_in_part(&service, &rollout).map(ToOwned::to_owned));
    let wants_json = super::accepts(&headers, "application/json");
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

/// What is to be said of a rollout in progress where the leader was not reached.
pub(super) fn known_in_part(service: &ServiceStatus, rollout: &RolloutStatus) -> Option<&'static str> {
    (!service.counted && rollout.live).then_some(
        "This control plane follows, and did not reach the one that leads (or may not ask it, since a client certificate can't be \
         passed on): the evidence is that of the last checkpoint; what happens just now, how long it will take, and which webhooks are \
         asked is not known here.",
    )
}

fn sentences(service: &ServiceStatus, rollout: &RolloutStatus, entries: &[Cow<'_, Entry>]) -> Vec<String> {
    let (canary, stable) = (rollout.canary.as_str(), rollout.stable.as_str());
    let mut lines = vec![format!(
        "Rollout {} of service {}: {canary} against {stable}, {}.",
        rollout.id, service.name, rollout.summary
    )];
    for entry in entries {
        let after = entry.at_ms.saturating_sub(rollout.started_ms) as f64 / 1_000.0;
        let left = entry.left().map(|split| format!("→ {split}  ")).unwrap_or_default();
        let because = if entry.reason.is_empty() { String::new() } else { format!(": {}", entry.reason) };
        let action = entry.action.label().replace('_', " ");
        let named = entry.who.as_ref().filter(|who| who.name != LOCAL);
        let who = named.map_or_else(|| entry.actor.to_string(), |who| who.name.clone());
        lines.push(format!("{after:>8.1} s  {action:<9} {left}({who}{because})"));
    }
    lines.extend(rollout.explained());
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
    Extension(Identity { grant, .. }): Extension<Identity>,
    headers: HeaderMap,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(page) = page.map_err(malformed)?;
    let status = context.access.status();
    let sight = Sight::new(&grant, &status.terms);
    // By another's name nothing is found, or the answer would tell that there is something.
    let hidden = page.service.as_deref().is_some_and(|service| !grant.covers(service));
    if super::accepts(&headers, "application/x-ndjson") {
        let bounded = page.limit.map(|given| limit(Some(given), API_ENTRIES_MAX)).transpose()?;
        let mut entries = context.access.journal.newest(page.service.as_deref(), page.before, usize::MAX);
        entries.retain(|entry| !hidden && sight.entry(entry).is_some());
        entries.truncate(bounded.unwrap_or(usize::MAX));
        if bounded.is_none() && page.before.is_none() {
            entries.reverse();
        }
        let line = move |entry: Arc<Entry>| {
            let sight = Sight::new(&grant, &status.terms);
            sight.entry(&entry).map(|seen| line(&seen)).unwrap_or_default()
        };
        return Ok(Lines(entries.into_iter().map(line)).into_response());
    }
    let limit = limit(page.limit, API_ENTRIES_MAX)?;
    let entries = context.access.journal.newest(page.service.as_deref(), page.before, usize::MAX);
    let mut seen = entries.iter().filter(|_| !hidden).filter_map(|entry| sight.entry(entry));
    let shown: Vec<_> = seen.by_ref().take(limit).collect();
    let next = seen.next().and(shown.last()).map(|entry| entry.sequence);
    let views: Vec<EntryView<'_>> = shown.iter().map(|entry| EntryView::from(entry.as_ref())).collect();
    Ok(Json(json!({ "entries": views, "next": next })).into_response())
}

fn line(entry: &Entry) -> String {
    serde_json::to_string(&EntryView::from(entry)).map(|line| line + "\n").unwrap_or_default()
}

/// How many entries an answer shall have.
pub(super) fn limit(given: Option<usize>, most: usize) -> Result<usize, Problem> {
    let limit = given.unwrap_or(ENTRIES_DEFAULT);
    if limit == 0 || limit > most {
        let detail = format!("limit must be from 1 to {most}");
        return Err(Problem::bad_request("malformed-query", detail));
    }
    Ok(limit)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn malformed(rejection: QueryRejection) -> Problem {
    Problem::bad_request("malformed-query", rejection.body_text())
}

pub(super) fn find(context: &Context, grant: &Grant, name: &str) -> Result<ServiceStatus, Problem> {
    context.seen(grant).services.get(name).cloned().ok_or_else(|| Problem::no_service(name))
}

pub(super) fn find_rollout(
    context: &Context,
    grant: &Grant,
    name: &str,
) -> Result<(ServiceStatus, RolloutStatus), Problem> {
    let service = find(context, grant, name)?;
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
pub(super) struct EntryView<'a> {
    sequence: u64,
    at_ms: u64,
    actor: Actor,
    who: Option<&'a Caller>,
    service: Option<&'a ServiceName>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    services: &'a [ServiceName],
    group: Option<&'a GroupName>,
    action: Action,
    from: Option<Weights>,
    to: Option<Weights>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<Weight>,
    generation: Generation,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<&'a ServiceName>,
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
            who: entry.who.as_ref(),
            service: entry.service.as_ref(),
            services: &entry.services,
            group: entry.group.as_ref(),
            action: entry.action,
            from: entry.from.as_ref().map(weights),
            to: entry.to.as_ref().map(weights),
            mirror: Some(entry.mirror).filter(|share| *share > Weight::ZERO),
            generation: entry.generation,
            reason: &entry.reason,
            with: entry.with.as_ref(),
            rollout: entry.rollout,
            state: entry.state,
            verdict: entry.verdict.as_ref(),
        }
    }
}
