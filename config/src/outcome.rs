//! How one attempt ended: a closed enum, one label in every metric.

use serde::{Deserialize, Serialize};

/// How one attempt ended. An attempt is charged to the version that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// A response below 400, complete.
    Ok,
    /// A complete response with status 400 to 499.
    #[serde(rename = "http_4xx")]
    Http4xx,
    /// A complete response with status 500 or above.
    #[serde(rename = "http_5xx")]
    Http5xx,
    /// A gRPC response whose status is the server's fault.
    GrpcError,
    /// The endpoint refused the connection, or was not there.
    ConnectFail,
    /// The endpoint did not accept the connection in time.
    ConnectTimeout,
    /// The TLS handshake with the endpoint failed.
    TlsFail,
    /// The endpoint closed the connection before response headers.
    ResetBeforeHeaders,
    /// The endpoint closed the connection within the response body: an error although its status was good.
    ResetMidBody,
    /// No response headers in time.
    HeaderTimeout,
    /// The endpoint sent nothing for too long within the response body.
    IdleTimeout,
    /// The whole exchange took longer than it may.
    TotalTimeout,
    /// The client went away, or stopped reading or sending.
    ClientCancel,
    /// The proxy refused the request to protect itself.
    OverloadLocal,
    /// The version has no endpoint that could be tried.
    NoEndpoint,
    /// The endpoint's response was not HTTP.
    ProtocolError,
}

impl Outcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Ok,
        Self::Http4xx,
        Self::Http5xx,
        Self::GrpcError,
        Self::ConnectFail,
        Self::ConnectTimeout,
        Self::TlsFail,
        Self::ResetBeforeHeaders,
        Self::ResetMidBody,
        Self::HeaderTimeout,
        Self::IdleTimeout,
        Self::TotalTimeout,
        Self::ClientCancel,
        Self::OverloadLocal,
        Self::NoEndpoint,
        Self::ProtocolError,
    ];

    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The number of this outcome, below [`Self::COUNT`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label in metrics and reports.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::GrpcError => "grpc_error",
            Self::ConnectFail => "connect_fail",
            Self::ConnectTimeout => "connect_timeout",
            Self::TlsFail => "tls_fail",
            Self::ResetBeforeHeaders => "reset_before_headers",
            Self::ResetMidBody => "reset_mid_body",
            Self::HeaderTimeout => "header_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::ClientCancel => "client_cancel",
            Self::OverloadLocal => "overload_local",
            Self::NoEndpoint => "no_endpoint",
            Self::ProtocolError => "protocol_error",
        }
    }

    /// Whether the attempt counts in a comparison of versions: what the version can't cause does not.
    pub const fn counts(self) -> bool {
        !matches!(self, Self::ClientCancel | Self::OverloadLocal)
    }

    /// Whether the attempt counts as the version's failure. A 4xx is the client's mistake until a policy
    /// says otherwise.
    pub const fn is_failure(self) -> bool {
        self.counts() && !matches!(self, Self::Ok | Self::Http4xx)
    }
}

/// One counter for each outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutcomeCounts([u64; Outcome::COUNT]);

impl OutcomeCounts {
    /// Counts one more.
    pub fn add(&mut self, outcome: Outcome) {
        self.0[outcome.index()] += 1;
    }

    /// Counts so many more.
    pub fn add_times(&mut self, outcome: Outcome, times: u64) {
        self.0[outcome.index()] = self.0[outcome.index()].saturating_add(times);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// What is left of them without `part`, which was counted among them.
    #[must_use]
    pub fn less(&self, part: &Self) -> Self {
        let mut rest = *self;
        for (mine, theirs) in rest.0.iter_mut().zip(part.0) {
            *mine = mine.saturating_sub(theirs);
        }
        rest
    }

    /// The count of one outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome.index()]
    }

    /// All that were counted, whoever is to blame.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn sum_where(&self, keep: impl Fn(Outcome) -> bool) -> u64 {
        Outcome::ALL.into_iter().filter(|outcome| keep(*outcome)).map(|outcome| self.of(outcome)).sum()
    }

    /// Attempts that count in a comparison of versions.
    pub fn judged(&self) -> u64 {
        self.sum_where(Outcome::counts)
    }

    /// Attempts that count as the version's failures.
    pub fn failed(&self) -> u64 {
        self.sum_where(Outcome::is_failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_stands_at_its_own_number_and_serialises_as_its_label() {
        for (i, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome.index(), i);
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{}\"", outcome.label()));
        }
    }

    #[test]
    fn what_the_version_can_not_cause_never_counts_against_it() {
        let mut counts = OutcomeCounts::default();
        for outcome in Outcome::ALL {
            counts.add(outcome);
        }
        assert_eq!((counts.total(), counts.judged(), counts.failed()), (16, 14, 12));
        assert!(!Outcome::ClientCancel.is_failure() && !Outcome::OverloadLocal.is_failure());
        assert!(Outcome::ResetMidBody.is_failure());
    }
}
