//! The lines on what a service does when a version fails, hangs or has too much to do.

use std::fmt::{self, Write};

use crate::{
    duration::show,
    resilience::{Breaker, Retries, Tripwire},
    service::Service,
};

/// What is on, a line for each.
pub(super) fn write(service: &Service, to: &mut String) -> fmt::Result {
    let resilience = &service.resilience;
    let shield = if resilience.shield && service.canary.is_some() { "; shield on" } else { "" };
    writeln!(
        to,
        "  retries   {}{shield}",
        resilience.retries.as_ref().map_or_else(|| "off".into(), retries)
    )?;
    writeln!(to, "  breaker   {}", breaker(&resilience.breaker))?;
    if let Some(adaptive) = resilience.adaptive_concurrency {
        let (min, max, tolerance) = (adaptive.min, adaptive.max, adaptive.tolerance);
        writeln!(to, "  adaptive  {min} to {max} requests, tolerance {tolerance}")?;
    }
    if service.canary.is_some() {
        writeln!(to, "  tripwire  {}", resilience.tripwire.as_ref().map_or_else(|| "off".into(), tripwire))?;
    }
    Ok(())
}

fn retries(retries: &Retries) -> String {
    let per_try = retries.per_try_timeout.map(|time| format!(", {} each", show(time))).unwrap_or_default();
    let times = if retries.attempts == 1 { "once".into() } else { format!("{} times", retries.attempts) };
    format!("{times} on {}{per_try}, budget {}", retries.on, retries.budget)
}

fn breaker(breaker: &Breaker) -> String {
    let requests =
        breaker.max_requests.map_or_else(|| "limits.max_requests_per_version".into(), |n| n.to_string());
    let mut text = format!("{requests} requests");
    if let Some(connections) = breaker.max_connections {
        // Writing to a String does not fail.
        let _ = write!(text, ", {connections} connections");
    }
    match breaker.max_pending {
        0 => text.push_str(", none waits"),
        pending => drop(write!(text, ", {pending} wait for {} at most", show(breaker.pending_timeout))),
    }
    if let Some(fallback) = &breaker.fallback {
        let _ = write!(text, ", then {}", fallback.status);
    }
    text
}

fn tripwire(wire: &Tripwire) -> String {
    let connect = wire.connect_failures.map(|n| format!("{n} connect failures in a row"));
    let timeouts = wire.timeouts.map(|n| format!("{n} timeouts in a row"));
    let failed = wire.failed_requests.map(|n| format!("{n} failed requests"));
    let hang = wire
        .hang
        .map(|hang| format!("{} requests without an answer for {}", hang.requests, show(hang.silence)));
    [connect, timeouts, failed, hang].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
