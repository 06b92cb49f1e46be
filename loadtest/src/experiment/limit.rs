//! What holds while all is well, and how far from it a service is.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::{gate::Metric, measure::latency_histogram, report::Second};

/// Without a limit to abort at, a latency this many times its limit is as bad as it can be.
const WORST_LATENCY: f64 = 10.0;

/// Seconds, added.
#[derive(Debug, Clone)]
pub struct Sum {
    seconds: u64,
    /// Requests that ended or never will.
    pub requests: u64,
    /// Those of them that failed or never left.
    pub failed: u64,
    ended: u64,
    due: u64,
    latency: Histogram<u64>,
}

impl Sum {
    /// These seconds together.
    pub fn of<'a>(seconds: impl IntoIterator<Item = &'a Second>) -> Self {
        let mut sum =
            Self { seconds: 0, requests: 0, failed: 0, ended: 0, due: 0, latency: latency_histogram() };
        for second in seconds {
            sum.seconds += 1;
            sum.requests += second.completed + second.missed;
            sum.failed += second.failed + second.missed;
            sum.ended += second.completed;
            sum.due += second.due;
            for (us, count) in second.latency_us.iter() {
                sum.latency.saturating_record_n(us, count);
            }
        }
        sum
    }

    /// The value of a metric; none where nothing was counted that it could be of.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::ErrorRate => (self.requests > 0).then(|| self.failed as f64 / self.requests as f64),
            Metric::Throughput => (self.seconds > 0).then(|| self.ended as f64 / self.seconds as f64),
            _ => {
                let q = metric.quantile().filter(|_| !self.latency.is_empty());
                q.map(|q| self.latency.value_at_quantile(q) as f64)
            }
        }
    }

    /// Whether nothing was to be done in them.
    fn is_idle(&self) -> bool {
        self.due == 0 && self.requests == 0
    }
}

/// Limits of metrics: the least for throughput, the most for all others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits(BTreeMap<Metric, f64>);

impl Limits {
    /// Takes one more.
    pub(crate) fn insert(&mut self, metric: Metric, limit: f64) {
        self.0.insert(metric, limit);
    }

    /// The limit of a metric.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0.get(&metric).copied()
    }

    /// What is beyond its limit, in words; nothing where all is well.
    pub fn passed(&self, sum: &Sum) -> Vec<String> {
        let words = |(metric, limit): (&Metric, &f64)| {
            let shown = metric.show(*limit);
            match sum.value(*metric) {
                Some(value) if keeps(*metric, value, *limit) => None,
                Some(value) if *metric == Metric::Throughput => {
                    Some(format!("{metric} is {}, and {shown} is the least", metric.show(value)))
                }
                Some(value) => Some(format!("{metric} is {}, and {shown} is the most", metric.show(value))),
                None => Some(format!("{metric} is none, since there was no good answer")),
            }
        };
        if sum.is_idle() { Vec::new() } else { self.0.iter().filter_map(words).collect() }
    }

    /// How well things are: 1 where every limit is kept, 0 where one is passed as far as `abort` says, in between in
    /// proportion; the worst metric counts.
    pub fn health(&self, abort: &Self, sum: &Sum) -> f64 {
        if sum.is_idle() {
            return 1.0;
        }
        let one = |(metric, limit): (&Metric, &f64)| {
            let worst = abort.get(*metric).unwrap_or(match metric {
                Metric::ErrorRate => 1.0,
                Metric::Throughput => 0.0,
                _ => limit * WORST_LATENCY,
            });
            match sum.value(*metric) {
                Some(value) if keeps(*metric, value, *limit) => 1.0,
                Some(value) if worst != *limit => ((worst - value) / (worst - limit)).clamp(0.0, 1.0),
                Some(_) | None => 0.0,
            }
        };
        self.0.iter().map(one).fold(1.0, f64::min)
    }
}

/// Whether a value is on the right side of its limit.
pub(crate) fn keeps(metric: Metric, value: f64, limit: f64) -> bool {
    if metric == Metric::Throughput { value >= limit } else { value <= limit }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report::Counts;

    /// A second with so many requests, of which some failed and all others took so long.
    pub(crate) fn second(number: u64, completed: u64, failed: u64, us: u64) -> Second {
        let mut latency = latency_histogram();
        latency.saturating_record_n(us, completed - failed);
        Second {
            second: number,
            due: 100,
            sent: completed,
            missed: 0,
            completed,
            failed,
            latency_us: Counts::of(&latency),
            versions: BTreeMap::new(),
        }
    }

    fn limits(all: &[(Metric, f64)]) -> Limits {
        Limits(all.iter().copied().collect())
    }

    #[test]
    fn what_never_left_has_failed() {
        let mut bad = second(1, 60, 0, 1_000);
        bad.missed = 40;
        let sum = Sum::of([&bad, &second(2, 100, 20, 1_000)]);
        assert_eq!((sum.requests, sum.failed), (200, 60));
        assert_eq!(sum.value(Metric::ErrorRate), Some(0.3));
        assert_eq!(sum.value(Metric::Throughput), Some(80.0));
    }

    #[test]
    fn a_limit_that_is_passed_is_named_with_what_was_measured() {
        let limits =
            limits(&[(Metric::P99, 50_000.0), (Metric::ErrorRate, 0.01), (Metric::Throughput, 90.0)]);
        assert_eq!(limits.passed(&Sum::of([&second(1, 100, 1, 9_000)])), Vec::<String>::new());
        let said = limits.passed(&Sum::of([&second(1, 80, 40, 60_000)])).join("; ");
        assert!(
            said.starts_with("p99 is 60.0 ms, and 50.0 ms is the most; error_rate is 50.0000 %"),
            "{said}"
        );
        assert!(said.ends_with("throughput is 80.0/s, and 90.0/s is the least"), "{said}");
        assert!(limits.passed(&Sum::of([&second(1, 100, 100, 1)])).join(" ").contains("no good answer"));
    }

    #[test]
    fn a_second_in_which_nothing_was_due_says_nothing() {
        let mut idle = second(1, 0, 0, 1);
        idle.due = 0;
        let limits = limits(&[(Metric::P99, 50_000.0), (Metric::Throughput, 90.0)]);
        assert_eq!(limits.passed(&Sum::of([&idle])), Vec::<String>::new());
        assert_eq!(limits.health(&Limits::default(), &Sum::of([&idle])), 1.0);
        // But a second in which all hang says a lot.
        assert_eq!(limits.passed(&Sum::of([&second(1, 0, 0, 1)])).len(), 2);
    }

    #[test]
    fn health_falls_from_the_limit_to_the_abort_limit_and_the_worst_metric_counts() {
        let hypothesis = limits(&[(Metric::P99, 100_000.0), (Metric::ErrorRate, 0.1)]);
        let of =
            |abort: &Limits, failed, us| hypothesis.health(abort, &Sum::of([&second(1, 100, failed, us)]));
        let (none, near) = (Limits::default(), limits(&[(Metric::ErrorRate, 0.5)]));
        assert_eq!(of(&none, 10, 99_000), 1.0);
        assert!((of(&none, 55, 1_000) - 0.5).abs() < 1e-9, "half-way from 10 % to all of them");
        assert!((of(&near, 30, 1_000) - 0.5).abs() < 1e-9, "half-way from 10 % to 50 %");
        assert_eq!(of(&near, 90, 1_000), 0.0);
        // 550 ms is half-way from 100 ms to a second; histograms have three digits.
        assert!((of(&none, 0, 550_000) - 0.5).abs() < 0.001);
        assert!((of(&none, 55, 550_000) - 0.5).abs() < 0.001);
        assert_eq!(of(&none, 100, 1_000), 0.0);
    }
}
