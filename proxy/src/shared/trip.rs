//! The trip-wire of one version: counters that all workers touch, and the decision that all of them read.
//!
//! A trip belongs to the plan under which it happened. It holds until a plan comes that gave the canary its
//! weight, or its copies, anew after that ([`Plan::canary_since`](serin_config::Plan::canary_since)), so there is nothing to
//! clear, and nothing that a plan which crossed the trip could clear by mistake. An operator may forgive it by
//! hand too.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};
use serin_config::{Generation, Outcome, resilience::Tripwire};
use serin_split::resilience::tripwire::{Reason, Signal, signal};

use crate::{
    clock,
    legacy::{Held, LeftReason},
};

/// Why and when a version was taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tripped {
    #[serde(with = "LeftReason")]
    pub(crate) reason: Reason,
    /// The plan in force.
    pub(crate) generation: Generation,
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
}

/// The wire of one version.
#[derive(Debug, Default)]
pub(crate) struct Trip {
    /// The generation of the last trip plus one; zero if there was none.
    tripped: AtomicU64,
    /// Of the newest plan that a worker serves.
    generation: AtomicU64,
    since: AtomicU64,
    armed: AtomicBool,
    unreachable: AtomicU32,
    late: AtomicU32,
    failed: AtomicU64,
    /// How often counting began anew.
    lives: AtomicU64,
    report: Mutex<Option<Tripped>>,
}

impl Trip {
    /// A worker begins to serve a plan. The wire is armed while the stable version can take over: it has
    /// weight beside the canary, or stands by, or the canary has copies only; what was counted before the canary had its weight is forgotten.
    pub(crate) fn arm(&self, generation: Generation, since: Generation, armed: bool) {
        if self.generation.fetch_max(generation.0, Ordering::Relaxed) > generation.0 {
            return;
        }
        self.armed.store(armed, Ordering::Relaxed);
        if self.since.fetch_max(since.0, Ordering::Relaxed) < since.0 {
            self.forget();
        }
    }

    /// The plan `generation` has no use for a wire at this version: it is no canary, or it is given everything with nobody who
    /// stands by, which whoever decided that knew. Nothing is held against it any more, or it would be taken out much later,
    /// by a plan that makes it a canary beside others again.
    pub(crate) fn overrule(&self, generation: Generation) {
        if self.generation.fetch_max(generation.0, Ordering::Relaxed) > generation.0 {
            return;
        }
        self.armed.store(false, Ordering::Relaxed);
        let was_out = self.tripped.swap(0, Ordering::Relaxed) > 0;
        if was_out || self.failed.load(Ordering::Relaxed) > 0 {
            self.forget();
        }
    }

    /// Whether the version is out for a plan whose canary has had its weight since `since`.
    pub(crate) fn is_out(&self, since: Generation) -> bool {
        let tripped = self.tripped.load(Ordering::Relaxed);
        tripped > since.0
    }

    /// Takes note of an ended attempt; `headed` if its answer had begun, and `of_user` if it was not one of a tester
    /// who asked for the version by name: what those find out is no harm done. True if that tripped the wire.
    pub(crate) fn note(&self, wire: &Tripwire, outcome: Outcome, headed: bool, of_user: bool) -> bool {
        let limit = |limit: Option<u32>, count: u32| limit.is_some_and(|limit| count >= limit);
        let reason = match signal(outcome, headed) {
            Signal::Unreachable => {
                let count = self.unreachable.fetch_add(1, Ordering::Relaxed) + 1;
                limit(wire.connect_failures, count).then_some(Reason::Unreachable(count))
            }
            Signal::Late => {
                clear(&self.unreachable);
                let count = self.late.fetch_add(1, Ordering::Relaxed) + 1;
                limit(wire.timeouts, count).then_some(Reason::Late(count))
            }
            Signal::Answered => {
                clear(&self.unreachable);
                clear(&self.late);
                None
            }
            Signal::Nothing => None,
        };
        let failed = wire.failed_requests.filter(|_| of_user && outcome.is_failure()).and_then(|most| {
            let count = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
            (count >= most).then_some(Reason::Failed(count))
        });
        reason.or(failed).is_some_and(|reason| self.trip(reason))
    }

    /// Takes the version out. True if it was in, and the stable version can take over.
    pub(crate) fn trip(&self, reason: Reason) -> bool {
        let (since, generation) =
            (self.since.load(Ordering::Relaxed), self.generation.load(Ordering::Relaxed));
        let tripped = self.tripped.load(Ordering::Relaxed);
        if !self.armed.load(Ordering::Relaxed) || tripped > since {
            return false;
        }
        let swapped =
            self.tripped.compare_exchange(tripped, generation + 1, Ordering::Relaxed, Ordering::Relaxed);
        if swapped.is_ok() {
            let tripped = Tripped { reason, generation: Generation(generation), at_ms: clock::unix_ms() };
            *self.report.lock().unwrap_or_else(PoisonError::into_inner) = Some(tripped);
        }
        swapped.is_ok()
    }

    /// The trip that holds, if one does.
    pub(crate) fn tripped(&self) -> Option<Tripped> {
        if !self.is_out(Generation(self.since.load(Ordering::Relaxed))) {
            return None;
        }
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a process that takes this one's place has to know; none where nothing is held against the version.
    pub(crate) fn held(&self) -> Option<Held> {
        let since = Generation(self.since.load(Ordering::Relaxed));
        let (failed, tripped) = (self.failed.load(Ordering::Relaxed), self.tripped());
        (failed > 0 || tripped.is_some()).then_some(Held { since, failed, tripped })
    }

    /// Holds it here as well, unless the canary was given its weight anew since. True if that takes the version out.
    pub(crate) fn take_up(&self, held: &Held) -> bool {
        if self.since.fetch_max(held.since.0, Ordering::Relaxed) > held.since.0 {
            return false;
        }
        self.failed.fetch_add(held.failed, Ordering::Relaxed);
        let Some(tripped) = held.tripped.clone().filter(|_| !self.is_out(held.since)) else { return false };
        let out = tripped.generation.0 + 1;
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = Some(tripped);
        self.tripped.fetch_max(out, Ordering::Relaxed);
        self.is_out(held.since)
    }

    /// Lets the version in again, with all counts at nothing. True if it was out.
    pub(crate) fn reset(&self) -> bool {
        let was = self.tripped().is_some();
        self.tripped.store(0, Ordering::Relaxed);
        self.forget();
        was
    }

    /// Changes whenever what was held against the version is forgotten: what others count of it begins anew then.
    pub(crate) fn life(&self) -> u64 {
        self.lives.load(Ordering::Relaxed)
    }

    fn forget(&self) {
        self.lives.fetch_add(1, Ordering::Relaxed);
        self.unreachable.store(0, Ordering::Relaxed);
        self.late.store(0, Ordering::Relaxed);
        self.failed.store(0, Ordering::Relaxed);
    }
}

/// Most of the time it is clear, and nobody need write to a line that all workers read.
fn clear(count: &AtomicU32) {
    if count.load(Ordering::Relaxed) != 0 {
        count.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(generation: u64, since: u64) -> Trip {
        let trip = Trip::default();
        trip.arm(Generation(generation), Generation(since), true);
        trip
    }

    fn times(trip: &Trip, n: usize, outcome: Outcome) -> bool {
        let wire = Tripwire { failed_requests: Some(20), ..Tripwire::default() };
        (0..n).any(|_| trip.note(&wire, outcome, outcome == Outcome::Ok || outcome == Outcome::Http5xx, true))
    }

    #[test]
    fn five_connect_failures_in_a_row_trip_and_four_do_not() {
        let trip = armed(3, 3);
        assert!(!times(&trip, 4, Outcome::ConnectFail) && !times(&trip, 1, Outcome::Ok));
        assert!(!times(&trip, 4, Outcome::ConnectTimeout));
        assert!(times(&trip, 1, Outcome::NoEndpoint) && trip.is_out(Generation(3)));
        assert_eq!(trip.tripped().unwrap().reason, Reason::Unreachable(5));
        assert!(!trip.trip(Reason::Late(9)), "it is out already");
    }

    #[test]
    fn timeouts_trip_too_and_what_clients_give_up_says_nothing() {
        let trip = armed(3, 3);
        assert!(!times(&trip, 4, Outcome::HeaderTimeout) && !times(&trip, 9, Outcome::ClientCancel));
        assert!(times(&trip, 1, Outcome::TotalTimeout));
    }

    #[test]
    fn a_version_that_is_given_everything_for_good_has_nothing_held_against_it_any_more() {
        let trip = armed(3, 3);
        assert!(times(&trip, 5, Outcome::ConnectFail));
        trip.overrule(Generation(2));
        assert!(trip.is_out(Generation(3)), "by an older plan nothing is forgiven");
        trip.overrule(Generation(4));
        assert_eq!((trip.tripped(), trip.held()), (None, None));
        assert!(!times(&trip, 9, Outcome::ConnectFail), "nobody could take over");
        trip.arm(Generation(5), Generation(3), true);
        assert!(!trip.is_out(Generation(3)), "beside others again it begins anew");
        assert!(times(&trip, 5, Outcome::ConnectFail));
    }

    #[test]
    fn a_spent_budget_of_failures_trips() {
        let trip = armed(3, 3);
        for _ in 0..19 {
            assert!(!times(&trip, 1, Outcome::Http5xx) && !times(&trip, 5, Outcome::Ok));
        }
        assert!(times(&trip, 1, Outcome::Http5xx));
        assert_eq!(trip.tripped().unwrap().reason, Reason::Failed(20));
    }

    #[test]
    fn who_takes_over_holds_the_same_against_the_canary_and_counts_on() {
        let before = armed(5, 3);
        assert!(before.held().is_none() && !times(&before, 19, Outcome::Http5xx));
        let after = Trip::default();
        assert!(!after.take_up(&before.held().unwrap()));
        after.arm(Generation(5), Generation(3), true);
        assert!(times(&after, 1, Outcome::Http5xx), "nineteen and one");
        let next = Trip::default();
        assert!(next.take_up(&after.held().unwrap()) && !next.take_up(&after.held().unwrap()));
        next.arm(Generation(6), Generation(3), true);
        assert!(next.is_out(Generation(3)) && next.tripped() == after.tripped());
        next.arm(Generation(8), Generation(8), true);
        assert!(next.tripped().is_none() && !next.is_out(Generation(8)), "forgiven as a trip of its own");
    }

    #[test]
    fn what_a_later_plan_has_forgiven_is_not_taken_up() {
        let before = armed(5, 3);
        assert!(times(&before, 5, Outcome::ConnectFail));
        let after = armed(8, 8);
        assert!(!after.take_up(&before.held().unwrap()) && after.held().is_none());
    }

    #[test]
    fn what_testers_find_out_spends_no_budget() {
        let (trip, wire) = (armed(3, 3), Tripwire { failed_requests: Some(2), ..Tripwire::default() });
        assert!((0..9).all(|_| !trip.note(&wire, Outcome::Http5xx, true, false)));
        assert!(
            !trip.note(&wire, Outcome::Http5xx, true, true) && trip.note(&wire, Outcome::Http5xx, true, true)
        );
    }

    #[test]
    fn a_trip_holds_through_later_plans_until_the_canary_is_given_weight_anew() {
        let trip = armed(5, 3);
        assert!(times(&trip, 5, Outcome::ConnectFail));
        trip.arm(Generation(6), Generation(3), true);
        assert!(trip.is_out(Generation(3)), "a step that crossed the trip changes nothing");
        trip.arm(Generation(8), Generation(8), true);
        assert!(!trip.is_out(Generation(8)) && trip.tripped().is_none());
        assert!(!times(&trip, 4, Outcome::ConnectFail), "and the counts begin anew");
        assert!(times(&trip, 1, Outcome::ConnectFail) && trip.is_out(Generation(8)));
    }

    #[test]
    fn a_worker_that_is_behind_does_not_turn_the_wire_back() {
        let trip = armed(8, 8);
        trip.arm(Generation(5), Generation(3), false);
        assert!(times(&trip, 5, Outcome::ConnectFail));
        assert_eq!(trip.tripped().unwrap().generation, Generation(8));
    }

    #[test]
    fn a_canary_that_nobody_can_take_over_from_never_trips_and_a_trip_can_be_forgiven() {
        let trip = Trip::default();
        trip.arm(Generation(3), Generation(3), false);
        assert!(!times(&trip, 50, Outcome::ConnectFail));
        let trip = armed(3, 3);
        assert!(times(&trip, 5, Outcome::ConnectFail) && trip.reset());
        assert!(!trip.is_out(Generation(3)) && !trip.reset());
        assert!(!times(&trip, 4, Outcome::ConnectFail));
    }
}
