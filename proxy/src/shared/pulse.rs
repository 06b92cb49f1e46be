//! What a version does at the moment, as housekeeping sees it: who waits for an answer, how long answers take to
//! begin, and how many attempts failed.
//!
//! Each worker writes a slot of its own, on a cache line of its own, with plain stores; housekeeping adds the
//! slots up ten times a second. So it costs a request a few stores that no other core waits for.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serin_split::resilience::added::Spent;

/// One slot for each worker.
#[derive(Debug)]
pub(crate) struct Pulse(Box<[Slot]>);

/// One worker's part. Only that worker writes it; `slowest_us` is taken out by housekeeping, and one value
/// that is written meanwhile may be lost.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot {
    waiting: AtomicU64,
    answers: AtomicU64,
    total_us: AtomicU64,
    slowest_us: AtomicU64,
    judged: AtomicU64,
    failed: AtomicU64,
    waited: AtomicU64,
    waited_us: AtomicU64,
}

/// All workers together, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    /// Attempts without an answer yet.
    pub(crate) waiting: u64,
    /// Answers that have begun.
    pub(crate) answers: u64,
    /// The sum of the times that they took to begin, in microseconds.
    pub(crate) total_us: u64,
}

/// Ended attempts of all workers together, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counted {
    /// Attempts that have a part in the comparison of versions.
    pub(crate) judged: u64,
    /// Those of them that failed.
    pub(crate) failed: u64,
}

impl Counted {
    /// What was judged, and what of it failed, after `last` was read. A version that was forgotten meanwhile counts
    /// from nothing again.
    pub(crate) fn since(self, last: Self) -> (u64, u64) {
        let last = if self.judged < last.judged { Self::default() } else { last };
        let judged = self.judged - last.judged;
        (judged, self.failed.saturating_sub(last.failed).min(judged))
    }
}

impl Pulse {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Slot::default()).collect())
    }

    /// An attempt begins to wait.
    pub(crate) fn begin(&self, worker: usize) {
        if let Some(slot) = self.0.get(worker) {
            set(&slot.waiting, |n| n.wrapping_add(1));
        }
    }

    /// It has ended to wait, with an answer that took `answered` to begin, or without one.
    pub(crate) fn end(&self, worker: usize, answered: Option<Duration>) {
        let Some(slot) = self.0.get(worker) else { return };
        set(&slot.waiting, |n| n.saturating_sub(1));
        if let Some(time) = answered {
            let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            set(&slot.answers, |n| n.wrapping_add(1));
            set(&slot.total_us, |n| n.wrapping_add(us));
            if us > slot.slowest_us.load(Ordering::Relaxed) {
                slot.slowest_us.store(us, Ordering::Relaxed);
            }
        }
    }

    /// An attempt that has a part in the comparison of versions has ended to wait for its answer, after so long.
    pub(crate) fn spend(&self, worker: usize, time: Duration) {
        let Some(slot) = self.0.get(worker) else { return };
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        set(&slot.waited, |n| n.wrapping_add(1));
        set(&slot.waited_us, |n| n.saturating_add(us));
    }

    /// What they waited together, all slots together.
    pub(crate) fn spent(&self) -> Spent {
        Spent { attempts: self.sum(|slot| &slot.waited), us: self.sum(|slot| &slot.waited_us) }
    }

    fn sum(&self, of: fn(&Slot) -> &AtomicU64) -> u64 {
        self.0.iter().fold(0, |sum, slot| sum.saturating_add(of(slot).load(Ordering::Relaxed)))
    }

    /// An attempt that has a part in the comparison of versions has ended.
    pub(crate) fn count(&self, worker: usize, failed: bool) {
        let Some(slot) = self.0.get(worker) else { return };
        set(&slot.judged, |n| n.wrapping_add(1));
        if failed {
            set(&slot.failed, |n| n.wrapping_add(1));
        }
    }

    /// What has ended, all slots together. Failures are read first, so that they are never more than all.
    pub(crate) fn counted(&self) -> Counted {
        let failed = self.sum(|slot| &slot.failed);
        Counted { judged: self.sum(|slot| &slot.judged), failed }
    }

    /// All slots together.
    pub(crate) fn read(&self) -> Reading {
        self.0.iter().fold(Reading::default(), |sum, slot| Reading {
            waiting: sum.waiting + slot.waiting.load(Ordering::Relaxed),
            answers: sum.answers.wrapping_add(slot.answers.load(Ordering::Relaxed)),
            total_us: sum.total_us.wrapping_add(slot.total_us.load(Ordering::Relaxed)),
        })
    }

    /// The longest time since the last call.
    pub(crate) fn take_slowest(&self) -> Duration {
        let each = self.0.iter().map(|slot| slot.slowest_us.swap(0, Ordering::Relaxed));
        Duration::from_micros(each.max().unwrap_or(0))
    }
}

/// For a counter that only the calling worker writes.
fn set(counter: &AtomicU64, change: impl Fn(u64) -> u64) {
    counter.store(change(counter.load(Ordering::Relaxed)), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_add_up_and_the_slowest_is_taken_out() {
        let pulse = Pulse::new(2);
        for worker in [0, 0, 1] {
            pulse.begin(worker);
        }
        pulse.end(0, Some(Duration::from_millis(3)));
        pulse.end(1, Some(Duration::from_millis(5)));
        assert_eq!(pulse.read(), Reading { waiting: 1, answers: 2, total_us: 8_000 });
        assert_eq!(pulse.take_slowest(), Duration::from_millis(5));
        assert_eq!(pulse.take_slowest(), Duration::ZERO);
        pulse.end(0, None);
        assert_eq!(pulse.read().waiting, 0);
    }
}
