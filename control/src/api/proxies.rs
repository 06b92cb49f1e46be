//! The proxies of the fleet, as the control plane that leads knows them.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use serin_config::limits::API_ENTRIES_MAX;

use super::{
    Context,
    problem::Problem,
    read::{limit, malformed},
};
use crate::fleet::registry::ProxyStatus;

/// What a reader of the list may ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<String>,
}

pub(super) async fn proxies(
    State(context): State<Context>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(page) = page.map_err(malformed)?;
    let limit = limit(page.limit, API_ENTRIES_MAX)?;
    let generation = context.access.status().plan.generation();
    let all = context.access.proxies().map_err(|leader| not_leading(leader.as_deref()))?;
    let after = page.after.unwrap_or_default();
    let mut rest = all.into_iter().filter(|proxy| proxy.proxy > after);
    let shown: Vec<ProxyStatus> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(shown.last()).map(|proxy| proxy.proxy.clone());
    Ok(Json(json!({ "generation": generation, "proxies": shown, "next": next })))
}

fn not_leading(leader: Option<&str>) -> Problem {
    let at = leader.map_or_else(String::new, |leader| format!(", which listens for them at {leader}"));
    let detail = format!("proxies are connected to the control plane that leads{at}: ask there");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-leading", detail)
}
