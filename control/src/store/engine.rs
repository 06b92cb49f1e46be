//! What every store promises, whatever it writes to.
//!
//! An engine is used from one thread, and may block it: the [`Scribe`](super::Scribe) sees to it that nobody waits
//! longer for it than is good. Both engines pass the same tests.

use std::time::Duration;

use serin_config::{Generation, limits::STORE_WAIT};

use super::{Commit, Loaded, OpenError, StoreError, StoreName};

/// A store: whole decisions, in order, over crashes.
pub trait Engine: Send {
    /// Reads everything.
    ///
    /// # Errors
    /// What stands against it, in one line that says what to do.
    fn load(&mut self) -> Result<Loaded, OpenError>;

    /// Writes a commit, which is durable when this returns. After an error it may be there or not, so the next one
    /// must be [`Commit::restoring`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another generation is stored than the commit expects; nothing is written then.
    fn write(&mut self, commit: &Commit) -> Result<Written, StoreError>;

    /// Reads the chunks of a rollout's windows, in order; none if there are none.
    ///
    /// # Errors
    /// If the store can't be read.
    fn history(&mut self, rollout: u64) -> Result<Vec<Vec<u8>>, StoreError>;

    /// What is stored may be as new as this, by a write that was given up.
    fn doubt(&mut self, generation: Generation);

    /// What it is called in messages.
    fn name(&self) -> StoreName;

    /// After how long a write that has not ended counts as failed.
    fn wait(&self) -> Duration {
        STORE_WAIT
    }
}

/// What a write cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// How long the next write that nobody waits for shall keep away, in milliseconds, so that the store is not
    /// written faster than it may be. None but for stores that others use too.
    pub rest_ms: u64,
}
