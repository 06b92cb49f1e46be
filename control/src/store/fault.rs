//! A disk in memory that can be full, for tests.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{Database, StorageBackend};

use super::Store;

#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    full: Arc<AtomicBool>,
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

    /// The disk as it would be found after a crash right now.
    pub(crate) fn after_a_crash(&self) -> Self {
        Self { bytes: Arc::new(Mutex::new(self.bytes.lock().unwrap().clone())), full: Arc::default() }
    }

    fn has_room(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
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
        self.has_room()?;
        self.bytes.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.has_room()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.has_room()?;
        let from = usize::try_from(offset).unwrap();
        self.bytes.lock().unwrap()[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}
