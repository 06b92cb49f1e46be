//! Noticing that a file has changed.
//!
//! The directory is watched, not the file: editors replace a file by renaming another over it, and a watch on the old
//! one would see nothing more. Kubernetes swaps a link further up (`serin.yaml → ..data/serin.yaml`), which is an event
//! of that directory too. Where events can't be had (no watches left, a network file system, a link into another
//! directory that changes there), the file is looked at every few seconds.
//!
//! A file that is gone for a while is told of once, so that it does not go unnoticed until the next restart; when it
//! is back, that is a change, whatever stands in it.
//!
//! What counts is the text: events without a change of it are passed over. They are frequent, since the control
//! plane's state lies in the same directory by default; so to wait until there are no more events would be to wait for
//! ever. The text itself must be quiet for a moment: not every editor renames.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serin_config::limits::{CONFIG_BYTES_MAX, RELOAD_POLL, RELOAD_SETTLE};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::config_file::read_at_most;

/// Watches one file.
#[derive(Debug)]
pub(super) struct FileWatch {
    path: PathBuf,
    last: Option<u64>,
    /// Since when it is gone, unless that was told.
    gone: Option<Instant>,
    /// Holds one event at most: that something happened is all there is to know.
    events: mpsc::Receiver<()>,
    /// Keeps the channel open where there is no watcher.
    _events: mpsc::Sender<()>,
    _watcher: Option<RecommendedWatcher>,
}

impl FileWatch {
    /// Begins to watch. To miss nothing, read the file after this.
    pub(super) fn new(path: &Path) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let (send, events) = mpsc::channel(1);
        let watcher = watcher(&path, send.clone()).inspect_err(|error| {
            tracing::warn!(%error, "no events of the configuration file: it is looked at every {} s", RELOAD_POLL.as_secs());
        });
        Self { last: fingerprint(&path), path, gone: None, events, _events: send, _watcher: watcher.ok() }
    }

    /// To be called when the file is read for another reason: what stands in it now is no change.
    pub(super) fn note(&mut self) {
        (self.last, self.gone) = (fingerprint(&self.path), None);
    }

    /// Returns when the file's text has changed and has then been quiet for a moment, or when the file has been gone
    /// for a few seconds.
    pub(super) async fn changed(&mut self) {
        loop {
            // An event or none: the text says whether there is anything to do.
            let _ = timeout(RELOAD_POLL, self.events.recv()).await;
            let now = fingerprint(&self.path);
            if now == self.last {
                self.gone = None;
                continue;
            }
            if now.is_none() {
                // Not every editor replaces a file in one step.
                if self.gone.get_or_insert_with(Instant::now).elapsed() >= RELOAD_POLL {
                    (self.last, self.gone) = (None, None);
                    return;
                }
                continue;
            }
            let quiet = self.quiet(now).await;
            if quiet.is_some() && quiet != self.last {
                (self.last, self.gone) = (quiet, None);
                return;
            }
        }
    }

    async fn quiet(&self, mut now: Option<u64>) -> Option<u64> {
        loop {
            sleep(RELOAD_SETTLE).await;
            let later = fingerprint(&self.path);
            if later == now {
                return now;
            }
            now = later;
        }
    }
}

fn watcher(path: &Path, events: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = events.try_send(());
        }
    })?;
    watcher.watch(path.parent().unwrap_or(Path::new("/")), RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn fingerprint(path: &Path) -> Option<u64> {
    // A pipe can be read once, and that is for whoever loads it.
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let bytes = read_at_most(path, CONFIG_BYTES_MAX).ok()?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, time::Duration};

    use tempfile::TempDir;

    use super::*;

    /// Well below the poll: what is seen in this time was told by an event.
    const AT_ONCE: Duration = Duration::from_secs(3);

    fn with_file(text: &str) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serin.yaml");
        fs::write(&path, text).unwrap();
        (directory, path)
    }

    async fn sees(watch: &mut FileWatch, within: Duration) -> bool {
        timeout(within, watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn the_swap_of_a_kubernetes_volume_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serin.yaml");
        for (version, text) in [("..1", "one"), ("..2", "two"), ("..3", "three")] {
            fs::create_dir(directory.path().join(version)).unwrap();
            fs::write(directory.path().join(version).join("serin.yaml"), text).unwrap();
        }
        let swap = |version: &str| {
            symlink(version, directory.path().join("..data_tmp")).unwrap();
            fs::rename(directory.path().join("..data_tmp"), directory.path().join("..data")).unwrap();
        };
        swap("..1");
        symlink("..data/serin.yaml", &path).unwrap();
        let mut watch = FileWatch::new(&path);
        for version in ["..2", "..3"] {
            swap(version);
            assert!(sees(&mut watch, AT_ONCE).await, "{version}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_removed_and_made_again_is_seen_if_its_text_is_new() {
        let (_directory, path) = with_file("one");
        let mut watch = FileWatch::new(&path);
        fs::remove_file(&path).unwrap();
        assert!(!sees(&mut watch, Duration::from_millis(200)).await, "a file that is gone is no new text");
        fs::write(&path, "one").unwrap();
        assert!(!sees(&mut watch, Duration::from_millis(200)).await, "it is the old text");
        fs::write(&path, "two").unwrap();
        fs::write(&path, "three").unwrap();
        assert!(sees(&mut watch, AT_ONCE).await);
        assert!(!sees(&mut watch, Duration::from_millis(200)).await, "two changes at once are one");
    }

    #[tokio::test]
    async fn a_file_that_stays_away_is_told_of_once_and_its_return_is_a_change() {
        let (_directory, path) = with_file("one");
        let mut watch = FileWatch::new(&path);
        fs::remove_file(&path).unwrap();
        assert!(sees(&mut watch, 4 * RELOAD_POLL).await, "it is gone");
        assert!(!sees(&mut watch, Duration::from_millis(200)).await, "that was told");
        fs::write(&path, "one").unwrap();
        assert!(sees(&mut watch, AT_ONCE).await, "it is back");
    }

    #[tokio::test]
    async fn a_file_that_was_read_while_it_was_away_is_a_change_when_it_is_back() {
        let (_directory, path) = with_file("one");
        let mut watch = FileWatch::new(&path);
        fs::remove_file(&path).unwrap();
        watch.note();
        fs::write(&path, "one").unwrap();
        assert!(sees(&mut watch, AT_ONCE).await);
    }

    #[tokio::test]
    async fn events_of_other_files_do_not_hide_a_change() {
        let (directory, path) = with_file("one");
        let mut watch = FileWatch::new(&path);
        let state = directory.path().join("serin-state.redb");
        let busy = tokio::spawn(async move {
            for number in 0_u64.. {
                fs::write(&state, number.to_string()).unwrap();
                sleep(RELOAD_SETTLE / 10).await;
            }
        });
        fs::write(&path, "two").unwrap();
        assert!(sees(&mut watch, AT_ONCE).await);
        busy.abort();
    }

    #[tokio::test]
    async fn a_change_that_no_event_tells_of_is_seen_in_the_end() {
        let (_directory, target) = with_file("one");
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("serin.yaml");
        symlink(&target, &link).unwrap();
        let mut watch = FileWatch::new(&link);
        fs::write(&target, "two").unwrap();
        assert!(sees(&mut watch, 3 * RELOAD_POLL).await);
    }
}
