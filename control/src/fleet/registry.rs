//! Who belongs to the fleet, and what each proxy was last seen to do. Pure: events and times come in.
//!
//! A proxy is known by its name. The newest life of a name is the one that counts: a stream of an earlier life is
//! refused while a later one is connected. Lives are numbered by the clocks of proxies, and a clock may be set back
//! between two of them: whoever comes with a number from the past when no other is there is given the next one after the
//! highest that is known, so that its windows are not taken for old ones. A proxy whose stream broke off stays known for a
//! while, as it may well serve on with the plan that it had; one that said that it ends does not.
//!
//! A plan is in force at a proxy when the proxy names this very plan: by its number and by its identity. One with a plan of
//! another history, whose store was lost or set back since, may well have the same number or a higher one, and would refuse
//! every plan from here up to there. [`Registry::ahead`] names it, so that numbers go on beyond it.
//!
//! Whoever is refused since another one has its name is no member, and yet one that serves users: see [`super::duplicates`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serin_config::{
    Generation, Identity, Plan, ServiceName,
    limits::{FLEET_REMEMBERED, FLEET_STREAMS_MAX, PROXIES_MAX, ROLLBACK_ACKNOWLEDGED},
    wire::WindowReport,
};

use super::duplicates::{Duplicate, Duplicates};

/// One proxy, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyStatus {
    /// Its name.
    pub proxy: String,
    /// The release that it runs; none of a proxy in this process.
    pub version: Option<String>,
    /// From where its stream comes; none of a proxy in this process.
    pub address: Option<String>,
    /// Which life of it: when it started, in milliseconds since 1970 on its own clock, or later where it is known to have
    /// lived later than that.
    pub epoch: u64,
    /// Whether its stream is open.
    pub connected: bool,
    /// Since when it is, or is not, in milliseconds since 1970.
    pub since_ms: u64,
    /// The plan in force there, as far as it is known here.
    pub generation: Generation,
    /// Whether that is the plan in force here: this very plan, not only one of its number.
    pub acknowledged: bool,
    /// For how many milliseconds the present plan has been on its way there; none where it has arrived.
    pub lag_ms: Option<u64>,
    /// Why the newest plan that it was told was not taken; empty where the plan in force here is in force there.
    pub refused: Vec<String>,
    /// Its last window.
    pub last_window: Option<WindowSeen>,
}

/// A window that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSeen {
    /// Its number.
    pub sequence: u64,
    /// When it ended, in milliseconds since 1970 on the proxy's clock.
    pub ended_ms: u64,
    /// When it came, in milliseconds since 1970 on the clock here.
    pub heard_ms: u64,
}

/// Who connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The name.
    pub proxy: String,
    /// Which life of it, by its own clock or as it was told.
    pub epoch: u64,
    /// The newest life of that name whose windows are stored; 0 where there is none.
    pub stored: u64,
    /// The release.
    pub version: String,
    /// From where.
    pub address: String,
    /// The plan in force there.
    pub plan: PlanName,
}

/// Which plan it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanName {
    /// Its number.
    pub generation: Generation,
    /// Its identity; empty where a release does not know it.
    pub identity: Identity,
}

impl PlanName {
    /// Of this plan.
    pub fn of(plan: &Plan) -> Self {
        Self { generation: plan.generation(), identity: plan.identity() }
    }

    /// Before the first plan.
    pub fn none() -> Self {
        Self { generation: Generation::NONE, identity: Identity::default() }
    }

    /// Whether both are one plan, as far as it is known.
    fn is(&self, other: &Self) -> bool {
        self.generation == other.generation && !self.identity.contradicts(&other.identity)
    }

    /// Whether whoever has this one takes no plan up to that one, and does not have it.
    fn is_ahead_of(&self, other: &Self) -> bool {
        self.generation > other.generation || (self.generation == other.generation && !self.is(other))
    }
}

/// Why a stream is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The name has a later life with an open stream.
    #[error(
        "another proxy that started later is connected as \"{0}\": give each proxy a name of its own (telemetry.instance)"
    )]
    NameTaken(String),
    /// There are too many.
    #[error("{FLEET_STREAMS_MAX} proxies are connected, which is the most")]
    Full,
}

/// A rollback that proxies have not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The plan that took a canary out, or several.
    pub generation: Generation,
    /// Whose, by name; also those of rollbacks shortly before it.
    pub services: BTreeSet<ServiceName>,
    /// Connected proxies that have not said that it is in force.
    pub silent: Vec<String>,
    /// Known proxies without a stream, which may serve on with an earlier plan.
    pub away: Vec<String>,
    /// Proxies that are refused, since another one has their name, with where they are: they serve on with an earlier plan.
    pub refused: Vec<String>,
}

impl Overdue {
    /// How many.
    pub fn proxies(&self) -> usize {
        self.silent.len() + self.away.len() + self.refused.len()
    }
}

/// Which stream of a proxy.
pub type Stream = u64;

#[derive(Debug)]
struct Proxy {
    epoch: u64,
    version: Option<String>,
    address: Option<String>,
    stream: Option<Stream>,
    /// It has said that it ends: it is kept for what still comes of it, and not shown.
    ended: bool,
    since_ms: u64,
    plan: PlanName,
    refused: Vec<String>,
    last_window: Option<WindowSeen>,
}

impl Proxy {
    /// Whether it has a process of its own, and has not ended.
    fn is_away_or_connected(&self) -> bool {
        self.address.is_some() && !self.ended
    }
}

/// The plan that all shall have.
#[derive(Debug, Clone)]
struct Wanted {
    plan: PlanName,
    since_ms: u64,
}

/// A plan that takes canaries out, or lowers their shares.
#[derive(Debug, Clone)]
struct Rollback {
    plan: PlanName,
    since_ms: u64,
    /// Whose canaries, also those of rollbacks before it that were not looked at yet: who has not followed this one may not have
    /// followed those.
    services: BTreeSet<ServiceName>,
}

/// Everybody who is known.
#[derive(Debug, Default)]
pub struct Registry {
    proxies: BTreeMap<String, Proxy>,
    duplicates: Duplicates,
    streams: Stream,
    wanted: Option<Wanted>,
    /// The newest rollback, until it was looked at whether all have followed.
    rollback: Option<Rollback>,
}

impl Registry {
    /// A stream begins; an earlier one of the same proxy is over. `now_ms` is in milliseconds since 1970, here and
    /// below.
    pub fn arrive(&mut self, arrival: Arrival, now_ms: u64) -> Result<Stream, Refused> {
        let known = self.proxies.get(&arrival.proxy);
        if known.is_some_and(|known| known.stream.is_some() && known.epoch > arrival.epoch) {
            let name = arrival.proxy.clone();
            self.duplicates.refused(arrival, now_ms);
            return Err(Refused::NameTaken(name));
        }
        let connected = self.proxies.values().filter(|proxy| proxy.stream.is_some()).count();
        if known.is_none_or(|known| known.stream.is_none()) && connected >= FLEET_STREAMS_MAX {
            return Err(Refused::Full);
        }
        let newest = known.map_or(0, |known| known.epoch).max(arrival.stored);
        let epoch = if arrival.epoch < newest { newest.saturating_add(1) } else { arrival.epoch };
        self.make_room(&arrival.proxy);
        self.duplicates.served(&arrival.proxy, arrival.epoch);
        self.streams += 1;
        let last_window = known_window(self.proxies.get(&arrival.proxy), epoch);
        let proxy = Proxy {
            epoch,
            version: Some(arrival.version),
            address: Some(arrival.address),
            stream: Some(self.streams),
            ended: false,
            since_ms: now_ms,
            plan: arrival.plan,
            refused: Vec::new(),
            last_window,
        };
        self.proxies.insert(arrival.proxy, proxy);
        Ok(self.streams)
    }

    /// Which life a proxy with a stream is taken for; none of one that has none.
    pub fn life(&self, proxy: &str) -> Option<u64> {
        self.proxies.get(proxy).filter(|known| known.stream.is_some()).map(|known| known.epoch)
    }

    /// Whether this is still the stream of that proxy.
    pub fn is_current(&self, proxy: &str, stream: Stream) -> bool {
        self.proxies.get(proxy).is_some_and(|known| known.stream == Some(stream))
    }

    /// A proxy has taken a plan, or has said why it did not.
    pub fn answered(&mut self, proxy: &str, stream: Stream, plan: PlanName, problems: Vec<String>) {
        let Some(known) = self.proxies.get_mut(proxy).filter(|known| known.stream == Some(stream)) else {
            return;
        };
        if problems.is_empty() && plan.generation >= known.plan.generation {
            known.plan = plan;
        }
        known.refused = problems;
    }

    /// A stream is over; `ends` if the proxy said that it ends.
    pub fn left(&mut self, proxy: &str, stream: Stream, ends: bool, now_ms: u64) {
        let Some(known) = self.proxies.get_mut(proxy).filter(|known| known.stream == Some(stream)) else {
            return;
        };
        (known.stream, known.since_ms, known.ended) = (None, now_ms, ends);
    }

    /// A new window was taken, over a stream or from this process.
    pub fn heard(&mut self, report: &WindowReport, now_ms: u64) {
        self.make_room(&report.proxy);
        let known = self.proxies.entry(report.proxy.clone()).or_insert_with(|| Proxy {
            epoch: report.epoch,
            version: None,
            address: None,
            stream: None,
            ended: false,
            since_ms: now_ms,
            plan: PlanName::none(),
            refused: Vec::new(),
            last_window: None,
        });
        if known.address.is_none() {
            // It has no stream: its epoch and plan are those of its windows.
            if report.epoch > known.epoch {
                (known.epoch, known.since_ms, known.plan) = (report.epoch, now_ms, PlanName::none());
            }
            known.plan.generation = known.plan.generation.max(report.generation);
        }
        if known.epoch == report.epoch {
            known.last_window =
                Some(WindowSeen { sequence: report.sequence, ended_ms: report.ended_ms, heard_ms: now_ms });
        }
    }

    /// A plan is in force here, and is on its way to everybody. `out`: the services whose canaries it takes out, or lowers.
    pub fn published(&mut self, plan: PlanName, out: &[ServiceName], now_ms: u64) {
        if !out.is_empty() {
            let before = self.rollback.take().map(|rollback| rollback.services).unwrap_or_default();
            let services = before.into_iter().chain(out.iter().cloned()).collect();
            self.rollback = Some(Rollback { plan: plan.clone(), since_ms: now_ms, services });
        }
        self.wanted = Some(Wanted { plan, since_ms: now_ms });
    }

    /// The proxy with a stream whose plan has the highest number of those that are of another history and not below that of
    /// the plan here: no plan is taken there before numbers go on beyond it.
    pub fn ahead(&self) -> Option<(&str, Generation)> {
        let ahead = self.proxies.iter().filter(|(_, proxy)| proxy.stream.is_some() && self.is_ahead(proxy));
        ahead.map(|(name, proxy)| (name.as_str(), proxy.plan.generation)).max_by_key(|(_, theirs)| *theirs)
    }

    fn is_ahead(&self, proxy: &Proxy) -> bool {
        self.is_beyond(&proxy.plan)
    }

    fn is_beyond(&self, plan: &PlanName) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| plan.is_ahead_of(&wanted.plan))
    }

    /// Those who have not followed the newest rollback in time; told once.
    pub fn overdue(&mut self, now_ms: u64) -> Option<Overdue> {
        let grace = u64::try_from(ROLLBACK_ACKNOWLEDGED.as_millis()).unwrap_or(u64::MAX);
        let Rollback { plan, services, .. } =
            self.rollback.take_if(|rollback| now_ms.saturating_sub(rollback.since_ms) >= grace)?;
        let generation = plan.generation;
        let late = |connected: bool| {
            let late = self.proxies.iter().filter(|(_, proxy)| {
                proxy.is_away_or_connected()
                    && proxy.stream.is_some() == connected
                    && (proxy.plan.generation < generation || self.is_ahead(proxy))
            });
            late.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let (silent, away) = (late(true), late(false));
        let refused = self.duplicates.whose(|plan| plan.generation < generation || self.is_beyond(plan));
        let overdue = Overdue { generation, services, silent, away, refused };
        (overdue.proxies() > 0).then_some(overdue)
    }

    /// How many proxies with a stream have not said that the plan of the newest rollback, or a later one, is in
    /// force; how many streams there are; and how many proxies are known without one.
    pub fn counts(&self) -> FleetCounts {
        let has = |proxy: &Proxy| self.wanted.as_ref().is_none_or(|wanted| proxy.plan.is(&wanted.plan));
        let mut counts = FleetCounts { duplicates: self.duplicates.len(), ..FleetCounts::default() };
        for proxy in self.proxies.values().filter(|proxy| proxy.is_away_or_connected()) {
            match proxy.stream {
                Some(_) => {
                    counts.connected += 1;
                    counts.behind += usize::from(!has(proxy));
                }
                None => counts.away += 1,
            }
        }
        counts
    }

    /// Proxies that are refused, since another one has their name.
    pub fn duplicates(&self) -> Vec<Duplicate> {
        self.duplicates.all()
    }

    /// Those of them that people must hear of; each once.
    pub fn untold_duplicates(&mut self) -> Vec<Duplicate> {
        self.duplicates.untold()
    }

    /// Forgets proxies that have been away for long.
    pub fn forget(&mut self, now_ms: u64) {
        self.duplicates.forget(now_ms);
        let long = u64::try_from(FLEET_REMEMBERED.as_millis()).unwrap_or(u64::MAX);
        self.proxies.retain(|_, proxy| {
            let heard =
                proxy.last_window.map_or(proxy.since_ms, |window| window.heard_ms.max(proxy.since_ms));
            proxy.stream.is_some() || now_ms.saturating_sub(heard) < long
        });
    }

    /// Everybody, by name.
    pub fn proxies(&self, now_ms: u64) -> Vec<ProxyStatus> {
        let known = self.proxies.iter().filter(|(_, proxy)| !proxy.ended);
        known.map(|(name, proxy)| self.status(name, proxy, now_ms)).collect()
    }

    fn status(&self, name: &str, proxy: &Proxy, now_ms: u64) -> ProxyStatus {
        let in_process = proxy.address.is_none();
        let behind = self.wanted.as_ref().filter(|wanted| !proxy.plan.is(&wanted.plan) && !in_process);
        ProxyStatus {
            proxy: name.to_owned(),
            version: proxy.version.clone(),
            address: proxy.address.clone(),
            epoch: proxy.epoch,
            connected: proxy.stream.is_some() || in_process,
            since_ms: proxy.since_ms,
            generation: proxy.plan.generation,
            acknowledged: behind.is_none(),
            lag_ms: behind.map(|wanted| now_ms.saturating_sub(wanted.since_ms.max(proxy.since_ms))),
            refused: behind.map(|_| proxy.refused.clone()).unwrap_or_default(),
            last_window: proxy.last_window,
        }
    }

    /// The proxy that has been away longest gives way.
    fn make_room(&mut self, name: &str) {
        if self.proxies.contains_key(name) || self.proxies.len() < PROXIES_MAX {
            return;
        }
        let away = self.proxies.iter().filter(|(_, proxy)| proxy.stream.is_none());
        let oldest = away.min_by_key(|(_, proxy)| proxy.since_ms).map(|(name, _)| name.clone());
        if let Some(oldest) = oldest {
            self.proxies.remove(&oldest);
        }
    }
}

fn known_window(known: Option<&Proxy>, epoch: u64) -> Option<WindowSeen> {
    known.filter(|known| known.epoch == epoch).and_then(|known| known.last_window)
}

/// Proxies with a process of their own, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FleetCounts {
    /// With an open stream.
    pub connected: usize,
    /// Those of them that do not have the plan in force here yet.
    pub behind: usize,
    /// Known, without a stream.
    pub away: usize,
    /// Refused, since another one has their name.
    pub duplicates: usize,
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
