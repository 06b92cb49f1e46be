//! Does a business event come more often, or less often, with the canary than with the stable version?
//!
//! An event is a word that responses name (an order placed, a search without a result), or that somebody else counts and
//! tells, with the number of requests among which it was counted. Each request has it or not, so
//! its rate is compared as error rates are, in the same blocks and with a ratio of its own: "more" is the
//! question of the error comparison, and "fewer" is the same question with the arms in each other's place. The cap
//! is never lifted, whatever the majority does: an event may be what most requests have.

use serde::{Deserialize, Serialize};
use serin_config::{
    EventName,
    policy::{CountedBy, Direction, ErrorComparison, EventGuard},
};

use crate::{
    block::{Block, Pair, Trials},
    error_rate::{ErrorRate, Tolerance},
    limit_guard::CAP_NATS,
    mixture::Cap,
    recent::Recent,
    window::{Arm, Window},
};

const CAP: Cap = Cap { nats: CAP_NATS, lifted_by_majority: false };

/// One event and its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventRate {
    event: EventName,
    fewer: bool,
    /// Whether somebody else counts it.
    #[serde(default)]
    pushed: bool,
    block: Block,
    worse: ErrorRate,
    recent: Recent,
}

impl EventRate {
    pub(crate) fn new(policy: &EventGuard) -> Self {
        let margin = ErrorComparison::default().margin.fraction();
        Self {
            event: policy.event.clone(),
            fewer: policy.bad == Direction::Fewer,
            pushed: policy.counted_by == CountedBy::Push,
            block: Block::default(),
            worse: ErrorRate::new(Tolerance { ratio: policy.ratio, margin }, CAP),
            recent: Recent::new(),
        }
    }

    /// Takes window number `number`.
    pub(crate) fn observe(&mut self, number: u64, window: &Window) {
        let mut pair = Pair::default();
        if self.pushed {
            pair = window.told.get(&self.event).copied().unwrap_or_default().plausible();
        } else {
            for route in window.routes.values() {
                pair.add(Pair { canary: self.count(&route.canary), stable: self.count(&route.stable) });
            }
        }
        self.recent.push(pair);
        if let Some(block) = self.block.add(pair) {
            self.worse.observe(number, &if self.fewer { block.swapped() } else { block });
        }
    }

    /// Forgets all evidence; from now on the logarithm of each factor is divided by `clump`.
    pub(crate) fn restart(&mut self, clump: f64) {
        self.worse.restart(clump);
    }

    /// A response that names an event twice has it once.
    fn count(&self, arm: &Arm) -> Trials {
        let named = arm.events.iter().find(|(event, _)| *event == self.event);
        Trials { requests: arm.judged, bad: named.map_or(0, |(_, count)| *count) }.plausible()
    }

    pub(crate) fn name(&self) -> &EventName {
        &self.event
    }

    /// Whether it is bad that it comes less often.
    pub(crate) fn fewer_is_bad(&self) -> bool {
        self.fewer
    }

    /// Requests with the event in the last minute.
    pub(crate) fn recent(&self) -> Pair {
        self.recent.sum()
    }

    pub(crate) fn ln_e(&self) -> f64 {
        self.worse.ln_e()
    }
}

#[cfg(test)]
mod tests {
    use serin_config::RouteName;

    use super::*;
    use crate::window::Pairing;

    fn after(bad: Direction, seconds: u64, canary: u64, stable: u64) -> f64 {
        let event = EventName::try_new("order").unwrap();
        let mut rate = EventRate::new(&EventGuard {
            event: event.clone(),
            bad,
            ratio: 1.2,
            counted_by: CountedBy::Proxy,
        });
        let arm = |judged, orders| Arm {
            events: vec![(EventName::try_new("search").unwrap(), judged), (event.clone(), orders)],
            ..Arm::counted(judged, 0)
        };
        let route = RouteName::try_new("shop").unwrap();
        let window = Window::of(&route, Pairing { canary: arm(100, canary), stable: arm(900, stable) });
        (0..seconds).for_each(|second| rate.observe(second, &window));
        rate.ln_e()
    }

    #[test]
    fn only_the_bad_direction_is_evidence() {
        assert!(after(Direction::Fewer, 60, 2, 90) > 9.3);
        assert!(after(Direction::More, 60, 2, 90) < 0.0);
        assert!(after(Direction::More, 60, 30, 90) > 9.3);
        assert!(after(Direction::Fewer, 60, 30, 90) < 0.0);
    }

    #[test]
    fn what_lies_within_the_ratio_is_no_evidence() {
        for bad in [Direction::More, Direction::Fewer] {
            assert!(after(bad, 600, 10, 90) < 3.0, "{bad:?}");
            assert!(after(bad, 600, 11, 90) < 3.0, "{bad:?}");
            assert!(after(bad, 600, 9, 90) < 3.0, "{bad:?}");
        }
    }

    #[test]
    fn what_others_counted_is_compared_among_the_requests_that_they_name() {
        let event = EventName::try_new("refund").unwrap();
        let guard = EventGuard {
            event: event.clone(),
            bad: Direction::More,
            ratio: 1.2,
            counted_by: CountedBy::Push,
        };
        let mut rate = EventRate::new(&guard);
        let told = |requests, bad| Trials { requests, bad };
        let pair = Pair { canary: told(60, 9), stable: told(900, 9) };
        let busy = Pairing { canary: Arm::counted(5, 0), stable: Arm::counted(900, 0) };
        let route = RouteName::try_new("shop").unwrap();
        let window = Window { told: [(event, pair)].into(), ..Window::of(&route, busy) };
        // Once in ten seconds, of ten seconds; in between nothing is known.
        for second in 0..120 {
            // What the proxies counted meanwhile has no part in it.
            let nothing = Window { told: [].into(), ..window.clone() };
            let window = if second % 10 == 0 { window.clone() } else { nothing };
            rate.observe(second, &window);
        }
        assert!(rate.ln_e() > 9.3, "{}", rate.ln_e());
        assert_eq!(rate.recent().canary, Trials { requests: 360, bad: 54 });
    }

    #[test]
    fn one_second_never_decides_although_every_request_has_the_event() {
        assert!(after(Direction::More, 1, 100, 0) <= 2.0);
    }

    #[test]
    fn more_events_than_requests_are_taken_for_all_of_them() {
        assert_eq!(after(Direction::More, 5, u64::MAX, 90), after(Direction::More, 5, 100, 90));
    }
}
