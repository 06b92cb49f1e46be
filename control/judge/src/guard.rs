//! What can be held against a canary, by name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A condition on the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// It must not fail more than the stable version in the same seconds.
    Errors,
    /// It must not be slower than the stable version in the same seconds.
    Latency,
    /// It must not fail half of its requests while the stable version does not; counted four times a second.
    FastLane,
    /// Its error rate must stay below a limit.
    MaxErrorRate,
    /// 99 of 100 of its requests must have response headers within a limit.
    MaxP99,
    /// A business event must not come more, or less, often than with the stable version: the number of the guard in
    /// the policy, from 0.
    Event(u8),
    /// It must not fail more requests in sum than the policy allows.
    FailedRequests,
    /// It must not add more latency in sum than the policy allows.
    AddedLatency,
}

impl Guard {
    /// Whether it is judged by evidence; the others are bounds on what the canary may cost.
    pub fn is_statistical(self) -> bool {
        !matches!(self, Self::FailedRequests | Self::AddedLatency)
    }
}

impl fmt::Display for Guard {
    /// The name in policies and reports.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::FastLane => "fast_lane",
            Self::MaxErrorRate => "max_error_rate",
            Self::MaxP99 => "max_p99",
            Self::Event(_) => "events",
            Self::FailedRequests => "blast_radius.failed_requests",
            Self::AddedLatency => "blast_radius.added_latency",
        })
    }
}
