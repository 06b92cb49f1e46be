//! Which traces are kept although nobody sampled them: those that failed, and those that were slow.
//!
//! This is decided when a request has ended, so the `traceparent` that the endpoint got still says "not
//! sampled", as the specification asks of a delayed decision: Serin's own spans are kept, the endpoint's are
//! not. Slow is the wait for the answer to begin; how long a stream then runs says nothing. An outage makes
//! every request one to keep, so there is a bound on how many a second.

use std::time::{Duration, Instant};

use serin_config::telemetry::Telemetry;

/// What is worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    errors: bool,
    slower_than: Option<Duration>,
}

impl Keep {
    /// What the file asks for.
    pub fn new(telemetry: &Telemetry) -> Self {
        Self { errors: telemetry.keep_errors, slower_than: telemetry.keep_slower_than }
    }

    /// Whether a request is worth keeping: whether it failed, and how long its answer took to begin.
    pub fn wants(&self, failed: bool, answer_after: Duration) -> bool {
        (self.errors && failed) || self.slower_than.is_some_and(|slow| answer_after > slow)
    }
}

/// So many in each second, and no more.
#[derive(Debug)]
pub struct PerSecond {
    most: u32,
    second: Option<Instant>,
    taken: u32,
}

impl PerSecond {
    /// At most `most` in each second.
    pub fn new(most: u32) -> Self {
        Self { most, second: None, taken: 0 }
    }

    /// Whether one more may go in the second of `now`.
    pub fn take(&mut self, now: Instant) -> bool {
        let in_second = |begun| now.saturating_duration_since(begun) < Duration::from_secs(1);
        if !self.second.is_some_and(in_second) {
            (self.second, self.taken) = (Some(now), 0);
        }
        let may = self.taken < self.most;
        self.taken += u32::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn errors_and_slow_ones_are_kept_each_by_its_own_setting() {
        let keep = |errors, slower_than| Keep { errors, slower_than };
        assert!(keep(true, None).wants(true, Duration::ZERO));
        assert!(!keep(true, None).wants(false, SECOND * 60));
        assert!(!keep(false, Some(SECOND)).wants(true, SECOND));
        assert!(keep(false, Some(SECOND)).wants(false, SECOND + Duration::from_millis(1)));
    }

    #[test]
    fn a_second_has_its_share_and_the_next_one_a_new_one() {
        let (mut bound, begin) = (PerSecond::new(2), crate::test_start());
        let after =
            [0, 1, 2, 999, 1_000, 1_001, 1_002].map(|ms| bound.take(begin + Duration::from_millis(ms)));
        assert_eq!(after, [true, true, false, false, true, true, false]);
        assert!(!PerSecond::new(0).take(begin));
    }

    proptest! {
        #[test]
        fn no_second_that_begins_with_a_take_has_more(most in 0_u32..5, gaps in proptest::collection::vec(0_u64..700, 0..60)) {
            let (mut bound, mut now) = (PerSecond::new(most), crate::test_start());
            let mut taken = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if bound.take(now) {
                    taken.push(now);
                }
            }
            for begin in &taken {
                let within = taken.iter().filter(|at| **at >= *begin && **at < *begin + SECOND).count();
                prop_assert!(within <= 2 * most as usize);
            }
        }
    }
}
