//! Many proxies, one quarter of a second: beats that belong together are judged together.
//!
//! A beat is one observation for the judge's fast lane, which counts on what lies between two of them: a pause of the
//! network that lasts as long as a beat may spoil one, and not a thousand. So the beats of a fleet are added until every
//! live proxy has told one, or until the time of a beat has passed since the first. A lone proxy never waits.

use std::time::Duration;

use serin_config::limits::BEAT_PERIOD;

/// The quarter of a second that is not over.
#[derive(Debug, Default)]
pub struct Pulse {
    beats: usize,
    since_ms: u64,
}

impl Pulse {
    /// Takes a beat. Gives how many there are now. `now_ms` is in milliseconds since 1970, by a clock that never goes
    /// back, here and below.
    pub fn take(&mut self, now_ms: u64) -> usize {
        if self.beats == 0 {
            self.since_ms = now_ms;
        }
        self.beats += 1;
        self.beats
    }

    /// Whether it is over, though not everybody has told.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.beats > 0 && Duration::from_millis(now_ms.saturating_sub(self.since_ms)) >= BEAT_PERIOD
    }

    /// The next one begins.
    pub fn begin(&mut self) {
        self.beats = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_from_its_first_beat_for_as_long_as_a_beat() {
        let mut pulse = Pulse::default();
        assert!(!pulse.is_over(9_000), "nothing has begun");
        assert_eq!((pulse.take(1_000), pulse.take(1_200)), (1, 2));
        assert!(!pulse.is_over(1_249) && pulse.is_over(1_250));
        pulse.begin();
        assert!(!pulse.is_over(9_000));
        assert_eq!(pulse.take(9_000), 1);
        assert!(!pulse.is_over(9_249));
    }
}
