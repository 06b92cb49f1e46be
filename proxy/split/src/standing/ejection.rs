//! Whose attempts fail so much that it is left out for a while.
//!
//! Two rules. *Failures in a row* is quick and needs no fellows to compare with. *Success rate* finds the
//! endpoint that fails a good part of its requests but never many in a row. With few endpoints any single one
//! that differs lies far out in standard deviations, however little it differs (of five, two deviations), so
//! an endpoint must also be worse by [`GAP`], which matters to users.
//!
//! Each ejection lasts longer than the one before; an interval without one takes a step of that back.

use std::time::{Duration, Instant};

use serin_config::{OutlierPolicy, endpoint::SuccessRate, percent::WHOLE_PPM};

/// How much worse than the mean a success rate must be, whatever the deviation.
const GAP: f64 = 0.05;

/// Why an endpoint was ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// It failed much more often than its fellows.
    SuccessRate,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 2] = [Self::ConsecutiveFailures, Self::SuccessRate];

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::SuccessRate => "success_rate",
        }
    }
}

/// The ejections of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ejection {
    /// When the present one ends, and why it began.
    pub until: Option<(Instant, Reason)>,
    /// How often it was ejected, all in all.
    pub count: u32,
    /// The next ejection lasts one step longer than this many.
    steps: u32,
}

impl Ejection {
    /// Ejects it from `now` on.
    pub(super) fn begin(&mut self, reason: Reason, policy: &OutlierPolicy, now: Instant) {
        self.count = self.count.saturating_add(1);
        self.steps = self.steps.saturating_add(1);
        let length = policy.base_ejection.saturating_mul(self.steps).min(policy.max_ejection);
        // More steps would change nothing but how long they take to go back.
        if length == policy.max_ejection {
            self.steps = self.steps.min(steps_to(policy));
        }
        self.until = Some((now + length, reason));
    }

    /// Ends an ejection whose time has come; true if it did.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let over = self.until.is_some_and(|(until, _)| until <= now);
        if over {
            self.until = None;
        }
        over
    }

    /// An interval went by; one spent outside of an ejection takes a step back.
    pub(super) fn interval(&mut self) {
        if self.until.is_none() {
            self.steps = self.steps.saturating_sub(1);
        }
    }

    /// Whether it is left out.
    pub fn is_ejected(&self) -> bool {
        self.until.is_some()
    }
}

/// How many steps make the longest ejection.
fn steps_to(policy: &OutlierPolicy) -> u32 {
    let base = policy.base_ejection.max(Duration::from_millis(1)).as_millis();
    u32::try_from(policy.max_ejection.as_millis().div_ceil(base)).unwrap_or(u32::MAX)
}

/// Whether one more of `all` endpoints may be ejected, `ejected` being out and `ready` in use.
pub(super) fn may_eject(policy: &OutlierPolicy, all: usize, ejected: usize, ready: usize) -> bool {
    let most = all as u64 * u64::from(policy.max_ejected.ppm()) / u64::from(WHOLE_PPM);
    ready > 1 && (ejected as u64) < most
}

/// How an endpoint did in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interval {
    /// Attempts that ended and that it had a part in.
    pub attempts: u64,
    /// Those of them that failed.
    pub failures: u64,
}

/// The positions of those that fail much more often than the others, the worst first.
pub(super) fn outliers(rule: &SuccessRate, intervals: &[Interval]) -> Vec<usize> {
    #[expect(clippy::cast_precision_loss, reason = "counts of one interval")]
    let rate = |interval: &Interval| 1.0 - interval.failures as f64 / interval.attempts as f64;
    let enough = |interval: &&Interval| interval.attempts >= u64::from(rule.min_requests.max(1));
    let rates: Vec<f64> = intervals.iter().filter(enough).map(rate).collect();
    if rates.len() < rule.min_endpoints as usize {
        return Vec::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of endpoints")]
    let count = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count;
    let least = (mean - rule.deviations * variance.sqrt()).min(mean - GAP);
    let measured = intervals.iter().enumerate().filter(|(_, interval)| enough(interval));
    let mut far: Vec<_> =
        measured.map(|(at, interval)| (at, rate(interval))).filter(|(_, rate)| *rate < least).collect();
    far.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    far.into_iter().map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: SuccessRate = SuccessRate { min_endpoints: 5, min_requests: 100, deviations: 1.9 };

    fn of(failures: &[u64]) -> Vec<Interval> {
        failures.iter().map(|failures| Interval { attempts: 1_000, failures: *failures }).collect()
    }

    #[test]
    fn an_ejection_lasts_longer_each_time_up_to_the_longest() {
        let (policy, start) = (OutlierPolicy::default(), crate::test_start());
        let mut ejection = Ejection::default();
        let mut lengths = Vec::new();
        for _ in 0..12 {
            ejection.begin(Reason::ConsecutiveFailures, &policy, start);
            lengths.push((ejection.until.unwrap().0 - start).as_secs());
            assert!(!ejection.expire(start + Duration::from_secs(29)));
            assert!(ejection.expire(start + Duration::from_secs(300)));
        }
        assert_eq!(lengths[..4], [30, 60, 90, 120]);
        assert_eq!(lengths[9..], [300, 300, 300]);
        assert_eq!(ejection.count, 12);
        for _ in 0..9 {
            ejection.interval();
        }
        ejection.begin(Reason::ConsecutiveFailures, &policy, start);
        assert_eq!((ejection.until.unwrap().0 - start).as_secs(), 60);
    }

    #[test]
    fn at_most_half_are_out_and_one_stays_whatever_the_share() {
        let half = OutlierPolicy::default();
        assert!(!may_eject(&half, 1, 0, 1));
        assert!(may_eject(&half, 2, 0, 2));
        assert!(!may_eject(&half, 2, 1, 1));
        assert!(may_eject(&half, 10, 4, 6) && !may_eject(&half, 10, 5, 5));
        let all = OutlierPolicy { max_ejected: serin_config::Weight::WHOLE, ..half };
        assert!(may_eject(&all, 10, 8, 2) && !may_eject(&all, 10, 9, 1));
        // Those that are down by health checks are not in use either.
        assert!(!may_eject(&all, 10, 0, 1));
    }

    #[test]
    fn the_one_that_fails_much_more_often_is_found() {
        assert_eq!(outliers(&RULE, &of(&[10, 12, 9, 11, 400])), [4]);
        assert_eq!(outliers(&RULE, &of(&[10, 12, 300, 11, 9, 8, 10, 12, 9, 500])), [9]);
    }

    #[test]
    fn a_difference_that_does_not_matter_is_none_however_many_deviations_it_is() {
        assert!(outliers(&RULE, &of(&[0, 0, 0, 0, 10])).is_empty());
        assert!(outliers(&RULE, &of(&[0; 5])).is_empty());
        assert!(outliers(&RULE, &of(&[900; 5])).is_empty());
    }

    #[test]
    fn few_endpoints_or_requests_say_nothing() {
        assert!(outliers(&RULE, &of(&[0, 0, 0, 900])).is_empty());
        let mut few = of(&[0, 0, 0, 0, 0]);
        few.push(Interval { attempts: 99, failures: 99 });
        assert!(outliers(&RULE, &few).is_empty());
        assert!(outliers(&RULE, &[]).is_empty());
    }
}
