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
use crate::{
    fleet::registry::ProxyStatus,
    lead::{LeaderAddress, Leadership},
};

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
    let (all, duplicates) =
        context.access.proxies().map_err(|_| not_leading(&context.access.standing.now()))?;
    let after = page.after.unwrap_or_default();
    let mut rest = all.into_iter().filter(|proxy| proxy.proxy > after);
    let shown: Vec<ProxyStatus> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(shown.last()).map(|proxy| proxy.proxy.clone());
    Ok(Json(json!({ "generation": generation, "proxies": shown, "duplicates": duplicates, "next": next })))
}

fn not_leading(standing: &Leadership) -> Problem {
    let detail = match standing {
        Leadership::Follower { leader: Some(LeaderAddress { name, api: Some(api), .. }) } => format!(
            "only the control plane that leads knows the proxies: {name}, which was not reached from here in time; ask its API at {api}"
        ),
        Leadership::Follower { leader: Some(LeaderAddress { name, .. }) } => format!(
            "only the control plane that leads knows the proxies: {name}, whose API is at a Unix socket; ask there"
        ),
        _ => "only the control plane that leads knows the proxies, and nobody is known to lead at the moment: try again in a \
              few seconds"
            .into(),
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-leading", detail)
}
