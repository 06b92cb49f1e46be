//! The audit log, page by page as JSON, or whole as lines.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::json;
use serin_config::limits::API_ENTRIES_MAX;

use super::{
    Context,
    problem::Problem,
    read::{limit, malformed},
    routes::routes,
};
use crate::{
    audit::{AuditEntry, Fate},
    command::Command,
    status::Status,
};

/// What a reader may ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    before: Option<u64>,
    service: Option<String>,
    who: Option<String>,
    what: Option<String>,
    fate: Option<Fate>,
}

impl Page {
    /// Whether it asks for this entry. What was asked for the group of a service was asked for the service.
    fn wants(&self, entry: &AuditEntry, status: &Status) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        self.before.is_none_or(|before| entry.sequence < before)
            && (is(&self.service, entry.service.as_deref()) || self.is_for_group_of(entry, status))
            && is(&self.who, entry.who.as_ref().map(|who| who.name.as_str()))
            && is(&self.what, Some(&entry.what))
            && self.fate.is_none_or(|fate| fate == entry.fate)
    }

    fn is_for_group_of(&self, entry: &AuditEntry, status: &Status) -> bool {
        let (Some(service), Some(group)) = (&self.service, &entry.group) else { return false };
        status.terms.group(service).is_some_and(|found| found.name.as_str() == group)
    }
}

pub(super) async fn audit(
    State(context): State<Context>,
    headers: HeaderMap,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(page) = page.map_err(malformed)?;
    if let Some(what) = page.what.as_deref().filter(|what| !words().contains(what)) {
        let detail = format!(
            "nothing is asked for by the word \"{}\": what is there are {}",
            what.chars().take(80).collect::<String>(),
            words().into_iter().collect::<Vec<_>>().join(", ")
        );
        return Err(Problem::bad_request("no-such-word", detail));
    }
    let status = context.access.status();
    let wanted = |entry: &AuditEntry| page.wants(entry, &status);
    let wants_lines = super::accepts(&headers, "application/x-ndjson");
    if wants_lines && page.limit.is_none() && page.before.is_none() {
        let all = context.access.audit.all();
        let lines: String = all.iter().filter(|entry| wanted(entry)).map(|entry| line(entry)).collect();
        return Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response());
    }
    let limit = limit(page.limit, API_ENTRIES_MAX)?;
    let mut entries = context.access.audit.newest(wanted, limit + 1);
    let more = entries.len() > limit;
    entries.truncate(limit);
    if wants_lines {
        let lines: String = entries.iter().map(|entry| line(entry)).collect();
        return Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response());
    }
    let next = entries.last().filter(|_| more).map(|entry| entry.sequence);
    Ok(Json(json!({ "entries": entries, "next": next })).into_response())
}

/// All words that an entry may have for what was asked for: those of commands, and of operations whose body nobody read.
pub(super) fn words() -> BTreeSet<&'static str> {
    let operations = routes().into_iter().map(|route| route.operation).filter(|operation| !operation.reads());
    Command::LABELS.into_iter().chain(operations.map(|operation| operation.id)).chain(["unknown"]).collect()
}

fn line(entry: &AuditEntry) -> String {
    serde_json::to_string(entry).map(|line| line + "\n").unwrap_or_default()
}
