//! The endpoints for people and for metrics: who is in use, and why the others are not.

use std::{
    fmt::{self, Write},
    time::Instant,
};

use serde_json::{Value, json};
use serin_config::{Plan, endpoint};
use serin_split::standing::{Health, Reason, Standing};

use crate::{clock, observe::metrics as names, shared::Shared};

/// All endpoints of a plan's versions, in its order.
pub(crate) fn json(shared: &Shared, plan: &Plan) -> Value {
    let (now, now_ms) = (clock::now(), clock::unix_ms());
    let mut versions = Vec::new();
    for service in plan.catalogue().services() {
        for version in &service.versions {
            let endpoints = &shared.version(&service.name, &version.name).endpoints;
            let listed = endpoints.standings();
            versions.push(json!({
                "service": service.name,
                "version": version.name,
                "from": endpoint::shown(&version.endpoints, version.discovery.as_ref()),
                "trouble": endpoints.trouble(),
                "balance": version.endpoint_policy.balance.to_string(),
                "endpoints": listed.iter().map(|standing| one(standing, now, now_ms)).collect::<Vec<_>>(),
            }));
        }
    }
    json!({ "versions": versions })
}

fn one(standing: &Standing, now: Instant, now_ms: u64) -> Value {
    let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let state = match (standing.ready, standing.health, standing.ejection.until) {
        (true, ..) => "ready",
        (false, Health::Down { .. }, _) => "down",
        (false, _, Some(_)) => "ejected",
        (false, ..) => "unchecked",
    };
    let why = match (state, standing.ejection.until) {
        ("ejected", Some((_, Reason::ConsecutiveFailures))) => "too many failures in a row".into(),
        ("ejected", Some((_, Reason::SuccessRate))) => "it failed much more often than the others".into(),
        ("unchecked", _) => "it has not passed a health check yet".into(),
        _ => standing.complaint.clone(),
    };
    let health = match standing.health {
        Health::Unknown => "unknown",
        Health::Up { .. } => "up",
        Health::Down { .. } => "down",
    };
    json!({
        "address": standing.address,
        "state": state,
        "why": why,
        "since_ms": now_ms.saturating_sub(ms(now.saturating_duration_since(standing.since))),
        "health": health,
        "ejections": standing.ejection.count,
        "ejected_for_ms": standing.ejection.until.map(|(until, _)| ms(until.saturating_duration_since(now))),
    })
}

/// Gauges and counters of all endpoints.
pub(crate) fn write_metrics(shared: &Shared, plan: &Plan, out: &mut String) -> fmt::Result {
    let name = names::ENDPOINT_UP;
    writeln!(
        out,
        "# HELP {name} Whether an endpoint is in use: 1, or 0 if it is down, ejected or unchecked."
    )?;
    writeln!(out, "# TYPE {name} gauge")?;
    let versions = || {
        let services = plan.catalogue().services().iter();
        services
            .flat_map(|service| service.versions.iter().map(move |version| (&service.name, &version.name)))
    };
    for (service, version) in versions() {
        for standing in shared.version(service, version).endpoints.standings() {
            let (address, up) = (label(&standing.address.to_string()), u8::from(standing.ready));
            writeln!(
                out,
                "{name}{{service=\"{service}\",version=\"{version}\",endpoint=\"{address}\"}} {up}"
            )?;
        }
    }
    let name = names::ENDPOINT_EJECTIONS;
    writeln!(out, "# HELP {name} Endpoints that were left out for a while because of failures, by reason.")?;
    writeln!(out, "# TYPE {name} counter")?;
    for (service, version) in versions() {
        for (reason, count) in shared.version(service, version).endpoints.ejections() {
            let reason = reason.label();
            writeln!(
                out,
                "{name}{{service=\"{service}\",version=\"{version}\",reason=\"{reason}\"}} {count}"
            )?;
        }
    }
    Ok(())
}

/// The path of a Unix socket may hold anything.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
