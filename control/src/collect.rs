//! Windows in: each once, gaps counted, and the last two minutes kept to be shown.
//!
//! A proxy numbers its windows without gaps, in each of its lives anew, so one number for each proxy is enough
//! to know what came before. Nothing here decides; the rollouts' evidence takes the same windows. They are kept to be
//! shown when they are settled, since a fleet's are added by then.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serin_config::{
    ServiceName, VersionName,
    limits::{PROXIES_MAX, RECENT_LATENCY_SECONDS_MAX, RECENT_SECONDS_MAX},
    outcome::OutcomeCounts,
    wire::{LatencyCounts, Unready, WindowCell, WindowReport},
};

/// Whether a window is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It is; this many before it never came.
    New {
        /// Windows between the last one and this one.
        lost: u64,
    },
    /// It was taken before, or belongs to an earlier life of its proxy.
    Duplicate,
}

#[derive(Debug, Clone)]
struct Seen {
    epoch: u64,
    sequence: u64,
    ended_ms: u64,
    /// When its last window came, on the clock here.
    heard_ms: u64,
    unready: Vec<Unready>,
}

/// A proxy that was silent for longer has no say in who is ready.
const LIVE_MS: u64 = 5_000;

/// What one version did in one second, all proxies and routes together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counts {
    /// How the attempts ended.
    pub outcomes: OutcomeCounts,
    /// Time to response headers; emptied when the second is no longer among the newest.
    pub headers: LatencyCounts,
    /// Median and 99th percentile in milliseconds, as they were when the latencies were emptied.
    last: (Option<f64>, Option<f64>),
}

impl Counts {
    /// Adds all of another.
    pub fn merge(&mut self, outcomes: &OutcomeCounts, headers: &LatencyCounts) {
        self.outcomes.merge(outcomes);
        self.headers.merge(headers);
    }

    /// Median and 99th percentile in milliseconds. Thousands of windows may be added for one look at them, so they are
    /// worked out at the look.
    pub fn quantiles_ms(&self) -> (Option<f64>, Option<f64>) {
        let in_ms = |q: f64| self.headers.quantile(q).map(|micros| micros / 1_000.0);
        if self.headers.0.is_empty() { self.last } else { (in_ms(0.5), in_ms(0.99)) }
    }

    fn empty_latencies(&mut self) {
        self.last = self.quantiles_ms();
        self.headers = LatencyCounts::default();
    }
}

/// One second of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Second {
    /// Which: seconds since 1970.
    pub at: u64,
    /// What each version did.
    pub versions: BTreeMap<VersionName, Counts>,
}

/// Takes windows, and remembers which it took.
#[derive(Debug, Default)]
pub struct Collector {
    proxies: HashMap<String, Seen>,
    recent: BTreeMap<ServiceName, VecDeque<Second>>,
}

impl Collector {
    /// Knows of windows that an earlier life of this process has settled: those are not taken again.
    pub fn resume<'a>(&mut self, marks: impl Iterator<Item = (&'a str, (u64, u64))>) {
        for (proxy, (epoch, sequence)) in marks {
            let seen = Seen { epoch, sequence, ended_ms: 0, heard_ms: 0, unready: Vec::new() };
            self.proxies.insert(proxy.to_owned(), seen);
        }
    }

    /// Takes a window, unless it was taken before. `now_ms` is in milliseconds since 1970, by a clock that
    /// never goes back.
    pub fn take(&mut self, report: &WindowReport, now_ms: u64) -> Arrival {
        let seen = Seen {
            epoch: report.epoch,
            sequence: report.sequence,
            ended_ms: report.ended_ms,
            heard_ms: now_ms,
            unready: report.unready.clone(),
        };
        let lost = match self.proxies.get(&report.proxy) {
            Some(old) if (report.epoch, report.sequence) <= (old.epoch, old.sequence) => {
                return Arrival::Duplicate;
            }
            Some(old) if report.epoch == old.epoch => report.sequence - old.sequence - 1,
            _ => 0,
        };
        if let Some(known) = self.proxies.get_mut(&report.proxy) {
            *known = seen;
            return Arrival::New { lost };
        }
        if self.proxies.len() >= PROXIES_MAX {
            let silent = self.proxies.iter().min_by_key(|(_, seen)| seen.ended_ms);
            if let Some(name) = silent.map(|(name, _)| name.clone()) {
                self.proxies.remove(&name);
            }
        }
        self.proxies.insert(report.proxy.clone(), seen);
        Arrival::New { lost }
    }

    /// Keeps what was counted in a second, to be shown. What comes of it later is added, while it is among the newest.
    pub fn show(&mut self, at: u64, cells: &[WindowCell]) {
        for cell in cells {
            let seconds = match self.recent.get_mut(cell.service.as_str()) {
                Some(seconds) => seconds,
                None => self.recent.entry(cell.service.clone()).or_default(),
            };
            let before = seconds.len();
            let Some(second) = place(seconds, at) else { continue };
            match second.versions.get_mut(cell.version.as_str()) {
                Some(counts) => counts.merge(&cell.outcomes, &cell.headers),
                None => {
                    let counts = second.versions.entry(cell.version.clone()).or_default();
                    counts.merge(&cell.outcomes, &cell.headers);
                }
            }
            if seconds.len() > before {
                trim(seconds);
            }
        }
    }

    /// Versions of a service that no live proxy can send a request to; none while no proxy reports.
    pub fn unready(&self, service: &ServiceName, now_ms: u64) -> Vec<VersionName> {
        let live = |seen: &&Seen| now_ms.saturating_sub(seen.heard_ms) <= LIVE_MS;
        let mut live = self.proxies.values().filter(live).map(|seen| {
            let of_service = seen.unready.iter().filter(|unready| unready.service == *service);
            of_service.map(|unready| unready.version.clone()).collect::<BTreeSet<_>>()
        });
        let Some(first) = live.next() else { return Vec::new() };
        let common = live.fold(first, |common, theirs| &common & &theirs);
        common.into_iter().collect()
    }

    /// The newest seconds in which a service had traffic, the oldest first.
    pub fn recent(&self, service: &str) -> impl DoubleEndedIterator<Item = &Second> + ExactSizeIterator {
        static NONE: VecDeque<Second> = VecDeque::new();
        self.recent.get(service).unwrap_or(&NONE).iter()
    }

    /// Forgets services that are no longer there.
    pub fn keep_only(&mut self, there: impl Fn(&ServiceName) -> bool) {
        self.recent.retain(|service, _| there(service));
    }
}

/// Drops what is old, now that there is a new second.
fn trim(seconds: &mut VecDeque<Second>) {
    while seconds.len() > RECENT_SECONDS_MAX {
        seconds.pop_front();
    }
    let old = seconds.len().saturating_sub(RECENT_LATENCY_SECONDS_MAX);
    for counts in seconds.range_mut(..old).flat_map(|second| second.versions.values_mut()) {
        if !counts.headers.0.is_empty() {
            counts.empty_latencies();
        }
    }
}

/// The entry of a second; none if it is older than all that are kept with their latencies, since then it
/// could no longer be added up right.
fn place(seconds: &mut VecDeque<Second>, at: u64) -> Option<&mut Second> {
    let after = seconds.iter().rev().take_while(|second| second.at > at).count();
    let index = seconds.len() - after;
    if index > 0 && seconds[index - 1].at == at {
        return (after < RECENT_LATENCY_SECONDS_MAX).then(|| &mut seconds[index - 1]);
    }
    if after >= RECENT_LATENCY_SECONDS_MAX {
        return None;
    }
    seconds.insert(index, Second { at, versions: BTreeMap::new() });
    seconds.get_mut(index)
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
