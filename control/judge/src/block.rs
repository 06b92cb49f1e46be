//! Counts of both arms over the same seconds, and the block: the smallest span in which both had traffic.
//!
//! A comparison within a second needs requests on both sides. Where traffic is thin, consecutive windows are
//! merged until each arm has one; a longer wait would only delay the verdict, and the factor that is
//! computed from a block is valid for any sizes. When a block closes depends on requests alone, never on how they
//! ended: otherwise the stopping rule would be chosen by the result.

use serde::{Deserialize, Serialize};

/// Requests of one arm, and how many of them were bad: failed, or too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trials {
    /// All that count.
    pub requests: u64,
    /// Those that were bad.
    pub bad: u64,
}

impl Trials {
    /// The share of bad ones, 0 to 1; none without requests.
    pub fn rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.bad as f64 / self.requests as f64)
    }

    /// No more bad ones than there are: a report that says otherwise contradicts itself, and is taken for all bad.
    pub(crate) fn plausible(self) -> Self {
        Self { bad: self.bad.min(self.requests), ..self }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.bad = self.bad.saturating_add(other.bad);
    }

    fn remove(&mut self, other: Self) {
        self.requests = self.requests.saturating_sub(other.requests);
        self.bad = self.bad.saturating_sub(other.bad);
    }
}

/// The same question asked of both arms over the same seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pair {
    /// The version under test.
    pub canary: Trials,
    /// The version that is trusted.
    pub stable: Trials,
}

impl Pair {
    /// Both arms with no more bad requests than there are.
    pub(crate) fn plausible(self) -> Self {
        Self { canary: self.canary.plausible(), stable: self.stable.plausible() }
    }

    /// The arms change places: what was worse is then better.
    pub(crate) fn swapped(self) -> Self {
        Self { canary: self.stable, stable: self.canary }
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: Self) {
        self.canary.add(other.canary);
        self.stable.add(other.stable);
    }

    pub(crate) fn remove(&mut self, other: Self) {
        self.canary.remove(other.canary);
        self.stable.remove(other.stable);
    }
}

/// Windows that wait for both arms to have traffic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Block(Pair);

impl Block {
    /// Adds a window; gives the counts of the block if that closes it, and begins the next.
    pub(crate) fn add(&mut self, window: Pair) -> Option<Pair> {
        self.0.add(window);
        let full = self.0.canary.requests >= 1 && self.0.stable.requests >= 1;
        full.then(|| std::mem::take(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(canary: u64, stable: u64) -> Pair {
        Pair { canary: Trials { requests: canary, bad: canary }, stable: Trials { requests: stable, bad: 0 } }
    }

    #[test]
    fn a_block_waits_for_both_arms_and_loses_nothing() {
        let mut block = Block::default();
        assert_eq!(block.add(pair(0, 0)), None);
        assert_eq!(block.add(pair(0, 7)), None);
        assert_eq!(block.add(pair(2, 1)), Some(pair(2, 8)));
        assert_eq!(block.add(pair(3, 0)), None);
        assert_eq!(block.add(pair(0, 1)), Some(pair(3, 1)));
    }
}
