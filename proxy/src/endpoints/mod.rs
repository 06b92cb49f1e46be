//! Who is ready, carried from those who find out to those who choose.
//!
//! Each version has one [`Endpoints`]: behind a lock, the [`Standings`] that say who is ready and why not, and
//! before it a [`Roster`], the immutable result. Whoever learns something — a health check, an answer of DNS, a
//! file, failures that a worker counted — tells the standings, and a new roster is published. A worker compares
//! one pointer for each request and never meets the lock.
//!
//! [`keeper`] starts, on the housekeeping runtime, what the configuration of each version asks for, and stops
//! what it asks for no more.

mod counts;
pub(crate) mod keeper;
mod outlier;
pub(crate) mod report;
mod roster;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use arc_swap::{ArcSwap, Cache};
use serin_config::{Address, EndpointPolicy, Generation, Version};
use serin_split::standing::{Interval, Reason, Standing, Standings};
use tokio::sync::{Notify, watch};

pub(crate) use self::{counts::Counts, roster::Roster};

/// A worker's way to read a roster: a pointer comparison while it stays the same.
pub(crate) type RosterReader = Cache<Arc<ArcSwap<Roster>>, Arc<Roster>>;

/// The endpoints of one version, for all workers and housekeeping.
#[derive(Debug)]
pub(crate) struct Endpoints {
    state: Mutex<State>,
    roster: Arc<ArcSwap<Roster>>,
    /// An endpoint has failed as often in a row as its policy allows.
    pub(crate) alarm: Notify,
    /// The addresses have changed.
    addresses: watch::Sender<Arc<[Address]>>,
    /// Ejections so far, in the order of [`Reason::ALL`].
    ejections: [AtomicU64; Reason::ALL.len()],
    /// Why the endpoints were not found when they were looked for last.
    trouble: Mutex<Option<String>>,
}

#[derive(Debug)]
struct State {
    standings: Standings,
    /// The counts of each of the standings' members, in their order.
    counts: Vec<Arc<Counts>>,
    /// The plan that was heard last; an older one changes nothing.
    generation: Generation,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                standings: Standings::new(EndpointPolicy::default()),
                counts: Vec::new(),
                generation: Generation::NONE,
            }),
            roster: Arc::new(ArcSwap::from_pointee(Roster::default())),
            alarm: Notify::new(),
            addresses: watch::Sender::new(Arc::from([])),
            ejections: Default::default(),
            trouble: Mutex::default(),
        }
    }
}

impl Endpoints {
    /// Takes over what a plan says of the version, before the plan is in force. Endpoints that are to be found elsewhere stay what they are until they are found.
    pub(crate) fn configure(&self, generation: Generation, version: &Version, now: Instant) {
        let mut state = self.state();
        if generation <= state.generation {
            return;
        }
        state.generation = generation;
        let changed = *state.standings.policy() != version.endpoint_policy;
        if changed {
            state.standings.set_policy(&version.endpoint_policy, now);
        }
        let moved = version.discovery.is_none() && self.put(&mut state, &version.endpoints, now);
        if changed || moved {
            self.publish(&state);
        }
    }

    /// The addresses that were found.
    pub(crate) fn found(&self, addresses: &[Address], now: Instant) -> bool {
        let mut state = self.state();
        let changed = self.put(&mut state, addresses, now);
        if changed {
            self.publish(&state);
        }
        changed
    }

    fn put(&self, state: &mut State, addresses: &[Address], now: Instant) -> bool {
        let known: Vec<_> = state.standings.members().iter().map(|member| member.address.clone()).collect();
        if !state.standings.set_addresses(addresses, now) {
            return false;
        }
        let before = std::mem::take(&mut state.counts);
        state.counts = addresses
            .iter()
            .map(|address| {
                let at = known.iter().position(|known| known == address);
                at.and_then(|at| before.get(at).cloned()).unwrap_or_default()
            })
            .collect();
        self.addresses.send_replace(addresses.into());
        true
    }

    /// A health check of an endpoint ended; the error says why it failed. True if that changed who is ready.
    pub(crate) fn checked(&self, address: &Address, result: Result<(), String>, now: Instant) -> bool {
        let mut state = self.state();
        let changed = state.standings.checked(address, result, now);
        if changed {
            self.publish(&state);
        }
        changed
    }

    /// Ejects those that have failed too often in a row. Returns their addresses.
    pub(crate) fn eject_failing(&self, now: Instant) -> Vec<Address> {
        let mut state = self.state();
        let Some(limit) = state.standings.policy().outlier.and_then(|policy| policy.consecutive_failures)
        else {
            return Vec::new();
        };
        let addresses = state.standings.members().iter().map(|member| member.address.clone());
        let failing = addresses.zip(state.counts.clone()).filter(|(_, counts)| counts.in_a_row() >= limit);
        let mut ejected = Vec::new();
        for (address, counts) in failing.collect::<Vec<_>>() {
            if state.standings.failing(&address, now) {
                counts.forgive();
                ejected.push(address);
            }
        }
        self.note_ejections(Reason::ConsecutiveFailures, ejected.len());
        if !ejected.is_empty() {
            self.publish(&state);
        }
        ejected
    }

    /// Compares how the endpoints did since the last time. Returns the addresses of those that were ejected
    /// for it.
    pub(crate) fn compare(&self, now: Instant) -> Vec<Address> {
        let mut state = self.state();
        let intervals: Vec<Interval> = state.counts.iter().map(|counts| counts.take_interval()).collect();
        let at = state.standings.interval(&intervals, now);
        self.note_ejections(Reason::SuccessRate, at.len());
        if !at.is_empty() {
            self.publish(&state);
        }
        at.into_iter().filter_map(|at| Some(state.standings.members().get(at)?.address.clone())).collect()
    }

    /// Ends ejections whose time has come. Returns those addresses.
    pub(crate) fn expire(&self, now: Instant) -> Vec<Address> {
        let mut state = self.state();
        let at = state.standings.expire(now);
        for at in &at {
            // What failed before and during the ejection must not end its first attempt after it.
            if let Some(counts) = state.counts.get(*at) {
                counts.forgive();
            }
        }
        if !at.is_empty() {
            self.publish(&state);
        }
        at.into_iter().filter_map(|at| Some(state.standings.members().get(at)?.address.clone())).collect()
    }

    /// When the next ejection ends.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.state().standings.next_expiry()
    }

    /// How many there are, ready or not.
    pub(crate) fn count(&self) -> usize {
        self.roster.load().members.len()
    }

    /// Whether there is one that a request can be sent to.
    pub(crate) fn is_ready(&self) -> bool {
        !self.roster.load().ready.is_empty()
    }

    /// All endpoints as they stand.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        self.state().standings.members().to_vec()
    }

    /// They were looked for, and found or not. True if that is news.
    pub(crate) fn note_search(&self, trouble: Option<String>) -> bool {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *known != trouble;
        *known = trouble;
        news
    }

    /// Why the endpoints were not found when they were looked for last, if they were not.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ejections so far, by reason.
    pub(crate) fn ejections(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(&self.ejections).map(|(reason, count)| (reason, count.load(Relaxed)))
    }

    /// The addresses, now and whenever they change.
    pub(crate) fn addresses(&self) -> watch::Receiver<Arc<[Address]>> {
        self.addresses.subscribe()
    }

    /// For a worker.
    pub(crate) fn reader(&self) -> RosterReader {
        Cache::new(self.roster.clone())
    }

    fn note_ejections(&self, why: Reason, count: usize) {
        for (_, counter) in Reason::ALL.iter().zip(&self.ejections).filter(|(reason, _)| **reason == why) {
            counter.fetch_add(count as u64, Relaxed);
        }
    }

    fn publish(&self, state: &State) {
        let before = self.roster.load();
        self.roster.store(Arc::new(Roster::new(&state.standings, &state.counts, &before)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serin_config::VersionName;

    use super::*;
    use crate::clock;

    fn version(ports: &[u16]) -> Version {
        let endpoints = ports.iter().map(|port| Address::Tcp(([127, 0, 0, 1], *port).into()));
        Version::new(VersionName::try_new("v").unwrap(), endpoints.collect())
    }

    fn ready(endpoints: &Endpoints) -> Vec<String> {
        let roster = endpoints.reader().load().clone();
        let ready = roster.ready.iter().map(|at| roster.members[*at as usize].address.to_string());
        ready.collect()
    }

    #[test]
    fn an_older_plan_changes_nothing() {
        let (endpoints, now) = (Endpoints::default(), clock::now());
        endpoints.configure(Generation(2), &version(&[1, 2]), now);
        endpoints.configure(Generation(1), &version(&[3]), now);
        assert_eq!(ready(&endpoints), ["127.0.0.1:1", "127.0.0.1:2"]);
        endpoints.configure(Generation(3), &version(&[3]), now);
        assert_eq!(ready(&endpoints), ["127.0.0.1:3"]);
    }

    #[test]
    fn failures_in_a_row_on_any_worker_eject_once_and_are_forgiven() {
        let (endpoints, now) = (Endpoints::default(), clock::now());
        endpoints.configure(Generation(1), &version(&[1, 2]), now);
        let roster = endpoints.reader().load().clone();
        for _ in 0..4 {
            assert!(!roster.members[0].counts.failed(5));
        }
        assert!(endpoints.eject_failing(now).is_empty());
        assert!(roster.members[0].counts.failed(5));
        assert_eq!(endpoints.eject_failing(now).len(), 1);
        assert!(endpoints.eject_failing(now).is_empty());
        assert_eq!(ready(&endpoints), ["127.0.0.1:2"]);
        assert_eq!(endpoints.expire(now + Duration::from_secs(30)).len(), 1);
        assert_eq!(ready(&endpoints).len(), 2);
        let counted: Vec<_> = endpoints.ejections().map(|(reason, count)| (reason.label(), count)).collect();
        assert_eq!(counted, [("consecutive_failures", 1), ("success_rate", 0)]);
    }

    #[test]
    fn a_success_between_failures_begins_the_row_anew() {
        let counts = Counts::default();
        for _ in 0..3 {
            for _ in 0..4 {
                assert!(!counts.failed(5));
            }
            counts.succeeded();
        }
        assert_eq!(counts.in_a_row(), 0);
    }

    #[test]
    fn endpoints_that_stay_keep_their_counts() {
        let (endpoints, now) = (Endpoints::default(), clock::now());
        endpoints.configure(Generation(1), &version(&[1, 2]), now);
        let before = endpoints.reader().load().clone();
        endpoints.configure(Generation(2), &version(&[3, 2]), now);
        let after = endpoints.reader().load().clone();
        assert!(Arc::ptr_eq(&before.members[1].counts, &after.members[1].counts));
        assert!(!Arc::ptr_eq(&before.members[0].counts, &after.members[0].counts));
    }

    #[test]
    fn what_is_to_be_found_elsewhere_stays_until_it_is_found() {
        let (endpoints, now) = (Endpoints::default(), clock::now());
        endpoints.configure(Generation(1), &version(&[1]), now);
        let name = serin_config::endpoint::DnsName { host: "a".into(), port: 1 };
        let discovery = Some(serin_config::Discovery::Dns(name));
        endpoints.configure(Generation(2), &Version { discovery, ..version(&[]) }, now);
        assert_eq!(ready(&endpoints), ["127.0.0.1:1"]);
        assert!(endpoints.found(&version(&[5, 6]).endpoints, now));
        assert_eq!(ready(&endpoints), ["127.0.0.1:5", "127.0.0.1:6"]);
    }
}
