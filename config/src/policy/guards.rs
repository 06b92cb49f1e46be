//! The conditions on the canary.

use std::time::Duration;

use serde::Serialize;

use super::Margin;
use crate::{name::EventName, weight::Weight};

/// Conditions on the canary. Each that is present is watched all the time, paused or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Guards {
    /// The canary must not fail more than the stable version does in the same seconds.
    pub errors: Option<ErrorComparison>,
    /// It must not be slower than the stable version is in the same seconds.
    pub latency: Option<LatencyComparison>,
    /// The canary's error rate must stay below this share of its requests, as parts per million.
    pub max_error_rate: Option<Weight>,
    /// 99 of 100 requests of the canary must have response headers within this time.
    #[serde(serialize_with = "crate::duration::serialize_any")]
    pub max_p99: Option<Duration>,
    /// Business events that must not come more, or less, often than with the stable version.
    pub events: Vec<EventGuard>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            errors: Some(ErrorComparison::default()),
            latency: Some(LatencyComparison::default()),
            max_error_rate: None,
            max_p99: None,
            events: Vec::new(),
        }
    }
}

/// The tolerances of the comparison of error rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ErrorComparison {
    /// Harmless: the canary's error rate up to `ratio` × the stable version's + `margin`. At least 1.
    pub ratio: f64,
    /// See `ratio`.
    pub margin: Weight,
    /// Promotion needs proof that the canary's error rate is below `pass_ratio` × stable's + `pass_margin`.
    pub pass_ratio: f64,
    /// See `pass_ratio`.
    pub pass_margin: Weight,
}

impl ErrorComparison {
    /// What a step must prove that has no margin of its own.
    pub const fn pass(&self) -> Margin {
        Margin { ratio: self.pass_ratio, margin: self.pass_margin }
    }
}

impl Default for ErrorComparison {
    /// An error rate up to a fifth and 0.005 percentage points higher is taken for noise: without that
    /// tolerance, the differences between healthy endpoints alone would roll canaries back.
    fn default() -> Self {
        let ppm = |ppm| Weight::from_ppm(ppm).unwrap_or(Weight::ZERO);
        Self { ratio: 1.2, margin: ppm(50), pass_ratio: 1.5, pass_margin: ppm(500) }
    }
}

/// The tolerances of the comparison of latencies: a canary is slower where its distribution lies to the right
/// of the stable version's by more than this.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyComparison {
    /// Harmless up to the 95th percentile, as a part of the stable version's latency: 0.044 is 4.4 %. Twice as
    /// much is harmless at the 99th, three times at the 99.9th percentile.
    pub tolerance: f64,
    /// A difference below this is harmless everywhere.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub min_difference: Duration,
    /// Whether promotion needs proof that the canary is not slower.
    pub proof: bool,
}

impl Default for LatencyComparison {
    /// Pods of one version differ by some three per cent.
    fn default() -> Self {
        Self { tolerance: 0.044, min_difference: Duration::from_millis(1), proof: true }
    }
}

/// The default of [`EventGuard::ratio`]: as for errors, a fifth is noise.
pub const EVENT_RATIO_DEFAULT: f64 = 1.2;

/// A condition on events that responses name in a header, or that others count.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventGuard {
    /// The event.
    pub event: EventName,
    /// Which direction is bad.
    pub bad: Direction,
    /// Harmless: up to this ratio between the versions, in the bad direction. At least 1.
    pub ratio: f64,
    /// Who counts it.
    pub counted_by: CountedBy,
}

/// Who counts an event. Never both: the two count among different requests, and a sum of them would compare nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedBy {
    /// The proxies: responses name it in a header, and each request has it or not.
    #[default]
    Proxy,
    /// Somebody who pushes counts to the API, with the number of requests among which they were counted.
    Push,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More events for each request.
    More,
    /// Fewer.
    Fewer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_margins_are_not_zero() {
        assert_eq!(ErrorComparison::default().margin.to_string(), "0.005%");
        assert_eq!(ErrorComparison::default().pass().margin.to_string(), "0.05%");
    }
}
