//! When standings are looked at because of how attempts end: at once when an endpoint failed too often in a
//! row, once an interval for success rates, and when an ejection ends.

use std::sync::Arc;

use serin_config::{Address, OutlierPolicy};
use tokio::time::{Instant, MissedTickBehavior};

use super::keeper::Named;
use crate::{clock, shared::VersionShared};

/// Runs until it is dropped.
pub(super) async fn run(policy: OutlierPolicy, version: Arc<VersionShared>, named: Named) {
    let endpoints = &version.endpoints;
    let mut intervals = tokio::time::interval_at(Instant::now() + policy.interval, policy.interval);
    intervals.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next_expiry = endpoints.next_expiry();
        let expiry = async {
            match next_expiry {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = endpoints.alarm.notified() => {
                say(&named, &endpoints.eject_failing(clock::now()), "an endpoint fails again and again: it is left out");
            }
            _ = intervals.tick() => {
                say(&named, &endpoints.compare(clock::now()), "an endpoint fails more than the others: it is left out");
            }
            () = expiry => say(&named, &endpoints.expire(clock::now()), "an endpoint is used again"),
        }
    }
}

fn say(named: &Named, addresses: &[Address], what: &str) {
    for endpoint in addresses {
        tracing::warn!(service = %named.service, version = %named.version, %endpoint, "{what}");
    }
}
