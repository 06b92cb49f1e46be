//! Deadlines that cost nothing while they move.
//!
//! Almost every deadline on the hot path is moved or cancelled before it comes. Arming a timer of the
//! runtime for each would touch its timing wheel twice a request; a [`LazyTimer`] stays armed for an
//! earlier moment and looks again when that comes, so moving a deadline forward is one store.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use tokio::time::{Sleep, sleep_until};

/// One deadline at a time, owned by one task at a time.
#[derive(Debug, Default)]
pub(crate) struct LazyTimer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom the armed timer will wake.
    waker: Option<Waker>,
}

impl LazyTimer {
    /// Ready once `deadline` has passed; otherwise the task will be woken at or before it.
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        } else if !sleep.is_elapsed() && self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_forward_comes_when_it_was_last_set_to() {
        let mut timer = LazyTimer::default();
        let start = tokio::time::Instant::now();
        let at = |ms| (start + Duration::from_millis(ms)).into_std();
        poll_fn(|cx| {
            assert!(timer.poll(at(100), cx).is_pending());
            assert!(timer.poll(at(500), cx).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| timer.poll(at(500), cx)).await;
        assert_eq!(start.elapsed().as_millis(), 500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_back_comes_early() {
        let mut timer = LazyTimer::default();
        let start = tokio::time::Instant::now();
        let at = |ms| (start + Duration::from_millis(ms)).into_std();
        poll_fn(|cx| {
            assert!(timer.poll(at(500), cx).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| timer.poll(at(50), cx)).await;
        assert_eq!(start.elapsed().as_millis(), 50);
    }
}
