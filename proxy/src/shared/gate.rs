//! A bound on what is held at once by all workers together, and a queue for those who may wait.
//!
//! Entering and leaving are one atomic operation each. The queue has a lock, which only those meet who found
//! no room and those who leave while somebody waits. It is first in, first out over all workers: whoever comes
//! while others wait goes to its end.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    time::Instant,
};

/// How many are in, and who waits. On a cache line of its own: all workers write it.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Gate {
    held: AtomicUsize,
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiters: VecDeque<(u64, Waker)>,
}

impl Gate {
    /// How many are in.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes a place if fewer than `limit` are held and nobody waits for one.
    pub(crate) fn try_enter(&self, limit: usize) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0 && self.take(limit)
    }

    fn take(&self, limit: usize) -> bool {
        let more = |held| (held < limit).then_some(held + 1);
        self.held.fetch_update(Ordering::SeqCst, Ordering::Relaxed, more).is_ok()
    }

    /// Gives a place back, and wakes who has waited longest.
    pub(crate) fn leave(&self) {
        self.held.fetch_sub(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.wake_first();
        }
    }

    /// Waits for a place until `deadline`; false if there was none, or if `most` wait already. `limit` is
    /// asked anew each time, since it may move.
    pub(crate) async fn wait(&self, limit: impl Fn() -> usize, most: usize, deadline: Instant) -> bool {
        let Some(ticket) = Ticket::draw(self, most) else { return false };
        let entered =
            poll_fn(|cx| if ticket.poll(&limit, cx.waker()) { Poll::Ready(()) } else { Poll::Pending });
        tokio::time::timeout_at(deadline.into(), entered).await.is_ok()
    }

    #[cold]
    fn wake_first(&self) {
        let first = self.lock().waiters.front().map(|(_, waker)| waker.clone());
        if let Some(waker) = first {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue; dropping it leaves the queue, whatever the reason.
struct Ticket<'a> {
    gate: &'a Gate,
    number: u64,
}

impl<'a> Ticket<'a> {
    fn draw(gate: &'a Gate, most: usize) -> Option<Self> {
        let one_more = |waiting| (waiting < most).then_some(waiting + 1);
        gate.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        let mut queue = gate.lock();
        let number = queue.next;
        queue.next += 1;
        queue.waiters.push_back((number, Waker::noop().clone()));
        Some(Self { gate, number })
    }

    fn poll(&self, limit: &impl Fn() -> usize, waker: &Waker) -> bool {
        let mut queue = self.gate.lock();
        let at = queue.waiters.iter().position(|(number, _)| *number == self.number);
        let Some(at) = at else { return false };
        // The waker is in place before the gate is looked at: whoever leaves after that look wakes it.
        queue.waiters[at].1.clone_from(waker);
        at == 0 && self.gate.take(limit())
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.gate.lock().waiters.retain(|(number, _)| *number != self.number);
        self.gate.waiting.fetch_sub(1, Ordering::SeqCst);
        // The next may find room too, or may have been passed over by a wake-up that came here.
        if self.gate.waiting.load(Ordering::SeqCst) > 0 {
            self.gate.wake_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::clock;

    fn soon() -> Instant {
        clock::now() + Duration::from_secs(10)
    }

    #[test]
    fn no_more_than_the_limit_are_in() {
        let gate = Gate::default();
        assert!(gate.try_enter(2) && gate.try_enter(2) && !gate.try_enter(2));
        gate.leave();
        assert!(gate.try_enter(2));
        assert!(!gate.try_enter(1), "a limit that fell lets nobody in");
    }

    #[tokio::test]
    async fn who_waits_enters_in_turn_and_nobody_jumps_the_queue() {
        let gate = Arc::new(Gate::default());
        assert!(gate.try_enter(1));
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..3)
            .map(|number| {
                let (gate, order) = (gate.clone(), order.clone());
                tokio::spawn(async move {
                    assert!(gate.wait(|| 1, 10, soon()).await);
                    order.lock().unwrap().push(number);
                    gate.leave();
                })
            })
            .collect();
        while gate.waiting() < 3 {
            tokio::task::yield_now().await;
        }
        gate.leave();
        assert!(!gate.try_enter(1), "three were there before");
        for waiter in waiting {
            waiter.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
        assert_eq!((gate.held(), gate.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_the_wait_ends() {
        let gate = Gate::default();
        assert!(gate.try_enter(1));
        assert!(!gate.wait(|| 1, 0, soon()).await, "none may wait");
        assert!(!gate.wait(|| 1, 1, clock::now() + Duration::from_millis(5)).await);
        assert_eq!(gate.waiting(), 0);
        gate.leave();
        assert!(gate.try_enter(1));
    }

    #[test]
    fn with_many_threads_the_limit_holds_and_everybody_gets_in() {
        let gate = Arc::new(Gate::default());
        let most = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (gate, most) = (gate.clone(), most.clone());
                std::thread::spawn(move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    runtime.block_on(async {
                        for _ in 0..2_000 {
                            assert!(gate.try_enter(2) || gate.wait(|| 2, 100, soon()).await, "lost");
                            most.fetch_max(gate.held(), Ordering::Relaxed);
                            tokio::task::yield_now().await;
                            gate.leave();
                        }
                    });
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(most.load(Ordering::Relaxed) <= 2);
        assert_eq!((gate.held(), gate.waiting()), (0, 0));
    }
}
