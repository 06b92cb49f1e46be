//! What bends the split of a service: requests that name their version, and copies to another one.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{name::VersionName, weight::Weight};

/// Pins requests to a version. Such requests are charged to it, and left out of the comparison of versions: who
/// asks for a version is no random sample of its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Override {
    /// Where the request says so.
    pub key: OverrideKey,
    /// The value that pins; any where absent.
    pub value: Option<String>,
    /// The version; the one that the value names where absent, and none if it names no version.
    pub version: Option<VersionName>,
}

/// Where a request names its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrideKey {
    /// In this header (lower-case).
    Header(String),
    /// In this cookie.
    Cookie(String),
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            OverrideKey::Header(name) => write!(f, "header {name}")?,
            OverrideKey::Cookie(name) => write!(f, "cookie {name}")?,
        }
        if let Some(value) = &self.value {
            write!(f, "={value}")?;
        }
        match &self.version {
            Some(version) => write!(f, " → {version}"),
            None => f.write_str(" → the version that it names"),
        }
    }
}

/// Sends copies of requests to a version, whose answers nobody gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mirror {
    /// Who gets the copies.
    pub version: VersionName,
    /// Of the requests that go to another version, how many are copied.
    pub share: Weight,
    /// Copies under way at once, each worker an equal share; beyond it requests are not copied.
    pub max_in_flight: u64,
    /// A request with a longer body is not copied, in bytes.
    pub max_body: u64,
    /// For a copy and its whole answer.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub timeout: Duration,
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, share, max_in_flight, max_body, .. } = self;
        write!(f, "{share} to {version}, at most {max_in_flight} at once, bodies up to {max_body} bytes")
    }
}
