//! The store on a thread of its own, so that nobody waits longer for a disk than is good.
//!
//! A disk that hangs does not say so: a flush just does not return, for seconds or for ever. Whoever decides must
//! not hang with it, because a failing canary would stay in. So a write that takes longer than [`STORE_WAIT`] counts
//! as failed, and as one of which nobody knows what became: it is taken back like any other, when the disk is back.
//! Until then every further write fails at once.

use std::{
    io,
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, channel, sync_channel},
};

use serin_config::{Generation, limits::STORE_WAIT};

use super::{Commit, Store, StoreError};

/// The way to the store's thread. One write at a time.
#[derive(Debug)]
pub(crate) struct Scribe {
    jobs: SyncSender<Job>,
    results: Receiver<Result<(), StoreError>>,
    path: PathBuf,
    /// A write that took too long is still under way.
    behind: bool,
    /// The newest generation of the writes that took too long: they may succeed yet.
    doubt: Generation,
}

struct Job {
    commit: Commit,
    doubt: Generation,
}

impl Scribe {
    /// Starts the thread. It ends when the scribe is closed or dropped.
    pub(crate) fn start(mut store: Store) -> io::Result<Self> {
        let (jobs, todo) = sync_channel::<Job>(1);
        let (done, results) = channel();
        let path = store.path().to_path_buf();
        std::thread::Builder::new().name("serin-store".into()).spawn(move || {
            for Job { commit, doubt } in todo {
                store.doubt(doubt);
                // Nobody may be waiting any more; the write counts all the same.
                let _ = done.send(store.write(&commit));
            }
            drop(store);
        })?;
        Ok(Self { jobs, results, path, behind: false, doubt: Generation::NONE })
    }

    /// Writes a commit as [`Store::write`] does, or says within [`STORE_WAIT`] that it is not written.
    pub(crate) fn write(&mut self, commit: &Commit) -> Result<(), StoreError> {
        if self.behind {
            match self.results.try_recv() {
                Ok(_) => self.behind = false,
                Err(TryRecvError::Empty) => return Err(StoreError::Slow(self.path.clone())),
                Err(TryRecvError::Disconnected) => return Err(self.gone()),
            }
        }
        let job = Job { commit: commit.clone(), doubt: self.doubt };
        self.jobs.send(job).map_err(|_| self.gone())?;
        match self.results.recv_timeout(STORE_WAIT) {
            Ok(written) => {
                if written.is_ok() {
                    self.doubt = Generation::NONE;
                }
                written
            }
            Err(RecvTimeoutError::Timeout) => {
                self.behind = true;
                self.doubt = self.doubt.max(commit.generation);
                Err(StoreError::Slow(self.path.clone()))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.gone()),
        }
    }

    /// Closes the store, and waits for that as long as for a write.
    pub(crate) fn close(self) {
        let Self { jobs, results, .. } = self;
        drop(jobs);
        while results.recv_timeout(STORE_WAIT).is_ok() {}
    }

    fn gone(&self) -> StoreError {
        StoreError::Gone(self.path.clone())
    }
}
