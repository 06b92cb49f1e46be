//! Injected faults: set, listed, removed.

use std::time::{Duration, Instant};

use http::{HeaderName, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use serin_config::{
    Plan, RouteName, ServiceName, VersionName, Weight, duration,
    limits::{FAULT_DELAY_MAX, FAULT_LIFE_MAX},
    raw::decode::Leaf,
};
use serin_split::resilience::inject::{Effect, Fault, Target};

use super::problem::Problem;
use crate::shared::faults::Faults;

/// A fault as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    service: Option<String>,
    version: Option<String>,
    route: Option<String>,
    header: Option<Header>,
    /// The share of the requests that it hits; all of them if absent.
    percent: Option<String>,
    delay: Option<String>,
    abort: Option<u16>,
    /// Bytes a second.
    throttle: Option<u32>,
    /// Whether no connection to an endpoint can be had.
    #[serde(default)]
    down: bool,
    /// After how long it ends; required.
    expires: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    value: Option<String>,
}

/// Sets a fault; its number and what it became.
pub(super) fn add(faults: &Faults, plan: &Plan, wanted: Wanted, now: Instant) -> Result<Value, Problem> {
    let fault = understood(plan, wanted, now)?;
    let mut shown = show(&fault, now);
    let id = faults
        .add(fault, now)
        .map_err(|error| Problem::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()))?;
    shown["id"] = id.into();
    tracing::warn!(id, fault = %shown, "a fault was set by hand");
    Ok(shown)
}

/// Removes a fault.
pub(super) fn remove(faults: &Faults, id: &str, now: Instant) -> Result<Value, Problem> {
    match id.parse() {
        Ok(id) if faults.remove(id, now) => {
            tracing::warn!(id, "a fault was removed by hand");
            Ok(json!({ "removed": id }))
        }
        _ => Err(Problem::missing("there is no fault of that number; GET /faults lists them")),
    }
}

/// Those in force.
pub(super) fn list(faults: &Faults, now: Instant) -> Value {
    let all: Vec<_> = faults.list(now).iter().map(|fault| show(fault, now)).collect();
    json!({ "faults": all })
}

fn show(fault: &Fault, now: Instant) -> Value {
    let Fault { id, target, share, effect, ends } = fault;
    let header = target.header.as_ref().map(|(name, value)| json!({ "name": name.as_str(), "value": value }));
    json!({
        "id": id,
        "service": target.service,
        "version": target.version,
        "route": target.route,
        "header": header,
        "percent": share.to_string(),
        "delay": effect.delay.map(duration::show),
        "abort": effect.abort,
        "throttle": effect.throttle,
        "down": effect.down,
        "expires": duration::show(ends.saturating_duration_since(now)),
    })
}

fn understood(plan: &Plan, wanted: Wanted, now: Instant) -> Result<Fault, Problem> {
    let time = |field: &str, text: &str, most: Duration| {
        let read = Duration::read(text).map_err(|fault| format!("{}: {}", fault.wrong, fault.right));
        match read {
            Ok(time) if !time.is_zero() && time <= most => Ok(time),
            Ok(_) => Err(Problem::wrong(format!(
                "{field} must be above zero and at most {}",
                duration::show(most)
            ))),
            Err(text) => Err(Problem::wrong(format!("{field}: {text}"))),
        }
    };
    let Some(expires) = &wanted.expires else {
        return Err(Problem::wrong("\"expires\" is missing: write after how long it ends, such as \"5m\""));
    };
    let life = time("expires", expires, FAULT_LIFE_MAX)?;
    let delay = wanted.delay.as_deref().map(|text| time("delay", text, FAULT_DELAY_MAX)).transpose()?;
    if wanted.abort.is_some_and(|status| !(400..=599).contains(&status)) {
        return Err(Problem::wrong("abort must be a status from 400 to 599"));
    }
    if wanted.throttle == Some(0) {
        return Err(Problem::wrong("throttle must be at least 1 byte a second"));
    }
    let effect = Effect { delay, abort: wanted.abort, throttle: wanted.throttle, down: wanted.down };
    if effect == Effect::default() {
        return Err(Problem::wrong("nothing would happen: write delay, abort, throttle or down"));
    }
    let share = match wanted.percent.as_deref() {
        None => Weight::WHOLE,
        Some(text) => Weight::read(text)
            .map_err(|fault| Problem::wrong(format!("percent: {}: {}", fault.wrong, fault.right)))?,
    };
    Ok(Fault { id: 0, target: target(plan, wanted)?, share, effect, ends: now + life })
}

/// Names must be those of the plan: a fault that hits nothing is a mistake.
fn target(plan: &Plan, wanted: Wanted) -> Result<Target, Problem> {
    let catalogue = plan.catalogue();
    let missing = |kind: &str, name: &str| {
        let name: String = name.chars().take(80).filter(|c| !c.is_control()).collect();
        Problem::missing(format!("there is no {kind} \"{name}\""))
    };
    if let Some(name) = wanted.service.as_deref().filter(|name| catalogue.service(name).is_none()) {
        return Err(missing("service", name));
    }
    if let Some(name) = &wanted.version {
        let within = |service: &&str| wanted.service.as_deref().is_none_or(|wanted| wanted == *service);
        let mut services = catalogue.services().iter().filter(|service| within(&service.name.as_str()));
        if !services.any(|service| service.versions.iter().any(|version| version.name.as_str() == name)) {
            return Err(missing("version", name));
        }
    }
    if let Some(name) = &wanted.route
        && !catalogue.routes().iter().any(|route| route.name.as_str() == name)
    {
        return Err(missing("route", name));
    }
    let header = match wanted.header {
        None => None,
        Some(Header { name, value }) => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => Some((name, value)),
            Err(_) => return Err(Problem::wrong("header.name is not the name of a header field")),
        },
    };
    Ok(Target {
        service: wanted.service.and_then(|name| ServiceName::try_new(&name).ok()),
        version: wanted.version.and_then(|name| VersionName::try_new(&name).ok()),
        route: wanted.route.and_then(|name| RouteName::try_new(&name).ok()),
        header,
    })
}
