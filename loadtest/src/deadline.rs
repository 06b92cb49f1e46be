//! A deadline for each of many short exchanges.
//!
//! A timer that is made for each request and taken back a hundred microseconds later costs more than reading the answer's
//! head. So a lane has one timer, which is left to run out: only then is it asked whether the exchange that is under way
//! has had its time, and set for that one's.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use tokio::time::{Instant, Sleep, sleep};

/// The one timer of a lane.
#[derive(Debug)]
pub(crate) struct Deadline {
    limit: Duration,
    ends: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, ends: Instant::now(), timer: None }
    }

    /// For what begins now.
    pub(crate) fn of(&mut self, now: std::time::Instant) -> &mut Self {
        self.ends = Instant::from_std(now) + self.limit;
        self
    }

    /// What the future gives, or none where it took too long.
    pub(crate) async fn within<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let Self { limit, ends, timer } = self;
        let timer = timer.get_or_insert_with(|| Box::pin(sleep(*limit)));
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            while timer.as_mut().poll(cx).is_ready() {
                if Instant::now() >= *ends {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(*ends);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn each_exchange_has_all_its_time_however_old_the_timer_is() {
        let mut deadline = Deadline::new(LIMIT);
        for _ in 0..5 {
            let begun = Instant::now();
            let answer = deadline.of(begun.into_std()).within(sleep(LIMIT * 9 / 10)).await;
            assert!(answer.is_some());
        }
        for _ in 0..2 {
            let begun = Instant::now();
            assert!(deadline.of(begun.into_std()).within(pending::<()>()).await.is_none());
            assert!(begun.elapsed() >= LIMIT && begun.elapsed() < LIMIT + Duration::from_millis(5));
        }
    }
}
