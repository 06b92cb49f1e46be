//! Reading what is kept, beside the writes.
//!
//! The embedded store has one thread. Readers wait in the same queue as decisions do, but a few of them only: so a decision
//! always finds a place in it at once. etcd is read by itself, by any control plane, but by as few at once. What is read at
//! once is bounded by what is kept of one rollout.

use std::sync::{Arc, mpsc::SyncSender};

use serin_config::limits::STORE_READS_MAX;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
};

use super::{
    StoreError, StoreName,
    etcd::{Client, Prefix, read_windows},
    scribe::Job,
};

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
    source: Source,
    readers: Arc<Semaphore>,
}

#[derive(Debug, Clone)]
enum Source {
    Thread(SyncSender<Job>),
    Etcd { client: Client, prefix: Prefix, runtime: Handle },
}

impl Archive {
    pub(super) fn new(jobs: SyncSender<Job>) -> Self {
        Self::of(Source::Thread(jobs))
    }

    /// Reads from etcd, on that runtime.
    pub(crate) fn of_etcd(client: Client, prefix: Prefix, runtime: Handle) -> Self {
        Self::of(Source::Etcd { client, prefix, runtime })
    }

    fn of(source: Source) -> Self {
        Self { source, readers: Arc::new(Semaphore::new(STORE_READS_MAX)) }
    }

    /// Reads the chunks of a rollout's windows, in order; none if there are none.
    pub async fn windows(&self, rollout: u64) -> Result<Vec<Vec<u8>>, ReadError> {
        let reader = self.readers.clone().try_acquire_owned().map_err(|_| ReadError::Busy)?;
        match &self.source {
            Source::Thread(jobs) => {
                let (reply, answer) = oneshot::channel();
                let job = Job::Read { rollout, reply, reader };
                jobs.try_send(job).map_err(|_| ReadError::Closed)?;
                Ok(answer.await.map_err(|_| ReadError::Closed)??)
            }
            Source::Etcd { client, prefix, runtime } => {
                let (client, prefix) = (client.clone(), prefix.clone());
                let name = StoreName::Etcd(client.name());
                let read = runtime.spawn(async move {
                    let read = read_windows(&client, &prefix, rollout).await;
                    drop(reader);
                    read
                });
                let read = read.await.map_err(|_| ReadError::Closed)?;
                Ok(read.map_err(|fault| StoreError::Unreadable { name, why: fault.to_string() })?)
            }
        }
    }
}
