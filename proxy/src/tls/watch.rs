//! Looks at the files of certificates for as long as the process lives.
//!
//! Directories are watched, since renewals replace files by renaming and Kubernetes swaps a link; an event only
//! says that it is worth to look. Where no events come, all files are looked at every few seconds anyway. They
//! are read on a thread that may block.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serin_config::limits::{CERTIFICATE_SETTLE, RELOAD_POLL};
use tokio::sync::mpsc;

use super::Store;
use crate::clock;

/// Runs until its runtime ends.
pub(crate) async fn watch(store: Arc<Store>) {
    let (send, mut events) = mpsc::channel(1);
    loop {
        let watcher = watcher(&store, send.clone());
        let changed = store.files_changed.notified();
        tokio::pin!(changed);
        let mut pause = RELOAD_POLL;
        loop {
            tokio::select! {
                () = &mut changed => break,
                () = event_or_pause(&mut events, pause) => {}
            }
            let looking = store.clone();
            let look = move || looking.look(clock::unix_seconds());
            let again_soon = tokio::task::spawn_blocking(look).await.unwrap_or(false);
            pause = if again_soon { CERTIFICATE_SETTLE } else { RELOAD_POLL };
        }
        drop(watcher);
    }
}

/// An event ends a long pause early; a short one is there to let the files settle.
async fn event_or_pause(events: &mut mpsc::Receiver<()>, pause: Duration) {
    if pause == CERTIFICATE_SETTLE {
        return tokio::time::sleep(pause).await;
    }
    tokio::select! {
        // Something else may write into the directory all the time: the files are not read for each event.
        _ = events.recv() => tokio::time::sleep(CERTIFICATE_SETTLE).await,
        () = tokio::time::sleep(pause) => {}
    }
}

/// A watch on each directory that holds a file; what can't be watched is looked at now and then.
fn watcher(store: &Store, events: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let files = store.files();
    let directories: BTreeSet<_> = files.iter().filter_map(|file| file.parent()).collect();
    if directories.is_empty() {
        return None;
    }
    let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // One event waits at most: that something happened is all there is to know.
            let _ = events.try_send(());
        }
    });
    let mut watcher = made.inspect_err(|error| unwatched(Path::new("certificates"), error)).ok()?;
    for directory in directories {
        if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
            unwatched(directory, &error);
        }
    }
    Some(watcher)
}

fn unwatched(what: &Path, error: &notify::Error) {
    let (what, seconds) = (what.display(), RELOAD_POLL.as_secs());
    tracing::warn!(%what, %error, "no events of certificate files: they are looked at every {seconds} s");
}
