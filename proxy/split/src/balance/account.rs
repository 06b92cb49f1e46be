//! What one worker knows of one endpoint, and what it expects an attempt to cost there.
//!
//! The expected cost is a time: the recent peak of latency, plus what failures cost, times the requests that
//! would be in flight. Latency is a *peak* EWMA (as in Finagle and Linkerd): a slow answer counts at once and
//! whole, a fast one bit by bit, since it is worse to be late in noticing trouble than its end.
//!
//! A failure costs as much as [`FAILURE_COST`] of waiting, in proportion to the share of recent attempts that
//! failed. So an endpoint that fails in no time gets dearer with each failure instead of cheaper, while rare
//! failures that all endpoints share leave their order to latency.
//!
//! What was not confirmed for a while fades ([`DECAY`]): an endpoint that was slow or failing is asked again
//! after some time, and after a longer one the worse it was.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use super::draw::Draws;

/// The time in which what is known of an endpoint fades to 37 % (Linkerd's and Finagle's default).
const DECAY: Duration = Duration::from_secs(10);
/// What is expected of an endpoint of which nothing is known (Linkerd's default).
const LATENCY_ASSUMED_US: f64 = 30_000.0;
/// A failure is as bad as this much waiting (Linkerd's penalty).
const FAILURE_COST_US: f64 = 5_000_000.0;
/// Differences below this are noise: there, requests in flight decide.
const FLOOR_US: f64 = 100.0;
/// The share with which a slow start begins (Envoy's `min_weight_percent`).
const SLOW_START_SHARE_MIN: f64 = 0.1;

/// How an attempt ended, as far as choosing endpoints goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The endpoint did its part.
    Well,
    /// The endpoint failed.
    Badly,
    /// Nothing can be said of the endpoint: the client went away, or Serin gave up.
    Unknown,
}

/// One endpoint, as one worker has seen it.
#[derive(Debug)]
pub struct Account {
    id: u32,
    in_flight: Cell<u32>,
    latency_us: Cell<f64>,
    measured: Cell<bool>,
    failing: Cell<f64>,
    latency_at: Cell<Instant>,
    failing_at: Cell<Instant>,
    slow_start: Cell<Option<(Instant, Duration)>>,
}

impl Account {
    /// An endpoint of which nothing is known; `id` is unique on the worker.
    pub fn new(id: u32, now: Instant) -> Self {
        Self {
            id,
            in_flight: Cell::new(0),
            latency_us: Cell::new(LATENCY_ASSUMED_US),
            measured: Cell::new(false),
            failing: Cell::new(0.0),
            latency_at: Cell::new(now),
            failing_at: Cell::new(now),
            slow_start: Cell::new(None),
        }
    }

    /// What tells it from others of the worker.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// An attempt begins.
    pub fn begin(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// The head of an answer came after this time.
    pub fn answered(&self, latency: Duration, now: Instant) {
        #[expect(clippy::cast_precision_loss, reason = "a float is exact far beyond any latency")]
        let sample = latency.as_micros() as f64;
        let kept = kept(self.latency_at.replace(now), now);
        let before = self.latency_us.get();
        let first = !self.measured.replace(true);
        let blended = before * kept + sample * (1.0 - kept);
        self.latency_us.set(if first { sample } else { blended.max(sample.min(PEAK_US)) });
    }

    /// An attempt has ended.
    pub fn end(&self, ended: Ended, now: Instant) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        let failed = match ended {
            Ended::Well => 0.0,
            Ended::Badly => 1.0,
            Ended::Unknown => return,
        };
        let kept = kept(self.failing_at.replace(now), now);
        self.failing.set(self.failing.get() * kept + failed * (1.0 - kept));
    }

    /// What an attempt is expected to cost, in microseconds.
    pub fn cost(&self, now: Instant) -> f64 {
        let latency = self.latency_us.get() * kept(self.latency_at.get(), now);
        let failing = match self.failing.get() {
            0.0 => 0.0,
            failing => failing * kept(self.failing_at.get(), now) * FAILURE_COST_US,
        };
        (FLOOR_US + latency + failing) * (f64::from(self.in_flight.get()) + 1.0)
    }

    /// The latency that is known, in microseconds, if any is.
    pub fn latency_us(&self) -> Option<f64> {
        self.measured.get().then(|| self.latency_us.get())
    }

    /// Of an endpoint that is new among others, what is known of them is expected.
    pub fn expect_latency(&self, microseconds: f64, now: Instant) {
        if !self.measured.get() {
            self.latency_us.set(microseconds);
            self.latency_at.set(now);
        }
    }

    /// It is new or came back at `since`: its share grows over `window`.
    pub fn start_slowly(&self, since: Instant, window: Duration) {
        self.slow_start.set(Some((since, window)));
    }

    /// Whether a draw of this endpoint stands; always, unless it starts slowly.
    pub(super) fn is_admitted(&self, now: Instant, draws: &mut Draws) -> bool {
        let Some((since, window)) = self.slow_start.get() else { return true };
        let share = now.saturating_duration_since(since).as_secs_f64() / window.as_secs_f64();
        if share >= 1.0 {
            self.slow_start.set(None);
            return true;
        }
        draws.chance(share.max(SLOW_START_SHARE_MIN))
    }
}

/// A single sample counts at most this, so that one answer after minutes does not banish an endpoint.
const PEAK_US: f64 = 60_000_000.0;

/// How much is left of what was known at `then`.
fn kept(then: Instant, now: Instant) -> f64 {
    (-now.saturating_duration_since(then).as_secs_f64() / DECAY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn account() -> (Account, Instant) {
        let now = crate::test_start();
        (Account::new(0, now), now)
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_a_fast_one_bit_by_bit() {
        let (account, start) = account();
        account.answered(MS, start);
        assert_eq!(account.latency_us(), Some(1_000.0));
        account.answered(100 * MS, start + 10 * MS);
        assert_eq!(account.latency_us(), Some(100_000.0));
        account.answered(MS, start + 20 * MS);
        assert!(account.latency_us().unwrap() > 99_000.0);
        account.answered(MS, start + Duration::from_secs(60));
        assert!(account.latency_us().unwrap() < 2_000.0);
    }

    #[test]
    fn cost_grows_with_requests_in_flight_and_fades_with_time() {
        let (account, start) = account();
        account.answered(10 * MS, start);
        let (idle, later) = (account.cost(start), account.cost(start + DECAY));
        account.begin();
        assert_eq!(account.cost(start), idle * 2.0);
        assert!(later < idle * 0.4 && later > idle * 0.3, "{later} {idle}");
    }

    #[test]
    fn failures_in_no_time_cost_more_than_slow_answers() {
        let (account, start) = account();
        let mut now = start;
        account.answered(50 * MS, now);
        for _ in 0..50 {
            now += 10 * MS;
            account.begin();
            account.answered(MS / 100, now);
            account.end(Ended::Badly, now);
        }
        // Half a second of nothing but failures.
        assert!(account.cost(now) > 200_000.0, "{}", account.cost(now));
    }

    #[test]
    fn what_says_nothing_of_the_endpoint_changes_only_what_is_in_flight() {
        let (account, start) = account();
        let before = account.cost(start);
        account.begin();
        account.end(Ended::Unknown, start + 10 * MS);
        assert_eq!((account.in_flight(), account.cost(start)), (0, before));
    }

    #[test]
    fn of_a_new_endpoint_the_latency_of_the_others_is_expected_until_it_is_measured() {
        let (account, start) = account();
        account.expect_latency(1_000.0, start);
        assert_eq!(account.cost(start), 1_000.0 + FLOOR_US);
        account.answered(5 * MS, start);
        account.expect_latency(1_000.0, start);
        assert_eq!(account.latency_us(), Some(5_000.0));
    }
}
