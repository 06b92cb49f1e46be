//! The store on a thread of its own, so that nobody waits longer for a disk than is good.
//!
//! A disk that hangs does not say so: a flush just does not return, for seconds or for ever. Whoever decides must
//! not hang with it, because a failing canary would stay in. So a write that takes longer than [`Engine::wait`] counts
//! as failed, and as one of which nobody knows what became: it is taken back like any other, when the disk is back.
//! Until then every further write fails at once.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, channel, sync_channel},
    time::Duration,
};

use serin_config::{Generation, limits::STORE_READS_MAX};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Archive, Commit, Engine, StoreError, StoreName, Written};

/// The way to the store's thread. One write at a time.
#[derive(Debug)]
pub(crate) struct Scribe {
    jobs: SyncSender<Job>,
    archive: Archive,
    results: Receiver<Result<Written, StoreError>>,
    name: StoreName,
    /// A write that took too long is still under way.
    behind: bool,
    /// The newest generation of the writes that took too long: they may succeed yet.
    doubt: Generation,
    wait: Duration,
}

/// A rollout's windows, in chunks.
type Windows = Result<Vec<Vec<u8>>, StoreError>;

/// What the thread is asked for.
pub(super) enum Job {
    /// To be answered through `results`.
    Write { commit: Box<Commit>, doubt: Generation },
    /// The windows of a rollout. The permit is held until it is done, though nobody may wait any more.
    Read { rollout: u64, reply: oneshot::Sender<Windows>, reader: OwnedSemaphorePermit },
    /// To close the store, whoever else may still want to read.
    Close,
}

impl Scribe {
    /// Starts the thread. It ends when the scribe is closed or dropped.
    pub(crate) fn start(mut store: Box<dyn Engine>) -> io::Result<Self> {
        // Room for all readers, one write and the end: to send never blocks.
        let (jobs, todo) = sync_channel(STORE_READS_MAX + 2);
        let (done, results) = channel();
        let (name, wait) = (store.name(), store.wait());
        std::thread::Builder::new().name("serin-store".into()).spawn(move || {
            for job in todo {
                match job {
                    Job::Write { commit, doubt } => {
                        store.doubt(doubt);
                        // Nobody may be waiting any more; the write counts all the same.
                        let _ = done.send(store.write(&commit));
                    }
                    Job::Read { rollout, reply, reader } => {
                        let _ = reply.send(store.history(rollout));
                        drop(reader);
                    }
                    Job::Close => break,
                }
            }
            drop(store);
        })?;
        Ok(Self {
            archive: Archive::new(jobs.clone()),
            jobs,
            results,
            name,
            behind: false,
            doubt: Generation::NONE,
            wait,
        })
    }

    /// The way to what is kept.
    pub(crate) fn archive(&self) -> Archive {
        self.archive.clone()
    }

    /// Writes a commit as [`Engine::write`] does, or says within [`Engine::wait`] that it is not written.
    pub(crate) fn write(&mut self, commit: &Commit) -> Result<Written, StoreError> {
        if self.behind {
            match self.results.try_recv() {
                Ok(_) => self.behind = false,
                Err(TryRecvError::Empty) => return Err(StoreError::Slow(self.name.clone())),
                Err(TryRecvError::Disconnected) => return Err(self.gone()),
            }
        }
        let job = Job::Write { commit: Box::new(commit.clone()), doubt: self.doubt };
        self.jobs.send(job).map_err(|_| self.gone())?;
        match self.results.recv_timeout(self.wait) {
            Ok(written) => {
                if written.is_ok() {
                    self.doubt = Generation::NONE;
                }
                written
            }
            Err(RecvTimeoutError::Timeout) => {
                self.behind = true;
                self.doubt = self.doubt.max(commit.generation);
                Err(StoreError::Slow(self.name.clone()))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.gone()),
        }
    }

    /// Closes the store, and waits for that as long as for a write.
    pub(crate) fn close(self) {
        let Self { jobs, results, wait, .. } = self;
        // An error is the end of the thread, and of the store with it.
        let _ = jobs.try_send(Job::Close);
        while results.recv_timeout(wait).is_ok() {}
    }

    fn gone(&self) -> StoreError {
        StoreError::Gone(self.name.clone())
    }
}
