//! The probe: a version that is new to users gets few requests at first, however large its share is.
//!
//! A version that is broken outright shows it in its first requests, so a few of them are enough, and at a high rate
//! each further second of looking costs hundreds of users. So for a while requests reach the new version one by one,
//! at even distances: two are never closer to each other than the rate allows. There is no bucket that fills up while
//! nobody asks, since a burst of a hundred requests is what the probe is there to avoid.
//!
//! All workers share one [`Probation`]: two numbers, of which the second moves on by a compare-and-swap for each
//! request that is let through. When the time is over, what is left of it is one comparison for each of the canary's
//! requests.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serin_config::policy::Probe;

/// How a new version is let in. Times are nanoseconds since a beginning that all who share it have agreed on.
#[derive(Debug, Default)]
pub struct Probation {
    /// From here on nobody is held back; zero before the first probe.
    ends: AtomicU64,
    /// The earliest moment of the next request.
    next: AtomicU64,
    /// The least distance between two requests.
    interval: AtomicU64,
}

impl Probation {
    /// Begins at `now`, in place of any that is on.
    pub fn begin(&self, probe: Probe, now: u64) {
        self.interval.store(1_000_000_000 / u64::from(probe.rate.max(1)), Relaxed);
        self.next.store(now, Relaxed);
        let time = u64::try_from(probe.duration.as_nanos()).unwrap_or(u64::MAX);
        self.ends.store(now.saturating_add(time), Relaxed);
    }

    /// Ends it at once.
    pub fn end(&self) {
        self.ends.store(0, Relaxed);
    }

    /// Whether requests are held back at `now`.
    pub fn is_on(&self, now: u64) -> bool {
        now < self.ends.load(Relaxed)
    }

    /// Whether a request may go to the version at `now`.
    pub fn admits(&self, now: u64) -> bool {
        if !self.is_on(now) {
            return true;
        }
        let then = now.saturating_add(self.interval.load(Relaxed));
        let mut next = self.next.load(Relaxed);
        loop {
            if now < next {
                return false;
            }
            match self.next.compare_exchange_weak(next, then, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(moved) => next = moved,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const TWENTY_FOR_TEN: Probe = Probe { rate: 20, duration: Duration::from_secs(10) };

    /// The moments of those that are let through, of requests at all of `asked`.
    fn admitted(probation: &Probation, asked: impl IntoIterator<Item = u64>) -> Vec<u64> {
        asked.into_iter().filter(|at| probation.admits(*at)).collect()
    }

    #[test]
    fn at_any_rate_at_most_twenty_a_second_get_through_and_never_two_at_once() {
        for rate in [50, 1_000, 100_000] {
            let (probation, start) = (Probation::default(), 3 * SECOND);
            probation.begin(TWENTY_FOR_TEN, start);
            let times = admitted(&probation, (0..10 * rate).map(|i| start + i * SECOND / rate));
            assert!((150..=200).contains(&times.len()), "{} at {rate}/s", times.len());
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= SECOND / 20), "at {rate}/s");
        }
    }

    #[test]
    fn what_comes_more_slowly_than_the_rate_gets_through_whole() {
        let probation = Probation::default();
        probation.begin(TWENTY_FOR_TEN, 0);
        assert_eq!(admitted(&probation, (0..50).map(|i| i * SECOND / 5)).len(), 50);
    }

    #[test]
    fn a_quiet_time_is_not_saved_up_for_a_burst() {
        let probation = Probation::default();
        probation.begin(TWENTY_FOR_TEN, 0);
        assert_eq!(admitted(&probation, (0..1_000).map(|i| 8 * SECOND + i)).len(), 1);
    }

    #[test]
    fn nobody_is_held_back_before_or_after_or_once_it_was_ended() {
        let probation = Probation::default();
        assert_eq!(admitted(&probation, [5; 9]).len(), 9);
        probation.begin(TWENTY_FOR_TEN, SECOND);
        assert_eq!(admitted(&probation, [2 * SECOND; 9]).len(), 1);
        assert_eq!(admitted(&probation, [11 * SECOND; 9]).len(), 9);
        probation.begin(TWENTY_FOR_TEN, 20 * SECOND);
        probation.end();
        assert_eq!(admitted(&probation, [20 * SECOND; 9]).len(), 9);
    }

    #[test]
    fn workers_that_ask_in_the_same_moment_share_one_place() {
        let probation = Probation::default();
        probation.begin(TWENTY_FOR_TEN, 0);
        let through: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| admitted(&probation, (0..20_000).map(|i| i * SECOND / 20_000)).len()))
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert!((1..=21).contains(&through), "{through}");
    }
}
