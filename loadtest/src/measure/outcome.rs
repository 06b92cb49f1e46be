//! How a request ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of a whole answer, or why there is none.
pub type Outcome = Result<u16, ErrorKind>;

/// Why a request has no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No connection.
    Connect,
    /// The connection ended before the answer began.
    Closed,
    /// The connection ended within the body.
    BodyCut,
    /// No whole answer in time.
    Timeout,
    /// The answer was not HTTP.
    Protocol,
    /// The answer was whole but the caller's check refused it.
    Refused,
    /// A gRPC call that ended with another status than OK, whatever HTTP says of it.
    Grpc,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Closed => "closed before the answer",
            Self::BodyCut => "body cut short",
            Self::Timeout => "timeout",
            Self::Protocol => "not HTTP",
            Self::Refused => "refused by the check",
            Self::Grpc => "a gRPC status other than OK",
        })
    }
}
