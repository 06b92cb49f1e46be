//! A breaker that an operator opens and closes by hand, with an end if it shall close by itself.

use std::sync::atomic::{AtomicU64, Ordering};

const CLOSED: u64 = 0;
const NO_END: u64 = u64::MAX;

/// Closed at first: requests pass.
#[derive(Debug, Default)]
pub(crate) struct Switch(AtomicU64);

impl Switch {
    /// Opens it until `ends_ms`, in milliseconds since 1970, or until it is closed.
    pub(crate) fn open(&self, ends_ms: Option<u64>) {
        self.0.store(ends_ms.unwrap_or(NO_END).max(1), Ordering::Relaxed);
    }

    /// Closes it. True if it was open.
    pub(crate) fn close(&self, now_ms: u64) -> bool {
        let was = self.0.swap(CLOSED, Ordering::Relaxed);
        was != CLOSED && now_ms < was
    }

    /// Whether requests are refused; the clock is read only if it may matter.
    pub(crate) fn is_open(&self, now_ms: impl FnOnce() -> u64) -> bool {
        match self.0.load(Ordering::Relaxed) {
            CLOSED => false,
            NO_END => true,
            ends_ms => now_ms() < ends_ms,
        }
    }

    /// When it closes by itself, if it is open and will.
    pub(crate) fn ends_ms(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|ends| !matches!(*ends, CLOSED | NO_END))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_breaker_closes_by_hand_or_at_its_end() {
        let switch = Switch::default();
        assert!(!switch.is_open(|| 5));
        switch.open(None);
        assert!(switch.is_open(|| u64::MAX - 1) && switch.ends_ms().is_none());
        assert!(switch.close(5) && !switch.close(5) && !switch.is_open(|| 5));
        switch.open(Some(10));
        assert!(switch.is_open(|| 9) && !switch.is_open(|| 10));
        assert_eq!(switch.ends_ms(), Some(10));
        assert!(!switch.close(10));
    }
}
