//! How many beats are taken of a whole fleet.
//!
//! A beat is for the question whether a canary is dead, and a few hundred proxies answer that as well as thousands: beats
//! are a sample anyway, since windows count the same requests. So of each quarter of a second a bounded number of beats
//! is taken, those that come first; of a fleet of up to that many proxies it is all of them. What is left out is left out
//! of both versions alike.

use std::sync::atomic::{AtomicU64, Ordering};

use serin_config::limits::{BEAT_PERIOD, FLEET_BEATS_MAX};

#[expect(clippy::cast_possible_truncation, reason = "a quarter of a second")]
const PERIOD_MS: u64 = BEAT_PERIOD.as_millis() as u64;
/// The low bits, which count beats; those above number the quarter of a second.
const COUNT_BITS: u32 = 16;

/// Counts the beats of the present quarter of a second.
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicU64);

impl Budget {
    /// Whether one more is taken at this time, in milliseconds since 1970.
    pub(super) fn take(&self, now_ms: u64) -> bool {
        let quarter = now_ms / PERIOD_MS;
        let next = |held: u64| match held & ((1 << COUNT_BITS) - 1) {
            _ if held >> COUNT_BITS != quarter => Some((quarter << COUNT_BITS) | 1),
            taken if taken < FLEET_BEATS_MAX => Some(held + 1),
            _ => None,
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quarter_of_a_second_has_room_for_a_bounded_number_of_beats() {
        let budget = Budget::default();
        let taken = |at_ms: u64, beats: u64| (0..beats).filter(|_| budget.take(at_ms)).count() as u64;
        assert_eq!(taken(1_800_000_000_000, 10), 10);
        assert_eq!(taken(1_800_000_000_249, FLEET_BEATS_MAX), FLEET_BEATS_MAX - 10);
        assert_eq!(taken(1_800_000_000_250, 2 * FLEET_BEATS_MAX), FLEET_BEATS_MAX);
        assert_eq!(taken(1_800_000_000_500, 3), 3);
    }
}
