//! How attempts on one endpoint end, counted by all workers together.
//!
//! Failures in a row must be known at once, so they are one atomic, which a success only writes if there was
//! a failure before it. The rest is added up by each worker for itself and handed in once a second.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use serin_split::standing::Interval;

/// One endpoint's counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    in_a_row: AtomicU32,
    attempts: AtomicU64,
    failures: AtomicU64,
}

impl Counts {
    /// An attempt went well.
    pub(crate) fn succeeded(&self) {
        if self.in_a_row.load(Relaxed) != 0 {
            self.in_a_row.store(0, Relaxed);
        }
    }

    /// An attempt failed. True at every `limit`-th in a row, when somebody should look at it.
    pub(crate) fn failed(&self, limit: u32) -> bool {
        let in_a_row = self.in_a_row.fetch_add(1, Relaxed).saturating_add(1);
        limit > 0 && in_a_row.is_multiple_of(limit)
    }

    /// Failures in a row.
    pub(crate) fn in_a_row(&self) -> u32 {
        self.in_a_row.load(Relaxed)
    }

    /// Begins a new row.
    pub(crate) fn forgive(&self) {
        self.in_a_row.store(0, Relaxed);
    }

    /// Adds what one worker has counted.
    pub(crate) fn add(&self, interval: Interval) {
        self.attempts.fetch_add(interval.attempts, Relaxed);
        self.failures.fetch_add(interval.failures, Relaxed);
    }

    /// What was added since the last time.
    pub(crate) fn take_interval(&self) -> Interval {
        // Failures first: what is handed in between the two must not have more failures than attempts.
        let failures = self.failures.swap(0, Relaxed);
        let attempts = self.attempts.swap(0, Relaxed);
        Interval { attempts, failures: failures.min(attempts) }
    }
}
