//! The proxies of the fleet, as the control plane that leads knows them.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use serin_config::limits::API_ENTRIES_MAX;

use super::{
    Context,
    problem::Problem,
    read::{limit, malformed},
    there::by_certificate,
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
    headers: HeaderMap,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(page) = page.map_err(malformed)?;
    let limit = limit(page.limit, API_ENTRIES_MAX)?;
    let generation = context.access.status().plan.generation();
    let passed_on = !by_certificate(&context, &headers);
    let standing = &context.access.standing;
    let (all, duplicates) = context.access.proxies().map_err(|_| not_leading(&standing.now(), passed_on))?;
    let after = page.after.unwrap_or_default();
    let mut rest = all.into_iter().filter(|proxy| proxy.proxy > after);
    let shown: Vec<ProxyStatus> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(shown.last()).map(|proxy| proxy.proxy.clone());
    Ok(Json(json!({ "generation": generation, "proxies": shown, "duplicates": duplicates, "next": next })))
}

/// `passed_on`: whether the one who leads was asked for this caller.
fn not_leading(standing: &Leadership, passed_on: bool) -> Problem {
    let detail = match standing {
        Leadership::Follower { leader: Some(LeaderAddress { name, api, .. }) } if !passed_on => format!(
            "only the control plane that leads knows the proxies: {name}, and a client certificate can't be passed on to it: ask {}, \
             or send a token here",
            api.as_ref().map_or("at its Unix socket".to_owned(), |api| format!("its API at {api}"))
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_says_why_it_does_not_know_the_proxies() {
        let leader =
            LeaderAddress { name: "a".into(), api: Some("https://a:9902".into()), fleet: None, pass: None };
        let why = |leader: Option<LeaderAddress>, passed_on: bool| {
            not_leading(&Leadership::Follower { leader }, passed_on).detail
        };
        let away = why(Some(leader.clone()), true);
        assert!(away.contains("a, which was not reached") && away.contains("https://a:9902"), "{away}");
        let shown = why(Some(leader.clone()), false);
        assert!(
            shown.contains("a client certificate can't be passed on to it: ask its API at https://a:9902"),
            "{shown}"
        );
        assert!(!shown.contains("reached") && shown.contains("or send a token here"), "{shown}");
        let socket = why(Some(LeaderAddress { api: None, ..leader }), false);
        assert!(socket.contains("ask at its Unix socket"), "{socket}");
        assert!(why(None, false).contains("nobody is known to lead"));
    }
}
