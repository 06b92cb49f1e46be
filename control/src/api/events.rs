//! Business events that somebody else counts: a payment service, a script that asks a metrics store.
//!
//! They are pushed, never fetched: who counts knows when the numbers are complete, and no verdict waits for a store that
//! is slow. What is told names the requests among which it was counted, so numbers of the last minute are as good as
//! numbers of the last second.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use serin_config::{
    EventName, Service, VersionName,
    policy::CountedBy,
    wire::{EventCount, EventReport},
};
use tokio::sync::mpsc::error::TrySendError;

use super::{Context, change::Change, name::Name, problem::Problem};
use crate::access::CommandError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Told {
    event: EventName,
    versions: BTreeMap<VersionName, Count>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    #[serde(deserialize_with = "super::whole::number")]
    requests: u64,
    #[serde(deserialize_with = "super::whole::number")]
    count: u64,
}

/// Takes counts. They are judged with the next second of the rollout in progress; without one they are dropped,
/// and the answer says so.
pub(super) async fn tell(
    State(context): State<Context>,
    Name(name): Name,
    Change { form: told, .. }: Change<Told>,
) -> Result<Response, Problem> {
    let status = context.access.status();
    let service = status.plan.catalogue().service(&name).ok_or_else(|| Problem::no_service(&name))?;
    check(service, &told)
        .map_err(|(kind, detail)| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, detail))?;
    let rollout = status.services.get(name.as_str()).and_then(|service| service.rollout.as_ref());
    let rollout = rollout.filter(|rollout| rollout.live).map(|rollout| rollout.id);
    let versions = told.versions.into_iter().map(|(version, told)| EventCount {
        version,
        requests: told.requests,
        count: told.count,
    });
    let report =
        EventReport { service: service.name.clone(), event: told.event, versions: versions.collect() };
    context.access.events.try_send(report).map_err(|error| match error {
        TrySendError::Full(_) => CommandError::Busy,
        TrySendError::Closed(_) => CommandError::Stopped,
    })?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "rollout": rollout }))).into_response())
}

/// What is wrong with what was told, and what would be right.
fn check(service: &Service, told: &Told) -> Result<(), (&'static str, String)> {
    let pushed = service.rollout.guards.events.iter().filter(|guard| guard.counted_by == CountedBy::Push);
    let known: Vec<&str> = pushed.map(|guard| guard.event.as_str()).collect();
    if !known.contains(&told.event.as_str()) {
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        let detail = format!(
            "no guard of service \"{}\" takes counts of event \"{}\" (those that do: {known}): write \"{}: {{ bad: more, \
             counted_by: push }}\" at services.{}.rollout.guards.events",
            service.name, told.event, told.event, service.name
        );
        return Err(("no-such-event", detail));
    }
    for (version, count) in &told.versions {
        if service.version(version).is_none() {
            let known: Vec<&str> = service.versions.iter().map(|version| version.name.as_str()).collect();
            let detail = format!(
                "service \"{}\" has no version \"{version}\", but {}",
                service.name,
                known.join(", ")
            );
            return Err(("no-such-version", detail));
        }
        if count.count > count.requests {
            let detail = format!(
                "version \"{version}\" has {} events in {} requests: a request has an event once at most",
                count.count, count.requests
            );
            return Err(("more-events-than-requests", detail));
        }
    }
    let missing = [Some(&service.stable), service.canary.as_ref()].into_iter().flatten();
    if let Some(version) = missing.into_iter().find(|version| !told.versions.contains_key(*version)) {
        let detail = format!(
            "version \"{version}\" is missing: tell of both, stable and canary, over the same time, with 0 where there was nothing"
        );
        return Err(("version-missing", detail));
    }
    Ok(())
}
