//! The only `now()` and the only entropy of this crate.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::{SeedableRng, rngs::SmallRng};

/// A moment, for durations.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, for people and for windows.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds fit for half a billion years")]
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The last moment that lay half a second past a second of the wall clock. Half, so that clocks which differ a little
/// agree on which second that is.
pub(crate) fn half_past() -> Instant {
    let since = Duration::from_millis((unix_ms() + 500) % 1_000);
    let now = Instant::now();
    now.checked_sub(since).unwrap_or(now)
}

/// Seconds since 1970, which certificates count in.
pub(crate) fn unix_seconds() -> i64 {
    i64::try_from(unix_ms() / 1000).unwrap_or(i64::MAX)
}

/// A fast generator, seeded by the operating system; each worker owns one.
pub(crate) fn entropy() -> SmallRng {
    SmallRng::from_os_rng()
}

/// A moment by the wall clock, for people and for collectors.
pub(crate) fn wall(moment: Instant) -> SystemTime {
    let (now, wall) = (Instant::now(), SystemTime::now());
    let before = wall.checked_sub(now.saturating_duration_since(moment)).unwrap_or(UNIX_EPOCH);
    before + moment.saturating_duration_since(now)
}
