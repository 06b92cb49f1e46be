//! When requests are due, and when there are no more: two values that know nothing of each other, of clocks
//! or of sockets. Any schedule goes with any stop.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::bounds::RATE_MAX;

/// Requests a second: above 0, at most [`RATE_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

/// Why a number is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not a rate: give a number of requests a second above 0, at most {RATE_MAX}")]
pub struct RateError(pub f64);

impl Rate {
    /// Takes requests a second.
    pub fn try_new(per_second: f64) -> Result<Self, RateError> {
        if per_second > 0.0 && per_second <= RATE_MAX {
            Ok(Self(per_second))
        } else {
            Err(RateError(per_second))
        }
    }

    /// Requests a second.
    pub fn per_second(self) -> f64 {
        self.0
    }
}

/// When requests are due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// Evenly spaced.
    Constant(Rate),
    /// Independent arrivals (exponential gaps), as from many users who know nothing of each other; the same
    /// seed gives the same times.
    Poisson {
        /// The mean rate.
        rate: Rate,
        /// Where the random gaps begin.
        seed: u64,
    },
}

impl Schedule {
    /// The due times, counted from the start; without end, never falling.
    pub fn arrivals(&self) -> Arrivals {
        match *self {
            Self::Constant(rate) => Arrivals::Constant { rate, next: 0 },
            Self::Poisson { rate, seed } => {
                Arrivals::Poisson { rate, last_seconds: 0.0, random: SmallRng::seed_from_u64(seed) }
            }
        }
    }
}

/// The due times of a schedule.
#[derive(Debug, Clone)]
pub enum Arrivals {
    /// See [`Schedule::Constant`].
    Constant {
        /// The rate.
        rate: Rate,
        /// The number of the next request, from 0.
        next: u64,
    },
    /// See [`Schedule::Poisson`].
    Poisson {
        /// The mean rate.
        rate: Rate,
        /// The last due time.
        last_seconds: f64,
        /// Where gaps come from.
        random: SmallRng,
    },
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let seconds = match self {
            // A product, not a sum of gaps: no rounding error grows with the run.
            Self::Constant { rate, next } => {
                let at = *next as f64 / rate.0;
                *next += 1;
                at
            }
            Self::Poisson { rate, last_seconds, random } => {
                // 1 - u lies in (0, 1], so its logarithm is finite.
                *last_seconds -= (1.0 - random.random::<f64>()).ln() / rate.0;
                *last_seconds
            }
        };
        Some(Duration::from_secs_f64(seconds))
    }
}

/// When no further request is due. A [`Cancel`](crate::Cancel) ends any of them early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// After this time.
    After(Duration),
    /// After this many requests.
    Count(u64),
    /// Only when cancelled.
    Never,
}

impl Stop {
    /// Whether the request of that number (from 0), due at that time, is still to be sent.
    pub fn allows(self, number: u64, due: Duration) -> bool {
        match self {
            Self::After(end) => due < end,
            Self::Count(count) => number < count,
            Self::Never => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: f64) -> Rate {
        Rate::try_new(per_second).unwrap()
    }

    #[test]
    fn what_is_not_a_rate_is_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, RATE_MAX * 1.01] {
            assert!(Rate::try_new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let at = Schedule::Constant(rate(3000.0)).arrivals().nth(3_000_000).unwrap();
        assert_eq!(at, Duration::from_secs(1000));
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_spread_of_exponential_gaps() {
        let times: Vec<f64> = Schedule::Poisson { rate: rate(1000.0), seed: 7 }
            .arrivals()
            .take(100_000)
            .map(|at| at.as_secs_f64())
            .collect();
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // The standard error of the mean is 1e-3 / sqrt(1e5), of the deviation about 1.4 times that.
        assert!((mean - 1e-3).abs() < 5.0 * 3.2e-6, "{mean}");
        assert!((variance.sqrt() - 1e-3).abs() < 5.0 * 4.5e-6, "{}", variance.sqrt());
        assert!(gaps.iter().all(|gap| *gap >= 0.0));
    }

    #[test]
    fn one_seed_gives_one_schedule() {
        let times =
            |seed| Schedule::Poisson { rate: rate(10.0), seed }.arrivals().take(50).collect::<Vec<_>>();
        assert_eq!(times(1), times(1));
        assert_ne!(times(1), times(2));
    }

    #[test]
    fn a_stop_counts_requests_or_time() {
        let sent = |stop: Stop| {
            Schedule::Constant(rate(100.0))
                .arrivals()
                .enumerate()
                .take(10_000)
                .take_while(|(number, due)| stop.allows(*number as u64, *due))
                .count()
        };
        assert_eq!(sent(Stop::After(Duration::from_secs(2))), 200);
        assert_eq!(sent(Stop::Count(17)), 17);
        assert_eq!(sent(Stop::Never), 10_000);
    }
}
