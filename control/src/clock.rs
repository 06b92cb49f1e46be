//! The only place that asks what time it is.
//!
//! The wall clock is read once; from there on time is counted by the monotonic clock, so that a corrected
//! wall clock can neither end a step nor turn the journal back.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 that never go back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    base_ms: u64,
    since: Instant,
}

impl Clock {
    /// A clock that shows at least `now_ms` now.
    pub(crate) fn not_before(now_ms: u64) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { base_ms: millis(wall).max(now_ms), since: Instant::now() }
    }

    /// Now, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.base_ms.saturating_add(millis(self.since.elapsed()))
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
