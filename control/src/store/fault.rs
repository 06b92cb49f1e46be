//! A disk in memory that can be full, hang, or break off in the middle of a write, for tests.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use redb::{Database, StorageBackend};

use super::Store;

/// A number of operations that is never reached.
const NEVER: usize = usize::MAX;

#[derive(Debug, Clone)]
pub(crate) struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    full: Arc<AtomicBool>,
    /// Changing operations until the disk breaks; it stays broken.
    breaks_in: Arc<AtomicUsize>,
    broke: Arc<AtomicBool>,
    /// Whether changing operations do not return for now.
    hangs: Arc<(Mutex<bool>, Condvar)>,
}

impl Default for Disk {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl Disk {
    /// Opens the store that this disk holds.
    pub(crate) fn store(&self) -> Store {
        let disk = self.clone();
        let opener = Box::new(move || Database::builder().create_with_backend(disk.clone()));
        Store::with_opener("state.redb".into(), opener).unwrap()
    }

    pub(crate) fn be_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// Breaks after this many more operations. The first that fails has done its work all the same, as a
    /// page cache does whose flush fails; the later ones do nothing.
    pub(crate) fn break_after(&self, operations: usize) {
        self.broke.store(false, Ordering::SeqCst);
        self.breaks_in.store(operations, Ordering::SeqCst);
    }

    pub(crate) fn work_again(&self) {
        self.break_after(NEVER);
    }

    /// Lets changing operations wait until it no longer hangs.
    pub(crate) fn hang(&self, hangs: bool) {
        *self.hangs.0.lock().unwrap() = hangs;
        self.hangs.1.notify_all();
    }

    /// Loses everything, as when the file is removed.
    pub(crate) fn be_empty(&self) {
        self.bytes.lock().unwrap().clear();
    }

    /// The disk as it would be found after a crash right now.
    pub(crate) fn after_a_crash(&self) -> Self {
        Self::of(self.bytes.lock().unwrap().clone())
    }

    fn of(bytes: Vec<u8>) -> Self {
        Self {
            bytes: Arc::new(Mutex::new(bytes)),
            full: Arc::default(),
            breaks_in: Arc::new(AtomicUsize::new(NEVER)),
            broke: Arc::default(),
            hangs: Arc::default(),
        }
    }

    /// Does a changing operation, if the disk lets it.
    fn change(&self, what: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        drop(self.hangs.1.wait_while(self.hangs.0.lock().unwrap(), |hangs| *hangs).unwrap());
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let left = self.breaks_in.load(Ordering::SeqCst);
        let broken = || io::Error::other("the disk is broken");
        if left == 0 && self.broke.swap(true, Ordering::SeqCst) {
            return Err(broken());
        }
        what(&mut self.bytes.lock().unwrap());
        match left {
            0 => Err(broken()),
            NEVER => Ok(()),
            left => {
                self.breaks_in.store(left - 1, Ordering::SeqCst);
                Ok(())
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes.lock().unwrap();
        let from = usize::try_from(offset).unwrap();
        out.copy_from_slice(bytes.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|bytes| bytes.resize(usize::try_from(len).unwrap(), 0))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|_| {})
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        self.change(|bytes| bytes[from..from + data.len()].copy_from_slice(data))
    }
}
