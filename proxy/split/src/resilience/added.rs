//! How much latency a canary has added to its users' requests, in sum.
//!
//! Each of the canary's attempts cost its user what it took beyond the stable version's mean *of the same moments*: a
//! load that slows both down is nobody's fault. So both versions' sums are settled together, whenever the stable
//! version has [`LEAST`] attempts since the last time; until then the mean of the last settlement has to do. A time in
//! which the canary was faster is no credit for a later one in which it is slower: the sum never falls below zero.
//!
//! Of a canary that is as fast as the stable version the sum still wanders, as sums of differences do: after `n`
//! attempts whose times have a standard deviation of `s`, by about `s × √n`. A bound has to leave room for that.

use std::time::Duration;

/// Fewer attempts of the stable version give no mean.
const LEAST: u64 = 20;

/// What attempts of one version took, to the answer's head or to an end without one, since some beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// How many attempts.
    pub attempts: u64,
    /// What they took together, in microseconds.
    pub us: u64,
}

impl Spent {
    fn since(self, before: Self) -> Self {
        let attempts = self.attempts.saturating_sub(before.attempts);
        Self { attempts, us: self.us.saturating_sub(before.us) }
    }

    fn mean(self) -> f64 {
        self.us as f64 / self.attempts.max(1) as f64
    }
}

/// The sum for one canary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Added {
    /// Both versions at the last settlement: canary, stable.
    settled: (Spent, Spent),
    /// The stable version's mean at the last settlement, in microseconds.
    mean: Option<f64>,
    /// The sum at the last settlement, in microseconds.
    us: f64,
}

impl Added {
    /// Nothing was added yet; what both versions took until now does not count.
    pub const fn from(canary: Spent, stable: Spent) -> Self {
        Self { settled: (canary, stable), mean: None, us: 0.0 }
    }

    /// The stable version serves nobody just now: what the canary takes until the next look is measured against nothing, and
    /// adds nothing.
    pub fn pass_over(&mut self, canary: Spent, stable: Spent) {
        (self.settled, self.mean) = ((canary, stable), None);
    }

    /// The sum, by what both versions took until now.
    pub fn look(&mut self, canary: Spent, stable: Spent) -> Duration {
        let (theirs, ours) = (canary.since(self.settled.0), stable.since(self.settled.1));
        let settles = ours.attempts >= LEAST;
        if settles {
            self.mean = Some(ours.mean());
        }
        let Some(mean) = self.mean else { return Duration::ZERO };
        let us = (self.us + theirs.us as f64 - theirs.attempts as f64 * mean).max(0.0);
        if settles {
            (self.settled, self.us) = ((canary, stable), us);
        }
        Duration::try_from_secs_f64(us / 1e6).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Spent = Spent { attempts: 0, us: 0 };

    fn more(spent: &mut Spent, attempts: u64, ms: u64) -> Spent {
        *spent = Spent { attempts: spent.attempts + attempts, us: spent.us + attempts * ms * 1_000 };
        *spent
    }

    #[test]
    fn what_goes_beyond_the_stable_mean_of_the_same_moments_adds_up() {
        let (mut added, mut canary, mut stable) = (Added::from(NONE, NONE), NONE, NONE);
        for second in 1..=10 {
            // The load of the second half slows both down.
            let ms = if second <= 5 { 20 } else { 80 };
            let sum = added.look(more(&mut canary, 50, ms + 10), more(&mut stable, 950, ms));
            assert_eq!(sum, Duration::from_millis(500 * second));
        }
    }

    #[test]
    fn a_time_in_which_the_canary_was_faster_is_no_credit() {
        let (mut added, mut canary, mut stable) = (Added::from(NONE, NONE), NONE, NONE);
        assert_eq!(added.look(more(&mut canary, 100, 10), more(&mut stable, 100, 30)), Duration::ZERO);
        let sum = added.look(more(&mut canary, 100, 40), more(&mut stable, 100, 30));
        assert_eq!(sum, Duration::from_secs(1));
    }

    #[test]
    fn with_few_attempts_of_the_stable_version_its_last_mean_holds() {
        let (mut added, mut canary, mut stable) = (Added::from(NONE, NONE), NONE, NONE);
        assert_eq!(added.look(more(&mut canary, 9, 500), more(&mut stable, 5, 10)), Duration::ZERO);
        assert_eq!(added.look(canary, more(&mut stable, 15, 10)), Duration::from_millis(9 * 490));
        let sum = added.look(more(&mut canary, 1, 510), more(&mut stable, 1, 9_000));
        assert_eq!(sum, Duration::from_millis(9 * 490 + 500), "one slow answer is no mean");
    }

    #[test]
    fn while_the_stable_version_serves_nobody_nothing_adds_up_and_what_had_stays() {
        let (mut added, mut canary, mut stable) = (Added::from(NONE, NONE), NONE, NONE);
        let sum = added.look(more(&mut canary, 100, 40), more(&mut stable, 100, 30));
        for _ in 0..9 {
            added.pass_over(more(&mut canary, 1_000, 90), stable);
        }
        assert_eq!(added.look(more(&mut canary, 10, 90), more(&mut stable, 19, 80)), Duration::ZERO);
        let later = added.look(canary, more(&mut stable, 1, 80));
        assert_eq!((sum, later), (Duration::from_secs(1), Duration::from_millis(1_100)));
    }

    #[test]
    fn what_was_before_the_beginning_does_not_count_and_counters_that_begin_again_do_no_harm() {
        let (old, older) = (Spent { attempts: 9, us: 9_000_000 }, Spent { attempts: 50, us: 1_000 });
        let mut added = Added::from(old, older);
        assert_eq!(added.look(old, Spent { attempts: 90, us: 2_000 }), Duration::ZERO);
        assert_eq!(added.look(NONE, NONE), Duration::ZERO);
    }
}
