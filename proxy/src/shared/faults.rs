//! Injected faults: set by hand, listed, removed, and always ended by themselves.
//!
//! Workers ask a flag; only while there is a fault do they look further.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use serin_config::limits::FAULTS_MAX;
use serin_split::resilience::inject::{self, Effect, Fault, Seen};

/// There are as many as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {FAULTS_MAX} injected faults already; remove one first")]
pub(crate) struct TooMany;

/// All faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    any: AtomicBool,
    all: ArcSwap<Vec<Fault>>,
    next: AtomicU64,
    changing: Mutex<()>,
}

impl Faults {
    /// Sets a fault; its number is given here.
    pub(crate) fn add(&self, mut fault: Fault, now: Instant) -> Result<u64, TooMany> {
        fault.id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let id = fault.id;
        self.change(now, |faults| {
            if faults.len() >= FAULTS_MAX {
                return Err(TooMany);
            }
            faults.push(fault);
            Ok(id)
        })
    }

    /// Removes a fault; false if there is none of that number.
    pub(crate) fn remove(&self, id: u64, now: Instant) -> bool {
        self.change(now, |faults| {
            let before = faults.len();
            faults.retain(|fault| fault.id != id);
            faults.len() < before
        })
    }

    /// Lets go of what has ended.
    pub(crate) fn sweep(&self, now: Instant) {
        if self.any.load(Ordering::Relaxed) {
            self.change(now, |_| ());
        }
    }

    /// Those in force at `now`.
    pub(crate) fn list(&self, now: Instant) -> Vec<Fault> {
        self.all.load().iter().filter(|fault| now < fault.ends).cloned().collect()
    }

    /// Whether there is a fault at all.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// What is to happen to a request at `now`.
    #[cold]
    pub(crate) fn hit(&self, seen: &Seen<'_>, now: Instant, random: impl FnMut() -> u64) -> Option<Effect> {
        inject::hit(self.all.load().iter(), seen, now, random)
    }

    fn change<T>(&self, now: Instant, change: impl FnOnce(&mut Vec<Fault>) -> T) -> T {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = self.list(now);
        let result = change(&mut faults);
        self.any.store(!faults.is_empty(), Ordering::Relaxed);
        self.all.store(Arc::new(faults));
        result
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serin_config::Weight;

    use super::*;
    use crate::clock;

    fn fault(ends: Instant) -> Fault {
        Fault { id: 0, target: Default::default(), share: Weight::WHOLE, effect: Effect::default(), ends }
    }

    #[test]
    fn faults_are_numbered_listed_removed_and_end_by_themselves() {
        let (faults, now) = (Faults::default(), clock::now());
        let later = now + Duration::from_secs(60);
        let first = faults.add(fault(later), now).unwrap();
        let second = faults.add(fault(now + Duration::from_secs(1)), now).unwrap();
        assert!(first != second && faults.any());
        assert_eq!(faults.list(now).len(), 2);
        assert_eq!(faults.list(now + Duration::from_secs(1)).len(), 1);
        assert!(faults.remove(first, now) && !faults.remove(first, now));
        faults.sweep(now + Duration::from_secs(2));
        assert!(!faults.any());
    }

    #[test]
    fn there_is_a_bound_on_them_and_ended_ones_make_room() {
        let (faults, now) = (Faults::default(), clock::now());
        let soon = now + Duration::from_secs(1);
        for _ in 0..FAULTS_MAX {
            faults.add(fault(soon), now).unwrap();
        }
        assert_eq!(faults.add(fault(soon), now), Err(TooMany));
        assert!(faults.add(fault(soon + soon.duration_since(now)), soon).is_ok());
    }
}
