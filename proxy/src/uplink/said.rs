//! What was said already: a search for the control plane tries the same endpoints over and over, and a log that repeats
//! itself several times a second hides what is new in it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serin_config::limits::UPLINK_ENDPOINTS_MAX;

use super::dial::Failure;
use crate::clock;

/// What is still so is said again after this.
const AGAIN: Duration = Duration::from_secs(60);

/// For each endpoint what was wrong with it last, and when that was said.
#[derive(Debug, Default)]
pub(super) struct Said {
    last: HashMap<String, (String, Instant)>,
}

impl Said {
    /// Whether this is worth a line: the endpoint did not fail before, or for another reason, or a minute ago.
    pub(super) fn is_new(&mut self, failure: &Failure) -> bool {
        let now = clock::now();
        let known = self
            .last
            .get(&failure.endpoint)
            .is_some_and(|(why, at)| *why == failure.why && now.saturating_duration_since(*at) < AGAIN);
        // Endpoints that others name come and go; there are never many.
        if !known && self.last.len() >= 2 * UPLINK_ENDPOINTS_MAX {
            self.last.clear();
        }
        if !known {
            self.last.insert(failure.endpoint.clone(), (failure.why.clone(), now));
        }
        !known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(endpoint: &str, why: &str) -> Failure {
        Failure { endpoint: endpoint.into(), why: why.into(), leader: None, silent: false, name_taken: false }
    }

    #[test]
    fn the_same_reason_of_the_same_endpoint_is_said_once() {
        let mut said = Said::default();
        assert!(said.is_new(&failure("a", "refused")));
        assert!(said.is_new(&failure("b", "refused")));
        assert!(!said.is_new(&failure("a", "refused")));
        assert!(said.is_new(&failure("a", "does not lead")));
        assert!(!said.is_new(&failure("b", "refused")));
    }

    #[test]
    fn endpoints_without_end_take_no_memory_without_end() {
        let mut said = Said::default();
        for endpoint in 0..1_000 {
            said.is_new(&failure(&endpoint.to_string(), "refused"));
        }
        assert!(said.last.len() <= 2 * UPLINK_ENDPOINTS_MAX);
    }
}
