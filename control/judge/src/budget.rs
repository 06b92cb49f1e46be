//! Who may spend how much of the promised chance of a false alarm.
//!
//! One promise covers the rollout, so guards can't have it each: their evidence is added with weights that sum to one,
//! and the sum is compared with 1/α. The comparison with the stable version is the sharpest guard and keeps half;
//! limits share the rest. A weight of a half costs 0.7 nats, a third of one second at the cap.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A condition on the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// It must not fail more than the stable version in the same seconds.
    Errors,
    /// Its error rate must stay below a limit.
    MaxErrorRate,
    /// 99 of 100 of its requests must have response headers within a limit.
    MaxP99,
}

impl fmt::Display for Guard {
    /// The name in policies and reports.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Errors => "errors",
            Self::MaxErrorRate => "max_error_rate",
            Self::MaxP99 => "max_p99",
        })
    }
}

/// The weight of one guard, where the comparison of errors is on or not and with so many limits.
pub(crate) fn weight(guard: Guard, errors: bool, limits: usize) -> f64 {
    let comparison = match (errors, limits) {
        (false, _) => 0.0,
        (true, 0) => 1.0,
        (true, _) => 0.5,
    };
    match guard {
        Guard::Errors => comparison,
        Guard::MaxErrorRate | Guard::MaxP99 => (1.0 - comparison) / limits.max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_whatever_is_on() {
        for (errors, limits) in [(true, 0), (true, 1), (true, 2), (false, 1), (false, 2)] {
            let comparison = weight(Guard::Errors, errors, limits);
            let sum = comparison + limits as f64 * weight(Guard::MaxP99, errors, limits);
            assert!((sum - if limits == 0 { comparison } else { 1.0 }).abs() < 1e-15);
        }
        assert_eq!(weight(Guard::Errors, true, 0), 1.0);
        assert_eq!(weight(Guard::MaxErrorRate, true, 2), 0.25);
    }
}
