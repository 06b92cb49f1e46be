//! Who may spend how much of the promised chance of a false alarm.
//!
//! One promise covers the rollout, so guards can't have it each: their evidence is added with weights that sum to one,
//! and the sum is compared with 1/α. The fast lane, where proxies send beats at all, has a tenth: it only has to find
//! what fails outright, and its evidence grows by several nats with each request. The comparisons with the stable
//! version are the sharpest guards and keep half of the rest, in equal parts; limits and business events
//! share the other half. A weight of a half costs 0.7 nats, a third of one second at the cap.

use crate::guard::Guard;

/// The fast lane's part of the promise.
pub(crate) const LANE_SHARE: f64 = 0.1;

/// Which guards are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Present {
    pub(crate) errors: bool,
    pub(crate) latency: bool,
    pub(crate) lane: bool,
    /// Limits and events.
    pub(crate) others: usize,
}

impl Present {
    /// The weight of one guard that is on, 0 to 1. Bounds on the cost have none: they are no evidence.
    pub(crate) fn weight(self, guard: Guard) -> f64 {
        let compared = usize::from(self.errors) + usize::from(self.latency);
        let lane = match (self.lane, compared + self.others) {
            (false, _) => 0.0,
            (true, 0) => 1.0,
            (true, _) => LANE_SHARE,
        };
        let comparison = match (compared, self.others) {
            (0, _) => 0.0,
            (_, 0) => 1.0,
            _ => 0.5,
        };
        match guard {
            Guard::FastLane => lane,
            Guard::Errors | Guard::Latency => (1.0 - lane) * comparison / compared.max(1) as f64,
            Guard::MaxErrorRate | Guard::MaxP99 | Guard::Event(_) => {
                (1.0 - lane) * (1.0 - comparison) / self.others.max(1) as f64
            }
            Guard::FailedRequests | Guard::AddedLatency => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_whatever_is_on() {
        for bits in 0..8 {
            for others in 0..4 {
                let on = |bit: u8| bits & bit != 0;
                let present = Present { errors: on(1), latency: on(2), lane: on(4), others };
                let part = |is_on: bool, guard| if is_on { present.weight(guard) } else { 0.0 };
                let sum = part(present.errors, Guard::Errors)
                    + part(present.latency, Guard::Latency)
                    + part(present.lane, Guard::FastLane)
                    + others as f64 * present.weight(Guard::MaxP99);
                let expected = if bits == 0 && others == 0 { 0.0 } else { 1.0 };
                assert!((sum - expected).abs() < 1e-15, "{present:?} {sum}");
            }
        }
    }

    #[test]
    fn the_comparison_keeps_what_nobody_else_needs() {
        let alone = Present { errors: true, ..Present::default() };
        assert_eq!(alone.weight(Guard::Errors), 1.0);
        let both = Present { latency: true, ..alone };
        assert_eq!(both.weight(Guard::Errors), 0.5);
        assert_eq!(Present { others: 2, ..both }.weight(Guard::MaxErrorRate), 0.25);
        assert_eq!(Present { lane: true, ..both }.weight(Guard::Latency), 0.45);
    }
}
