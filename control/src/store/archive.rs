//! Reading what is kept, beside the writes.
//!
//! The store has one thread. Readers wait in the same queue as decisions do, but a few of them only: so a decision always
//! finds a place in it at once. What is read at once is bounded by what is kept of one rollout.

use std::sync::{Arc, mpsc::SyncSender};

use serin_config::limits::STORE_READS_MAX;
use tokio::sync::{Semaphore, oneshot};

use super::{StoreError, scribe::Job};

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Others read already.
    #[error("{STORE_READS_MAX} others read from the store already: try again")]
    Busy,
    /// The store is closed, or its thread has ended.
    #[error("the store is closed: the control plane has stopped")]
    Closed,
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The way to what is kept. Clones are the same way.
#[derive(Debug, Clone)]
pub struct Archive {
    jobs: SyncSender<Job>,
    readers: Arc<Semaphore>,
}

impl Archive {
    pub(super) fn new(jobs: SyncSender<Job>) -> Self {
        Self { jobs, readers: Arc::new(Semaphore::new(STORE_READS_MAX)) }
    }

    /// Reads the chunks of a rollout's windows, in order; none if there are none.
    pub async fn windows(&self, rollout: u64) -> Result<Vec<Vec<u8>>, ReadError> {
        let reader = self.readers.clone().try_acquire_owned().map_err(|_| ReadError::Busy)?;
        let (reply, answer) = oneshot::channel();
        let job = Job::Read { rollout, reply, reader };
        self.jobs.try_send(job).map_err(|_| ReadError::Closed)?;
        Ok(answer.await.map_err(|_| ReadError::Closed)??)
    }
}
