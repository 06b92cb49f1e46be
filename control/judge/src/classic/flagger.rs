//! A counter of failed checks, as in Flagger.
//!
//! Each minute the last minute's success rate and 99th percentile are compared with fixed limits. A check that
//! fails is counted, and nothing ever takes it off the count; a minute without traffic is a failed check as well.
//! The tick *after* the count has reached the threshold rolls back: with ten, eleven minutes at the least.

use super::{Decision, Watch, span::Span};
use crate::window::{Arm, Pairing};

/// The threshold of the README's example.
pub(super) const README_THRESHOLD: u32 = 10;
/// The threshold where a canary's resource names none.
pub(super) const CODE_THRESHOLD: u32 = 1;

/// Seconds between two checks, which is also what each looks at.
const INTERVAL: usize = 60;
/// The success rate that every example asks for.
const SUCCESS_MIN: f64 = 0.99;
/// The latency that every example allows, in microseconds.
const P99_MAX_US: f64 = 500_000.0;

#[derive(Debug)]
pub(super) struct Flagger {
    threshold: u32,
    failed_checks: u32,
    minute: Span,
}

impl Flagger {
    pub(super) fn new(threshold: u32) -> Self {
        Self { threshold, failed_checks: 0, minute: Span::new(INTERVAL) }
    }
}

impl Watch for Flagger {
    fn observe(&mut self, second: u64, window: Pairing) -> Decision {
        self.minute.push(window);
        if !second.is_multiple_of(INTERVAL as u64) {
            return Decision::Continue;
        }
        if self.failed_checks >= self.threshold {
            return Decision::Rollback;
        }
        if !passes(&self.minute.take().canary) {
            self.failed_checks += 1;
        }
        Decision::Continue
    }
}

fn passes(canary: &Arm) -> bool {
    let rate = canary.failures().rate();
    let successful = rate.is_some_and(|failed| 1.0 - failed >= SUCCESS_MIN);
    successful && canary.headers.quantile(0.99).is_some_and(|p99| p99 <= P99_MAX_US)
}

#[cfg(test)]
mod tests {
    use serin_config::wire::{LatencyCounts, bucket_of};

    use super::*;

    fn arm(judged: u64, failed: u64, fast: u32, slow: u32) -> Arm {
        let headers = LatencyCounts(vec![(bucket_of(20_000), fast), (bucket_of(800_000), slow)]);
        Arm::counted(judged, failed).with_headers(headers)
    }

    #[test]
    fn a_check_asks_for_99_per_cent_and_half_a_second() {
        assert!(passes(&arm(1000, 10, 990, 0)));
        assert!(!passes(&arm(1000, 11, 989, 0)));
        assert!(passes(&arm(1000, 0, 990, 10)));
        assert!(!passes(&arm(1000, 0, 989, 11)));
        assert!(!passes(&Arm::default()), "no values found");
    }

    #[test]
    fn failed_checks_are_never_forgiven() {
        let mut flagger = Flagger::new(2);
        let decisions: Vec<_> = (1..=360)
            .map(|second| {
                // The first and the fourth minute are bad, the others perfect.
                let bad = matches!((second - 1) / 60, 0 | 3);
                let canary = arm(10, if bad { 1 } else { 0 }, 9, 0);
                (second, flagger.observe(second, Pairing { canary, stable: Arm::default() }))
            })
            .filter(|(_, decision)| *decision == Decision::Rollback)
            .collect();
        // Two on the count at 240 s, so the tick at 300 s and any later one rolls back.
        assert_eq!(decisions.first(), Some(&(300, Decision::Rollback)));
    }
}
