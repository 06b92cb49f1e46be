//! Copies of users' requests, by which a canary is judged before it has a user.
//!
//! A step may give the canary copies in place of users: the stable version answers, and nobody gets what the canary
//! says. What is done twice must not matter, so only methods are copied that change nothing, unless the file names
//! others. All of it is bounded: a canary that hangs has so many copies under way, and requests beyond them are not
//! copied.

use std::time::Duration;

use serde::Serialize;

use crate::limits::{MIRROR_BODY_DEFAULT, MIRROR_IN_FLIGHT_DEFAULT, MIRROR_TIMEOUT_DEFAULT};

/// The methods that are copied unless the file says otherwise: those that are safe (RFC 9110, 9.2.1), but for TRACE,
/// which is never served.
pub const COPIED_METHODS_DEFAULT: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// How requests are copied in steps with a [`Step::mirror`](super::Step::mirror).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copying {
    /// The methods that are copied, sorted, each once; at least one.
    pub methods: Vec<String>,
    /// Copies under way at once in one proxy, each worker an equal share; beyond it requests are not copied.
    pub max_in_flight: u64,
    /// A request with a longer body is not copied, in bytes.
    pub max_body: u64,
    /// For a copy and its whole answer; one that takes longer has failed.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub timeout: Duration,
}

impl Default for Copying {
    fn default() -> Self {
        Self {
            methods: COPIED_METHODS_DEFAULT.map(String::from).to_vec(),
            max_in_flight: MIRROR_IN_FLIGHT_DEFAULT,
            max_body: MIRROR_BODY_DEFAULT,
            timeout: MIRROR_TIMEOUT_DEFAULT,
        }
    }
}

impl Copying {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether requests of this method are copied.
    pub fn copies(&self, method: &str) -> bool {
        self.methods.iter().any(|copied| copied == method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_nothing_is_copied_and_nothing_else() {
        let copying = Copying::default();
        assert!(copying.methods.is_sorted() && copying.is_default());
        assert!(["GET", "HEAD", "OPTIONS"].iter().all(|method| copying.copies(method)));
        assert!(!["POST", "PUT", "DELETE", "PATCH", "get"].iter().any(|method| copying.copies(method)));
    }
}
