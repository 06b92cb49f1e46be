//! The last minute of a stratum's counts: for people who ask why a route was named.
//!
//! There may be a thousand strata, so it is kept in parts of ten seconds; one by one, the windows of a minute
//! would be most of what a checkpoint holds.

use serde::{Deserialize, Serialize};

use crate::block::Pair;

/// Windows of one part.
const PART: u64 = 10;
/// Parts that are kept.
const PARTS: usize = 6;

/// Sums over 51 to 60 windows, the present one included.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Minute {
    parts: [Pair; PARTS],
    /// Which ten windows, counted from the first, the present part holds.
    part: u64,
}

impl Minute {
    /// Before window `number` is counted; again for the same one changes nothing.
    pub(crate) fn begin(&mut self, number: u64) {
        let part = number / PART;
        for passed in (self.part + 1..=part).rev().take(PARTS) {
            self.parts[Self::place(passed)] = Pair::default();
        }
        self.part = part;
    }

    /// Counts in the present window.
    pub(crate) fn add(&mut self, pair: Pair) {
        self.parts[Self::place(self.part)].add(pair);
    }

    pub(crate) fn sum(&self) -> Pair {
        let mut sum = Pair::default();
        self.parts.iter().for_each(|part| sum.add(*part));
        sum
    }

    #[expect(clippy::cast_possible_truncation, reason = "below the number of parts")]
    fn place(part: u64) -> usize {
        (part % PARTS as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Trials;

    #[test]
    fn what_is_older_than_a_minute_is_forgotten_and_silence_counts() {
        let one = Pair { canary: Trials { requests: 1, bad: 1 }, stable: Trials { requests: 9, bad: 0 } };
        let mut minute = Minute::default();
        for number in 0..200 {
            minute.begin(number);
            minute.add(one);
            minute.begin(number);
            let expected = if number < 60 { number + 1 } else { 51 + number % 10 };
            assert_eq!(minute.sum().canary.requests, expected, "{number}");
        }
        minute.begin(225);
        assert_eq!(minute.sum().canary.requests, 30);
        minute.begin(1_000_000);
        assert_eq!(minute.sum(), Pair::default());
    }
}
