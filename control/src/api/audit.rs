//! The audit log, page by page as JSON, or whole as lines.

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
};
use crate::audit::{AuditEntry, Fate};

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
    fn wants(&self, entry: &AuditEntry) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        self.before.is_none_or(|before| entry.sequence < before)
            && is(&self.service, entry.service.as_deref())
            && is(&self.who, entry.who.as_ref().map(|who| who.name.as_str()))
            && is(&self.what, Some(&entry.what))
            && self.fate.is_none_or(|fate| fate == entry.fate)
    }
}

pub(super) async fn audit(
    State(context): State<Context>,
    headers: HeaderMap,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(page) = page.map_err(malformed)?;
    let wants_lines = super::accepts(&headers, "application/x-ndjson");
    if wants_lines && page.limit.is_none() && page.before.is_none() {
        let all = context.access.audit.all();
        let lines: String = all.iter().filter(|entry| page.wants(entry)).map(|entry| line(entry)).collect();
        return Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response());
    }
    let limit = limit(page.limit, API_ENTRIES_MAX)?;
    let mut entries = context.access.audit.newest(|entry| page.wants(entry), limit + 1);
    let more = entries.len() > limit;
    entries.truncate(limit);
    if wants_lines {
        let lines: String = entries.iter().map(|entry| line(entry)).collect();
        return Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response());
    }
    let next = entries.last().filter(|_| more).map(|entry| entry.sequence);
    Ok(Json(json!({ "entries": entries, "next": next })).into_response())
}

fn line(entry: &AuditEntry) -> String {
    serde_json::to_string(entry).map(|line| line + "\n").unwrap_or_default()
}
