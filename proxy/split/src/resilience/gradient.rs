//! How many requests a version takes before they only wait for each other.
//!
//! Nobody knows that number in advance, and it changes with every release; latency knows. As long as a version
//! has room, answers take as long as they always did; when requests queue within it, they take longer. So the
//! limit is multiplied, window by window, by the ratio of the long-term to the present latency (the
//! *gradient*, at most 1), plus a little room to grow into: the square root of the limit. This is the scheme
//! of Netflix' concurrency-limits ("gradient2"). The long-term mean follows slowly, so that a limit found
//! under overload is not taken for normal, and decays faster when latency falls well below it.
//!
//! The limit moves only while it is used: a quiet version says nothing about what it could take.

use serin_config::resilience::AdaptiveConcurrency;

/// Fewer answers in a window say too little.
const SAMPLES_LEAST: u64 = 10;
/// The long-term mean covers about so many windows.
const LONG_WINDOWS: f64 = 600.0;
/// How much of a new limit is taken at once.
const SMOOTHING: f64 = 0.2;

/// What one window showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Answers that began.
    pub samples: u64,
    /// Their mean time to headers, in microseconds.
    pub mean_us: f64,
    /// Requests in flight at its end.
    pub in_flight: usize,
}

/// A limit that finds itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradient {
    policy: AdaptiveConcurrency,
    limit: f64,
    long_us: Option<f64>,
}

impl Gradient {
    /// Begins at the policy's initial limit.
    pub fn new(policy: AdaptiveConcurrency) -> Self {
        Self { policy, limit: policy.initial as f64, long_us: None }
    }

    /// The policy that it follows.
    pub fn policy(&self) -> &AdaptiveConcurrency {
        &self.policy
    }

    /// The limit now, between the policy's bounds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the bounds")]
    pub fn limit(&self) -> usize {
        (self.limit as usize).clamp(self.policy.min, self.policy.max)
    }

    /// Whether a window says enough to be taken in.
    pub fn observes(&self, window: &Window) -> bool {
        window.samples >= SAMPLES_LEAST && window.mean_us > 0.0
    }

    /// Takes in a window, and gives the limit from now on.
    pub fn observe(&mut self, window: Window) -> usize {
        if !self.observes(&window) {
            return self.limit();
        }
        let present = window.mean_us;
        let long = match self.long_us {
            None => present,
            Some(long) if long > 2.0 * present => long * 0.9,
            Some(long) => long + (present - long) / LONG_WINDOWS,
        };
        self.long_us = Some(long);
        if (window.in_flight as f64) < self.limit / 2.0 {
            return self.limit();
        }
        let gradient = (self.policy.tolerance * long / present).clamp(0.5, 1.0);
        let wanted = self.limit * gradient + self.limit.sqrt();
        self.limit = (self.limit * (1.0 - SMOOTHING) + wanted * SMOOTHING)
            .clamp(self.policy.min as f64, self.policy.max as f64);
        self.limit()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(initial: usize) -> AdaptiveConcurrency {
        AdaptiveConcurrency { initial, ..AdaptiveConcurrency::default() }
    }

    /// A version that serves `room` requests at once in 10 ms; more wait their turn. The clients always want
    /// more than it can take.
    fn served(limit: usize, room: usize) -> Window {
        let mean_us = 10_000.0 * (limit as f64 / room as f64).max(1.0);
        Window { samples: 100, mean_us, in_flight: limit }
    }

    #[test]
    fn the_limit_settles_near_what_the_version_can_take() {
        for (initial, room) in [(10, 60), (20, 100), (50, 40)] {
            let mut gradient = Gradient::new(policy(initial));
            // It was met at ease, so that its normal latency is known.
            gradient.observe(served(1, room));
            for _ in 0..200 {
                let limit = gradient.limit();
                gradient.observe(served(limit, room));
            }
            let limit = gradient.limit();
            // Tolerance 1.5, and the room to grow into.
            assert!((room..=room * 5 / 2).contains(&limit), "from {initial} at {room}: {limit}");
        }
    }

    #[test]
    fn a_version_that_turns_slow_is_given_less() {
        let mut gradient = Gradient::new(policy(100));
        for _ in 0..50 {
            gradient.observe(served(100, 100));
        }
        let before = gradient.limit();
        for _ in 0..30 {
            let in_flight = gradient.limit();
            gradient.observe(Window { samples: 100, mean_us: 200_000.0, in_flight });
        }
        assert!(gradient.limit() * 3 < before, "{before} -> {}", gradient.limit());
    }

    #[test]
    fn a_quiet_version_keeps_its_limit() {
        let mut gradient = Gradient::new(policy(100));
        for _ in 0..100 {
            gradient.observe(Window { samples: 100, mean_us: 10_000.0, in_flight: 10 });
            gradient.observe(Window { samples: 3, mean_us: 900_000.0, in_flight: 100 });
        }
        assert_eq!(gradient.limit(), 100);
    }

    proptest! {
        #[test]
        fn the_limit_never_leaves_its_bounds(windows in proptest::collection::vec((0_u64..1_000, 0.0_f64..1e8, 0_usize..5_000), 0..300)) {
            let policy = AdaptiveConcurrency { min: 5, max: 200, initial: 50, tolerance: 1.5 };
            let mut gradient = Gradient::new(policy);
            for (samples, mean_us, in_flight) in windows {
                let limit = gradient.observe(Window { samples, mean_us, in_flight });
                prop_assert!((5..=200).contains(&limit));
            }
        }
    }
}
