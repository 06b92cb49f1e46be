//! Where the lanes of one load count. It lives on the load's own thread, so nothing is shared or locked; a
//! second's window is folded into the whole when the second is over.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::sync::mpsc;

use crate::{
    bounds::LATE_AFTER,
    measure::{ErrorKind, Progress, Report, Snapshot, Tally, latency_histogram, micros},
};

/// What the pacer's thread counts.
#[derive(Debug, Default)]
pub(crate) struct PacerCounts {
    /// Requests whose time has come.
    pub(crate) due: AtomicU64,
    /// Those of them that found the way to the lanes full.
    pub(crate) missed: AtomicU64,
}

pub(crate) struct Recorder {
    start: Instant,
    pacer: Arc<PacerCounts>,
    inner: RefCell<Inner>,
}

struct Inner {
    window: Tally,
    whole: Tally,
    progress: Progress,
    lag: Histogram<u64>,
    last_end: Instant,
    snapshots: mpsc::Sender<Snapshot>,
}

impl Recorder {
    pub(crate) fn new(start: Instant, pacer: Arc<PacerCounts>, snapshots: mpsc::Sender<Snapshot>) -> Self {
        let inner = Inner {
            window: Tally::default(),
            whole: Tally::default(),
            progress: Progress::default(),
            lag: latency_histogram(),
            last_end: start,
            snapshots,
        };
        Self { start, pacer, inner: RefCell::new(inner) }
    }

    pub(crate) fn missed(&self, requests: u64) {
        self.inner.borrow_mut().progress.missed += requests;
    }

    pub(crate) fn sent(&self, lag: Duration) {
        let inner = &mut *self.inner.borrow_mut();
        inner.progress.sent += 1;
        inner.progress.late += u64::from(lag > LATE_AFTER);
        inner.lag.saturating_record(micros(lag));
    }

    pub(crate) fn resent(&self) {
        self.inner.borrow_mut().progress.resent += 1;
    }

    pub(crate) fn connected(&self) {
        self.inner.borrow_mut().progress.connections += 1;
    }

    pub(crate) fn completed(&self, version: &str, result: Result<u16, ErrorKind>, due: Instant) {
        let now = Instant::now();
        let inner = &mut *self.inner.borrow_mut();
        inner.progress.completed += 1;
        inner.last_end = now;
        inner.window.record(version, result, now.saturating_duration_since(due));
    }

    /// Closes the window of that second and shows it to whoever looks.
    pub(crate) fn close_second(&self, second: u64) {
        let inner = &mut *self.inner.borrow_mut();
        inner.whole.merge(&inner.window);
        let progress = self.with_pacer(inner.progress);
        let snapshot = Snapshot { second, window: inner.window.clone(), progress };
        if inner.snapshots.try_send(snapshot).is_err() {
            inner.progress.snapshots_dropped += 1;
        }
        inner.window.clear();
    }

    pub(crate) fn report(&self) -> Report {
        let inner = self.inner.borrow();
        Report {
            tally: inner.whole.clone(),
            progress: self.with_pacer(inner.progress),
            lag: inner.lag.clone(),
            elapsed: inner.last_end.saturating_duration_since(self.start),
        }
    }

    fn with_pacer(&self, mut progress: Progress) -> Progress {
        progress.due = self.pacer.due.load(Ordering::Relaxed);
        progress.missed += self.pacer.missed.load(Ordering::Relaxed);
        progress
    }
}
