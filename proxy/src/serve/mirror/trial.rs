//! Copies by which a canary is judged before it has a user: what is copied then, and how pairs are counted.
//!
//! A pair is a request of the stable version and its copy. It is counted when both have ended, both in the same second, so
//! that windows always hold the two arms of the same requests. The first attempt of a request counts, as that of a copy does;
//! a request that says nothing of its version (its client gave up, a fault was injected) is no pair.
//!
//! The canary's trip-wire is there for copies as well: a canary that can't be reached or does not answer gets no more of
//! them, until a plan says otherwise. Failed copies spend nothing of what a canary may cost: nobody was harmed.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use http::Method;
use serin_config::{
    Generation, Outcome, RouteName, ServiceName, VersionName, policy::Copying, resilience::Tripwire,
};
use serin_split::{Tally, tally::Drained, tally::Timing};

use super::Mirror;
use crate::{observe::metrics, shared::VersionShared};

/// How one attempt ended.
pub(super) type Ended = (Outcome, Timing);

/// What is special about copies in a step of a rollout.
pub(crate) struct Trial {
    /// The position of the stable version, whose requests are copied.
    pub(crate) from: usize,
    pub(crate) methods: Vec<Method>,
    /// The canary's wire, and since which plan it gets copies.
    pub(crate) wire: Option<Tripwire>,
    pub(crate) since: Generation,
    pub(crate) shared: Arc<VersionShared>,
    /// The pairs of each route, in the order of the catalogue.
    pub(crate) pairs: Vec<Rc<RefCell<Paired>>>,
}

impl Trial {
    /// The methods that are copied, as requests have them.
    pub(crate) fn methods(copying: &Copying) -> Vec<Method> {
        copying.methods.iter().filter_map(|method| Method::from_bytes(method.as_bytes()).ok()).collect()
    }

    /// Whether such a request may be copied to that canary now.
    pub(super) fn wants(&self, mirror: &Mirror, picked: usize, method: &Method) -> bool {
        if picked != self.from || !self.methods.contains(method) || self.shared.trip.is_out(self.since) {
            return false;
        }
        let ready = mirror.backend.choice.has_ready();
        if !ready {
            mirror.counters.no_endpoint.increment(1);
        }
        ready
    }

    /// Lets the canary's wire know how a copy ended; `headed` if its answer had begun.
    pub(super) fn note(&self, mirror: &Mirror, outcome: Outcome, headed: bool) {
        if let Some(wire) = &self.wire
            && self.shared.trip.note(wire, outcome, headed, false)
            && let Some(tripped) = self.shared.trip.tripped()
        {
            metrics::tripped(&mirror.backend.rules.key, &tripped.reason);
        }
    }
}

/// Pairs of one route on one worker.
#[derive(Debug, Default)]
pub(crate) struct Paired {
    copies: Tally,
    originals: Tally,
}

impl Paired {
    /// Counts a pair.
    pub(super) fn record(&mut self, copy: Ended, original: Ended) {
        self.copies.record(copy.0, copy.1);
        self.originals.record(original.0, original.1);
    }

    /// Takes out the pairs since the last drain, those of copies first; none if that is nothing.
    pub(crate) fn drain(&mut self) -> Option<[Drained; 2]> {
        let (copies, originals) = (self.copies.drain(), self.originals.drain());
        Some([copies?, originals?])
    }
}

/// Whose pairs they are: the service, its canary and its stable version, the route.
pub(crate) type PairedKey = (ServiceName, VersionName, VersionName, RouteName);
