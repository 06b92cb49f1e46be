//! Proxies that are refused, since another one has their name. Pure: refusals and times come in.
//!
//! Of two proxies with one name the one that started later is served. The other serves its users on with the plan that it had,
//! a canary that was taken out since included, and nothing from here reaches it: so whoever looks at the fleet must see it.
//! All that is known of it is what it says each time that it tries. It tries every few seconds for as long as it runs, so
//! one that no longer does has ended, has another name now, or was let in.
//!
//! A process that takes over from another one has its name for a moment, too, and so has one whose clock was set back while
//! its old stream hangs. So people are told of those only that are refused for longer than that lasts; they are listed at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serin_config::{
    Generation,
    limits::{FLEET_DUPLICATE_REMEMBERED, FLEET_DUPLICATE_TOLD, FLEET_DUPLICATES_MAX},
};

use super::registry::{Arrival, PlanName};

/// A proxy that is refused for its name, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The name, under which another proxy is served.
    pub proxy: String,
    /// When it started, in milliseconds since 1970 on its own clock.
    pub epoch: u64,
    /// The release that it runs.
    pub version: String,
    /// From where it tries.
    pub address: String,
    /// Since when it is refused, in milliseconds since 1970.
    pub since_ms: u64,
    /// When it was refused last, in milliseconds since 1970.
    pub refused_ms: u64,
    /// The plan in force there.
    pub generation: Generation,
}

#[derive(Debug)]
struct Known {
    version: String,
    address: String,
    since_ms: u64,
    refused_ms: u64,
    plan: PlanName,
    told: bool,
}

/// All of them, by name and by when they started.
#[derive(Debug, Default)]
pub(super) struct Duplicates(BTreeMap<(String, u64), Known>);

impl Duplicates {
    /// Whoever tried to connect was refused for its name. `now_ms` is in milliseconds since 1970, here and below.
    pub(super) fn refused(&mut self, arrival: Arrival, now_ms: u64) {
        let Arrival { proxy, epoch, version, address, plan, .. } = arrival;
        let key = (proxy, epoch);
        if !self.0.contains_key(&key) && self.0.len() >= FLEET_DUPLICATES_MAX {
            let oldest = self.0.iter().min_by_key(|(_, known)| known.refused_ms).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        let new = Known {
            version: String::new(),
            address: String::new(),
            since_ms: now_ms,
            refused_ms: now_ms,
            plan: PlanName::none(),
            told: false,
        };
        let known = self.0.entry(key).or_insert(new);
        (known.version, known.address, known.plan, known.refused_ms) = (version, address, plan, now_ms);
    }

    /// It is served now.
    pub(super) fn served(&mut self, proxy: &str, epoch: u64) {
        self.0.remove(&(proxy.to_owned(), epoch));
    }

    /// Forgets those that have not tried for long.
    pub(super) fn forget(&mut self, now_ms: u64) {
        let long = in_ms(FLEET_DUPLICATE_REMEMBERED);
        self.0.retain(|_, known| now_ms.saturating_sub(known.refused_ms) < long);
    }

    /// Those that are refused for so long that people must hear of it; each once.
    pub(super) fn untold(&mut self) -> Vec<Duplicate> {
        let long = in_ms(FLEET_DUPLICATE_TOLD);
        let due = self
            .0
            .iter_mut()
            .filter(|(_, known)| !known.told && known.refused_ms.saturating_sub(known.since_ms) >= long);
        due.map(|(key, known)| {
            known.told = true;
            shown(key, known)
        })
        .collect()
    }

    /// Everybody.
    pub(super) fn all(&self) -> Vec<Duplicate> {
        self.0.iter().map(|(key, known)| shown(key, known)).collect()
    }

    /// Where each is, of those whose plan is such.
    pub(super) fn whose(&self, plan: impl Fn(&PlanName) -> bool) -> Vec<String> {
        let such = self.0.iter().filter(|(_, known)| plan(&known.plan));
        such.map(|((proxy, _), known)| format!("{proxy} at {}", known.address)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn shown((proxy, epoch): &(String, u64), known: &Known) -> Duplicate {
    Duplicate {
        proxy: proxy.clone(),
        epoch: *epoch,
        version: known.version.clone(),
        address: known.address.clone(),
        since_ms: known.since_ms,
        refused_ms: known.refused_ms,
        generation: known.plan.generation,
    }
}

fn in_ms(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "duplicates_tests.rs"]
mod tests;
