//! A token that ends a load early. The pacer sleeps on it, so that cancelling takes effect at once.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Instant,
};

/// A flag that is raised once and never lowered; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<(Mutex<bool>, Condvar)>);

impl Cancel {
    /// A token that nobody has raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag: no further request is sent, those in flight end as they may.
    pub fn cancel(&self) {
        let (raised, changed) = &*self.0;
        *raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether the flag was raised.
    pub fn is_cancelled(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until `until` or until the flag is raised; says whether it is.
    pub fn sleep_until(&self, until: Instant) -> bool {
        let (raised, changed) = &*self.0;
        let mut raised = raised.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if *raised || left.is_zero() {
                return *raised;
            }
            raised = changed.wait_timeout(raised, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
