//! The last minute of one guard's counts: for people, for rates, and to notice silence.
//!
//! Evidence needs no memory of single windows, but whoever is paged does: after an hour of good traffic, forty
//! failures vanish in the totals although they are the reason for the rollback.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serin_config::limits::RECENT_WINDOWS;

use crate::block::Pair;

/// Requests that must have been due before their absence is taken for silence: by chance it is one in twenty thousand.
const DUE: f64 = 10.0;

/// A ring of windows with its running sum.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Recent {
    windows: VecDeque<Pair>,
    sum: Pair,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { windows: VecDeque::with_capacity(RECENT_WINDOWS), sum: Pair::default() }
    }

    pub(crate) fn push(&mut self, window: Pair) {
        while self.windows.len() >= RECENT_WINDOWS {
            if let Some(oldest) = self.windows.pop_front() {
                self.sum.remove(oldest);
            }
        }
        self.windows.push_back(window);
        self.sum.add(window);
    }

    pub(crate) fn sum(&self) -> Pair {
        self.sum
    }

    /// Windows in the ring: seconds that [`Self::sum`] covers.
    pub(crate) fn len(&self) -> u64 {
        self.windows.len() as u64
    }

    /// Requests of the canary a second; none if it had none, or has fallen silent: where so many were due, silence is no chance.
    pub(crate) fn canary_rate(&self) -> Option<f64> {
        let requests = self.sum.canary.requests;
        let rate = requests as f64 / self.windows.len().max(1) as f64;
        let silent = self.windows.iter().rev().take_while(|window| window.canary.requests == 0).count();
        (requests > 0 && rate * (silent as f64) < DUE).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Trials;

    #[test]
    fn only_the_last_minute_is_remembered() {
        let mut recent = Recent::new();
        for i in 0..200 {
            recent.push(Pair {
                canary: Trials { requests: i, bad: 1 },
                stable: Trials { requests: 1, bad: 0 },
            });
        }
        assert_eq!(recent.len(), 60);
        assert_eq!(recent.sum().canary, Trials { requests: (140..200).sum(), bad: 60 });
        assert_eq!(recent.sum().stable.requests, 60);
    }
}
