//! Noticing that a file has changed.
//!
//! The directory is watched, not the file: editors and Kubernetes replace a file by renaming another over
//! it, and a watch on the old one would see nothing more. What counts is the text: events without a change
//! of it (a touch, a write of the same bytes) are passed over.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serin_config::limits::RELOAD_SETTLE;
use tokio::sync::mpsc;

/// Watches one file.
#[derive(Debug)]
pub(super) struct FileWatch {
    path: PathBuf,
    last: Option<u64>,
    /// Holds one event at most: that something happened is all there is to know.
    events: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl FileWatch {
    pub(super) fn new(path: &Path) -> notify::Result<Self> {
        let path = std::path::absolute(path)?;
        let (send, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = send.try_send(());
            }
        })?;
        watcher.watch(path.parent().unwrap_or(Path::new("/")), RecursiveMode::NonRecursive)?;
        Ok(Self { last: fingerprint(&path), path, events, _watcher: watcher })
    }

    /// Returns when the file's text has changed and has then been quiet for a moment.
    pub(super) async fn changed(&mut self) {
        loop {
            if self.events.recv().await.is_none() {
                return std::future::pending().await;
            }
            while let Ok(Some(())) = tokio::time::timeout(RELOAD_SETTLE, self.events.recv()).await {}
            let now = fingerprint(&self.path);
            if now.is_some() && now != self.last {
                self.last = now;
                return;
            }
        }
    }
}

fn fingerprint(path: &Path) -> Option<u64> {
    let bytes = std::fs::read(path).ok()?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Some(hasher.finish())
}
