//! Breakers and trip-wires of versions: shown, opened, closed, forgiven.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use serin_config::{Plan, duration, limits::TIMEOUT_MAX, raw::decode::Leaf};

use super::problem::Problem;
use crate::shared::Shared;

/// How a breaker shall be opened.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Opening {
    /// After how long it closes by itself; never, if absent.
    expires: Option<String>,
}

/// The breakers of all versions.
pub(super) fn list(shared: &Shared, now_ms: u64) -> Value {
    let each = shared.versions().into_iter().map(|((service, version), state)| {
        let open = state.breaker.is_open(|| now_ms);
        json!({
            "service": service,
            "version": version,
            "open": open,
            "closes_at_ms": state.breaker.ends_ms().filter(|_| open),
            "in_flight": state.requests.held(),
            "pending": state.requests.waiting(),
            "connections": state.connections.held(),
            "adaptive_limit": state.adaptive_limit(),
        })
    });
    json!({ "breakers": each.collect::<Vec<_>>() })
}

/// Opens a breaker: its version gets no request.
pub(super) fn open(
    shared: &Shared,
    (service, version): (&str, &str),
    opening: &Opening,
    now_ms: u64,
) -> Result<Value, Problem> {
    let state = shared.existing(service, version).ok_or_else(|| missing(service, version))?;
    let life = match opening.expires.as_deref().map(Duration::read) {
        None => None,
        Some(Ok(life)) if !life.is_zero() && life <= TIMEOUT_MAX => Some(life),
        Some(Ok(_)) => {
            let most = duration::show(TIMEOUT_MAX);
            return Err(Problem::wrong(format!("expires must be above zero and at most {most}")));
        }
        Some(Err(fault)) => return Err(Problem::wrong(format!("expires: {}: {}", fault.wrong, fault.right))),
    };
    let ends_ms = life.map(|life| now_ms.saturating_add(u64::try_from(life.as_millis()).unwrap_or(u64::MAX)));
    state.breaker.open(ends_ms);
    tracing::warn!(service, version, ?life, "a breaker was opened by hand");
    Ok(json!({ "service": service, "version": version, "open": true, "closes_at_ms": ends_ms }))
}

/// Closes it.
pub(super) fn close(
    shared: &Shared,
    (service, version): (&str, &str),
    now_ms: u64,
) -> Result<Value, Problem> {
    let state = shared.existing(service, version).ok_or_else(|| missing(service, version))?;
    let was_open = state.breaker.close(now_ms);
    tracing::warn!(service, version, was_open, "a breaker was closed by hand");
    Ok(json!({ "service": service, "version": version, "open": false, "was_open": was_open }))
}

/// The trips that hold.
pub(super) fn trips(shared: &Shared) -> Value {
    let each = shared.versions().into_iter().filter_map(|((service, version), state)| {
        let tripped = state.trip.tripped()?;
        Some(json!({
            "service": service,
            "version": version,
            "reason": tripped.reason.to_string(),
            "generation": tripped.generation,
            "at_ms": tripped.at_ms,
        }))
    });
    json!({ "trips": each.collect::<Vec<_>>() })
}

/// Lets the canary of a service in again.
pub(super) fn reset(shared: &Shared, plan: &Plan, name: &str) -> Result<Value, Problem> {
    let canary = plan.catalogue().service(name).and_then(|service| service.canary.as_ref());
    let state = canary.and_then(|canary| shared.existing(name, canary.as_str()));
    let (Some(canary), Some(state)) = (canary, state) else {
        return Err(Problem::missing(format!("there is no service \"{}\" with a canary", printable(name))));
    };
    let was_out = state.trip.reset();
    tracing::warn!(service = name, version = %canary, was_out, "a trip was forgiven by hand");
    Ok(json!({ "service": name, "version": canary, "was_tripped": was_out }))
}

fn missing(service: &str, version: &str) -> Problem {
    let (service, version) = (printable(service), printable(version));
    Problem::missing(format!("there is no version \"{version}\" of a service \"{service}\""))
}

fn printable(name: &str) -> String {
    name.chars().take(80).filter(|c| !c.is_control()).collect()
}
