//! What can be wrong with a store: each text is one line that says what to do.

use std::{fmt, io, path::PathBuf, sync::Arc};

use serin_config::{Generation, limits::STORE_WAIT};

/// Which store is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreName {
    /// The file of the embedded store.
    File(PathBuf),
    /// The members of etcd, as they are configured.
    Etcd(Arc<str>),
}

impl StoreName {
    /// What may be the matter when it does not answer.
    fn suspect(&self) -> &'static str {
        match self {
            Self::File(_) => "look at the disk under it",
            Self::Etcd(_) => "look whether most of its members run and reach each other",
        }
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "store {}", path.display()),
            Self::Etcd(members) => write!(f, "etcd ({members})"),
        }
    }
}

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory that it should be in is not there.
    #[error(
        "the store {} can't be opened: its directory does not exist; create it (mkdir -p {}), or set another control.state",
        file.display(),
        directory.display()
    )]
    Missing {
        /// The file.
        file: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// A directory has its name.
    #[error("the store {} can't be opened: it is a directory; control.state names a file", .0.display())]
    Directory(PathBuf),
    /// This user may not write there.
    #[error("the store {} can't be opened: this user may not write it; give it and its directory to the user that runs serin, or set another control.state", .0.display())]
    Denied(PathBuf),
    /// Another process has it open.
    #[error("the store {} is in use by another process: stop that serin, or give this one its own control.state", .0.display())]
    Locked(PathBuf),
    /// The file is something else, or damaged.
    #[error("{} is not a store of serin, or it is damaged ({why}): move it away, or restore it from a copy", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// A newer serin wrote it.
    #[error("the store {} was written by a newer serin (schema {found}, this one knows {known}): run that version, or move the file away", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema of the file.
        found: u64,
        /// The schema of this program.
        known: u64,
    },
    /// Anything else.
    #[error("the store {} can't be opened: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// etcd can't be read, or does not hold what this program writes.
    #[error("{name} can't be read: {why}")]
    Etcd {
        /// Which.
        name: StoreName,
        /// What was found, and what to do.
        why: String,
    },
}

/// Why a commit was not written. What of it may have reached the disk is taken back by the next.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has written since.
    #[error("the store holds generation {found}, not {expected}: another control plane writes to it")]
    Conflict {
        /// What the writer took for granted.
        expected: Generation,
        /// What is there.
        found: Generation,
    },
    /// The disk is full.
    #[error("the disk under the store {} is full: free some space", .0.display())]
    Full(PathBuf),
    /// It does not answer.
    #[error("the {name} does not answer: a write takes longer than {wait} s; {suspect}", name = .0, wait = STORE_WAIT.as_secs(), suspect = .0.suspect())]
    Slow(StoreName),
    /// The thread that writes has ended by a fault.
    #[error("the {0} is closed after a fault, which is on stderr: restart serin")]
    Gone(StoreName),
    /// etcd can't be reached, or has no majority.
    #[error("the {name} can't be written: {why}; {}", name.suspect())]
    Unreachable {
        /// Which.
        name: StoreName,
        /// What stood in the way.
        why: String,
    },
    /// etcd can't be read now.
    #[error("the {name} can't be read: {why}; {}", name.suspect())]
    Unreadable {
        /// Which.
        name: StoreName,
        /// What stood in the way.
        why: String,
    },
    /// etcd has no room left.
    #[error(
        "the {0} is full: raise its quota (--quota-backend-bytes), then compact, defragment and disarm the alarm"
    )]
    NoSpace(StoreName),
    /// Another control plane leads, so this one may no longer write.
    #[error("another control plane leads now, so this one no longer writes: ask the one that leads")]
    Deposed,
    /// Anything else.
    #[error("the store {} can't be written: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
}

/// What the system said, dug out of redb's error; none if the cause is not the system.
pub(super) fn io_cause(error: &redb::Error) -> Option<&io::Error> {
    match error {
        redb::Error::Io(io) => Some(io),
        _ => None,
    }
}
