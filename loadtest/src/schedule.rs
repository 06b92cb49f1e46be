//! When requests are due, and when there are no more: two values that know nothing of each other, of clocks
//! or of sockets. Any schedule goes with any stop.
//!
//! A schedule is a rate over time, and how arrivals keep to it: evenly, or as independent users do. Both are the same
//! thing seen from the integral of the rate, the number of requests that should have come by then: evenly, request `k` is due when
//! that number reaches `k`; independently, when it reaches the sum of `k` exponential gaps of mean 1 (the time change
//! of a Poisson process).

use std::{sync::Arc, time::Duration};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::bounds::{DURATION_MAX, RATE_MAX, STAGES_MAX};

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

/// A part of a schedule whose rate goes in a straight line from one value to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Requests a second at its beginning: 0 to [`RATE_MAX`].
    pub from: f64,
    /// And at its end.
    pub to: f64,
    /// How long it lasts.
    pub lasts: Duration,
}

/// Stages one after the other; some request is due in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages(Arc<[Stage]>);

/// Why stages are none.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum StagesError {
    /// None or too many.
    #[error("a schedule has 1 to {STAGES_MAX} stages, this one {0}")]
    Count(usize),
    /// A rate that is none.
    #[error("{0} is not the rate of a stage: give a number of requests a second from 0 to {RATE_MAX}")]
    Rate(f64),
    /// A stage without end or length.
    #[error("stage {0} must last longer than nothing, and all of them together no longer than a week")]
    Length(usize),
    /// Nothing would ever be sent.
    #[error("no request is due in these stages: each of them has the rate 0, or is too short for one")]
    Idle,
}

impl Stages {
    /// Takes stages in their order.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn try_new(stages: Vec<Stage>) -> Result<Self, StagesError> {
        if stages.is_empty() || stages.len() > STAGES_MAX {
            return Err(StagesError::Count(stages.len()));
        }
        let mut whole = Duration::ZERO;
        for (number, stage) in stages.iter().enumerate() {
            for rate in [stage.from, stage.to] {
                if !(0.0..=RATE_MAX).contains(&rate) {
                    return Err(StagesError::Rate(rate));
                }
            }
            whole = whole.saturating_add(stage.lasts);
            if stage.lasts.is_zero() || whole > DURATION_MAX {
                return Err(StagesError::Length(number + 1));
            }
        }
        let stages = Self(stages.into());
        if stages.requests() < 1.0 { Err(StagesError::Idle) } else { Ok(stages) }
    }

    /// How long they last together.
    pub fn lasts(&self) -> Duration {
        self.0.iter().map(|stage| stage.lasts).sum()
    }

    /// How many requests are due in them.
    pub fn requests(&self) -> f64 {
        self.0.iter().map(Stage::requests).sum()
    }

    /// The stages.
    pub fn iter(&self) -> impl Iterator<Item = &Stage> {
        self.0.iter()
    }

    /// When that many requests should have come, in seconds from the start; none where they never do.
    fn when(&self, mut requests: f64) -> Option<f64> {
        let mut begun = 0.0;
        for stage in self.0.iter() {
            let here = stage.requests();
            // The very end of a stage is the beginning of the next.
            if requests < here {
                return Some(begun + stage.when(requests));
            }
            requests -= here;
            begun += stage.lasts.as_secs_f64();
        }
        None
    }
}

impl Stage {
    fn requests(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.lasts.as_secs_f64()
    }

    /// The time within it at which so many requests should have come: `from*t + slope*t^2/2 = requests`, solved for t
    /// in the form that loses nothing where the slope is small.
    fn when(&self, requests: f64) -> f64 {
        let slope = (self.to - self.from) / self.lasts.as_secs_f64();
        let root = (self.from * self.from + 2.0 * slope * requests).max(0.0).sqrt();
        let sum = self.from + root;
        if sum > 0.0 { 2.0 * requests / sum } else { 0.0 }
    }
}

/// When requests are due.
#[derive(Debug, Clone, PartialEq)]
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
    /// A rate that changes; it ends with the last stage.
    Staged {
        /// How.
        stages: Stages,
        /// Independent arrivals from this seed; evenly spaced ones without.
        seed: Option<u64>,
    },
}

impl Schedule {
    /// The due times, counted from the start, never falling; without end unless there are stages.
    pub fn arrivals(&self) -> Arrivals {
        let (rate, seed) = match self {
            Self::Constant(rate) => (Course::Steady(*rate), None),
            Self::Poisson { rate, seed } => (Course::Steady(*rate), Some(*seed)),
            Self::Staged { stages, seed } => (Course::Staged(stages.clone()), *seed),
        };
        let gaps = match seed {
            None => Gaps::Even { next: 0 },
            Some(seed) => Gaps::Random { last: 0.0, random: SmallRng::seed_from_u64(seed) },
        };
        Arrivals { course: rate, gaps }
    }

    /// How long it lasts, where it has an end.
    pub fn lasts(&self) -> Option<Duration> {
        match self {
            Self::Constant(_) | Self::Poisson { .. } => None,
            Self::Staged { stages, .. } => Some(stages.lasts()),
        }
    }
}

/// The rate over time.
#[derive(Debug, Clone)]
enum Course {
    Steady(Rate),
    Staged(Stages),
}

/// How arrivals keep to the rate.
#[derive(Debug, Clone)]
enum Gaps {
    Even {
        /// The number of the next request, from 0.
        next: u64,
    },
    Random {
        /// How many requests should have come when the last one did.
        last: f64,
        random: SmallRng,
    },
}

/// The due times of a schedule.
#[derive(Debug, Clone)]
pub struct Arrivals {
    course: Course,
    gaps: Gaps,
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let requests = match &mut self.gaps {
            // A number, not a sum of gaps: no rounding error grows with the run.
            Gaps::Even { next } => {
                let at = *next as f64;
                *next += 1;
                at
            }
            Gaps::Random { last, random } => {
                // 1 - u lies in (0, 1], so its logarithm is finite.
                *last -= (1.0 - random.random::<f64>()).ln();
                *last
            }
        };
        let seconds = match &self.course {
            Course::Steady(rate) => requests / rate.0,
            Course::Staged(stages) => stages.when(requests)?,
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
    /// Only when cancelled, or when the schedule has an end.
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
#[path = "schedule_tests.rs"]
mod tests;
