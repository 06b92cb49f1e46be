//! How many requests a route takes, of everybody together or of each client.

use std::fmt;

use serde::Serialize;

/// A token bucket: `burst` requests at once, refilled at `requests_per_second`. All workers share it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RateLimit {
    /// Requests a second in the long run, above 0.
    pub requests_per_second: f64,
    /// Requests that may come at once; at least 1.
    pub burst: u64,
    /// What has a bucket of its own.
    pub key: LimitKey,
}

/// What has a bucket of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKey {
    /// The route: one bucket.
    Route,
    /// Each client's address; of IPv6, its /64.
    ClientAddress,
    /// Each value of this header (lower-case); requests without it share one.
    Header(String),
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s, burst {}", self.requests_per_second, self.burst)?;
        match &self.key {
            LimitKey::Route => Ok(()),
            LimitKey::ClientAddress => f.write_str(", each client"),
            LimitKey::Header(name) => write!(f, ", each {name}"),
        }
    }
}
