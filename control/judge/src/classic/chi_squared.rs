//! Pearson's chi-squared on failed and good requests of both versions, looked at every minute.
//!
//! All counts so far make a table of two by two. The canary goes when the table is that uneven by chance in less than
//! five of a hundred cases, and it is the canary that fails more. Where a cell would be expected to hold fewer than
//! five, the approximation is not good and the test is not asked.

use super::{Decision, Watch};
use crate::{block::Pair, window::Pairing};

/// Seconds between two looks.
const INTERVAL: u64 = 60;
/// The 95th percentile of chi-squared with one degree of freedom.
const CRITICAL: f64 = 3.841_459;
/// Expected in each cell at the least.
const EXPECTED_MIN: f64 = 5.0;

#[derive(Debug, Default)]
pub(super) struct ChiSquared {
    failures: Pair,
}

impl Watch for ChiSquared {
    fn observe(&mut self, second: u64, window: Pairing) -> Decision {
        self.failures.add(window.failures());
        let looks = second.is_multiple_of(INTERVAL);
        let worse = self.failures.canary.rate() > self.failures.stable.rate();
        let uneven = || statistic(&self.failures).is_some_and(|chi_squared| chi_squared > CRITICAL);
        if looks && worse && uneven() { Decision::Rollback } else { Decision::Continue }
    }
}

/// None where a cell's expectation is too small.
fn statistic(pair: &Pair) -> Option<f64> {
    let (canary, stable) = (pair.canary.requests as f64, pair.stable.requests as f64);
    let bad = pair.canary.bad as f64 + pair.stable.bad as f64;
    let share = bad / (canary + stable);
    let cells = [(canary, pair.canary.bad as f64), (stable, pair.stable.bad as f64)];
    let expected_min = canary.min(stable) * share.min(1.0 - share);
    (expected_min >= EXPECTED_MIN).then(|| {
        let of = |(n, x): (f64, f64)| (x - n * share).powi(2) / (n * share * (1.0 - share));
        cells.into_iter().map(of).sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Trials;

    fn pair(canary: (u64, u64), stable: (u64, u64)) -> Pair {
        let trials = |(requests, bad)| Trials { requests, bad };
        Pair { canary: trials(canary), stable: trials(stable) }
    }

    #[test]
    fn the_statistic_is_what_a_pencil_says() {
        // Expected 10 and 30 bad, 90 and 270 good: 25/10 + 25/30 + 25/90 + 25/270 = 3.7037.
        let chi_squared = statistic(&pair((100, 15), (300, 25))).unwrap();
        assert!((chi_squared - 100.0 / 27.0).abs() < 1e-12);
        assert_eq!(statistic(&pair((40, 9), (960, 11))), None, "0.8 bad ones expected");
    }

    #[test]
    fn only_a_canary_that_fails_more_is_rolled_back() {
        let run = |canary: u64, stable: u64| {
            let mut rule = ChiSquared::default();
            let window = || Pairing {
                canary: crate::Arm::counted(50, canary),
                stable: crate::Arm::counted(50, stable),
            };
            (1..=120).find(|second| rule.observe(*second, window()) == Decision::Rollback)
        };
        assert_eq!(run(2, 1), Some(60));
        assert_eq!(run(1, 2), None);
        assert_eq!(run(1, 1), None);
    }
}
