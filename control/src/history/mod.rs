//! The windows of a rollout, kept: what every verdict rests on, to be judged again by another policy.
//!
//! Windows are packed into chunks (see [`pack`]), and chunks are written beside the evidence that was made of them, in
//! the same transaction: what is stored of both always goes together. A chunk that is not full yet is written again with what came
//! since; full ones are never touched again.
//!
//! All of it is bounded. A rollout keeps its newest [`HISTORY_BYTES_MAX`], all together keep
//! [`HISTORY_TOTAL_BYTES_MAX`], and what is oldest goes first. While the store can't be written, full chunks wait
//! here, a bounded number of them too.

pub mod export;
pub mod pack;

use std::collections::VecDeque;

use serin_config::limits::{HISTORY_CHUNK_BYTES, HISTORY_CHUNK_WINDOWS, HISTORY_UNSTORED_MAX};
use serin_judge::Window;

use pack::Pack;

/// A chunk as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Its number within the rollout, from 0.
    pub number: u32,
    /// Packed windows.
    pub bytes: Vec<u8>,
}

/// The windows of a rollout in progress that are not all stored yet.
#[derive(Debug, Clone)]
pub struct History {
    /// The number of the chunk that is being filled.
    number: u32,
    pack: Pack,
    /// Full chunks that were not stored yet.
    full: VecDeque<Chunk>,
    /// Whether the chunk that is being filled holds something that is not stored.
    grown: bool,
}

impl History {
    /// Goes on with this chunk; those before it are stored.
    pub fn from(number: u32) -> Self {
        Self { number, pack: Pack::default(), full: VecDeque::new(), grown: false }
    }

    /// Keeps a window; `second` counts from the rollout's start, below 0 for stable's past.
    pub fn push(&mut self, second: i64, window: &Window) {
        self.pack.push(second, window);
        self.grown = true;
        if self.pack.windows() >= HISTORY_CHUNK_WINDOWS || self.pack.bytes().len() >= HISTORY_CHUNK_BYTES {
            let bytes = std::mem::take(&mut self.pack).into_bytes();
            self.full.push_back(Chunk { number: self.number, bytes });
            self.number = self.number.saturating_add(1);
            self.grown = false;
            while self.full.len() > HISTORY_UNSTORED_MAX {
                self.full.pop_front();
            }
        }
    }

    /// What is not stored yet.
    pub fn unstored(&self) -> Vec<Chunk> {
        let growing = Chunk { number: self.number, bytes: self.pack.bytes().to_vec() };
        self.full.iter().cloned().chain(Some(growing).filter(|_| self.grown)).collect()
    }

    /// These of [`Self::unstored`] are stored now; more may have come since.
    pub fn stored(&mut self, chunks: &[Chunk]) {
        let whole = |number: u32, length: usize| {
            chunks.iter().any(|chunk| chunk.number == number && chunk.bytes.len() == length)
        };
        self.full.retain(|chunk| !whole(chunk.number, chunk.bytes.len()));
        if whole(self.number, self.pack.bytes().len()) {
            self.grown = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use serin_config::RouteName;
    use serin_judge::{Arm, Pairing};

    use super::*;

    fn window(n: u64) -> Window {
        let pairing = Pairing { canary: Arm::counted(n, 0), stable: Arm::counted(9 * n, 1) };
        Window::of(&RouteName::try_new("shop").unwrap(), pairing)
    }

    fn seconds(chunk: &Chunk) -> Vec<i64> {
        pack::unpack(&chunk.bytes).unwrap().into_iter().map(|(second, _)| second).collect()
    }

    #[test]
    fn a_growing_chunk_is_given_again_with_what_came_since_and_a_full_one_once() {
        let mut history = History::from(4);
        assert_eq!(history.unstored(), []);
        history.push(0, &window(1));
        let first = history.unstored();
        assert_eq!((first.len(), first[0].number, seconds(&first[0])), (1, 4, vec![0]));
        history.stored(&first);
        assert_eq!(history.unstored(), []);
        history.push(1, &window(1));
        assert_eq!(seconds(&history.unstored()[0]), [0, 1], "the same chunk, longer");
        for second in 2..=i64::try_from(HISTORY_CHUNK_WINDOWS).unwrap() {
            history.push(second, &window(1));
        }
        let given = history.unstored();
        assert_eq!(given.iter().map(|chunk| chunk.number).collect::<Vec<_>>(), [4, 5]);
        history.push(1_000, &window(1));
        history.stored(&given);
        let last = history.unstored();
        assert_eq!((last.len(), last[0].number), (1, 5), "what came while it was written is not stored");
    }

    #[test]
    fn what_waits_for_a_store_that_can_not_be_written_is_bounded() {
        let mut history = History::from(0);
        for second in 0..(HISTORY_CHUNK_WINDOWS * (HISTORY_UNSTORED_MAX + 3)) {
            history.push(i64::try_from(second).unwrap(), &window(1));
        }
        let waiting = history.unstored();
        assert_eq!(waiting.len(), HISTORY_UNSTORED_MAX);
        assert_eq!(waiting[0].number, 3, "the oldest go first");
    }
}
