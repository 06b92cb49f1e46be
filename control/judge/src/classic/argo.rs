//! Measurements and a limit of failed ones, as in Argo Rollouts.
//!
//! A measurement is successful where 95 % of the canary's requests of the last five minutes were; without requests
//! it fails, because a comparison with what is not a number is false. The run fails when *more* than the limit have
//! failed. Within a step the documented example takes five measurements, a minute apart, and ends; in the
//! background it goes on with one in five minutes.
//!
//! The first measurement comes after one interval: one at once would find no traffic, and fail each canary.

use super::{Decision, Watch, span::Span};
use crate::window::{Arm, Pairing};

/// Seconds that a measurement looks back.
const RANGE: usize = 300;
/// The success rate of the documented example.
const SUCCESS_MIN: f64 = 0.95;

#[derive(Debug)]
pub(super) struct Argo {
    interval: u64,
    failure_limit: u32,
    count: Option<u32>,
    range: Span,
    measured: u32,
    failed: u32,
}

impl Argo {
    /// `interval: 60s`, `count: 5`, no failure allowed.
    pub(super) fn inline() -> Self {
        Self::new(60, 0, Some(5))
    }

    /// `interval: 5m`, `failureLimit: 3`.
    pub(super) fn background() -> Self {
        Self::new(300, 3, None)
    }

    fn new(interval: u64, failure_limit: u32, count: Option<u32>) -> Self {
        Self { interval, failure_limit, count, range: Span::new(RANGE), measured: 0, failed: 0 }
    }
}

impl Watch for Argo {
    fn observe(&mut self, second: u64, window: Pairing) -> Decision {
        self.range.push(window);
        if !second.is_multiple_of(self.interval) {
            return Decision::Continue;
        }
        self.measured = self.measured.saturating_add(1);
        if !is_successful(&self.range.sum().canary) {
            self.failed = self.failed.saturating_add(1);
        }
        if self.failed > self.failure_limit {
            Decision::Rollback
        } else if self.count.is_some_and(|count| self.measured >= count) {
            Decision::Promote
        } else {
            Decision::Continue
        }
    }
}

fn is_successful(canary: &Arm) -> bool {
    canary.failures().rate().is_some_and(|failed| 1.0 - failed >= SUCCESS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mut argo: Argo, failed: impl Fn(u64) -> u64, seconds: u64) -> Option<(u64, Decision)> {
        (1..=seconds).find_map(|second| {
            let canary = Arm::counted(20, failed(second));
            let decision = argo.observe(second, Pairing { canary, stable: Arm::default() });
            (decision != Decision::Continue).then_some((second, decision))
        })
    }

    #[test]
    fn one_in_twenty_is_accepted_and_a_little_more_is_not() {
        assert_eq!(run(Argo::inline(), |_| 1, 3600), Some((300, Decision::Promote)));
        let a_little_more = |second| if second == 1 { 2 } else { 1 };
        assert_eq!(run(Argo::inline(), a_little_more, 3600), Some((60, Decision::Rollback)));
    }

    #[test]
    fn three_failed_measurements_are_accepted_and_the_fourth_is_not() {
        assert_eq!(run(Argo::background(), |_| 2, 3600), Some((1200, Decision::Rollback)));
        // Bad in the first 900 s only: three of twelve measurements fail.
        assert_eq!(run(Argo::background(), |second| if second <= 900 { 2 } else { 0 }, 3600), None);
    }

    #[test]
    fn a_measurement_looks_back_five_minutes() {
        // 20 % failed for 30 s: 120 of 1,200 at 60 s; of 6,000 at 300 s.
        let burst = |second| if second <= 30 { 4 } else { 0 };
        assert_eq!(run(Argo::inline(), burst, 3600), Some((60, Decision::Rollback)));
        assert_eq!(run(Argo::background(), burst, 3600), None);
    }

    #[test]
    fn silence_fails_a_measurement() {
        let mut argo = Argo::inline();
        let last = (1..=60).map(|second| argo.observe(second, Pairing::default())).last();
        assert_eq!(last, Some(Decision::Rollback));
    }
}
