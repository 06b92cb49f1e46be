//! Where the lanes of one load count. It lives on the load's own thread, so nothing is shared or locked.
//!
//! A second's counts go to the [`book`](crate::book) when the second is over, on a thread of its own: to add
//! histograms takes longer than a hundred requests, and those who are due meanwhile would be late.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use hdrhistogram::Histogram;

use crate::{
    book::{Book, Page},
    bounds::LATE_AFTER,
    measure::{Outcome, Progress, Report, Tally, latency_histogram, micros},
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
    /// What was due before this is not counted: the target warms up.
    counts_from: Instant,
    pacer: Arc<PacerCounts>,
    inner: RefCell<Inner>,
}

struct Inner {
    /// One tally for each ask.
    window: Vec<Tally>,
    progress: Progress,
    lag: Histogram<u64>,
    last_end: Instant,
    book: Book,
}

impl Recorder {
    pub(crate) fn new(counts_from: Instant, pacer: Arc<PacerCounts>, asks: usize, book: Book) -> Self {
        let inner = Inner {
            window: vec![Tally::default(); asks],
            progress: Progress::default(),
            lag: latency_histogram(),
            last_end: counts_from,
            book,
        };
        Self { counts_from, pacer, inner: RefCell::new(inner) }
    }

    /// The request of that time never left.
    pub(crate) fn missed(&self, due: Instant) {
        self.inner.borrow_mut().progress.missed += u64::from(due >= self.counts_from);
    }

    /// The request of that time left at this.
    pub(crate) fn sent(&self, due: Instant, now: Instant) {
        if due < self.counts_from {
            return;
        }
        let lag = now.saturating_duration_since(due);
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

    pub(crate) fn completed(&self, ask: usize, version: &str, outcome: Outcome, due: Instant) {
        if due < self.counts_from {
            return;
        }
        let now = Instant::now();
        let inner = &mut *self.inner.borrow_mut();
        inner.progress.completed += 1;
        inner.last_end = now;
        if let Some(tally) = inner.window.get_mut(ask) {
            tally.record(version, outcome, now.saturating_duration_since(due));
        }
    }

    /// Hands the window of that second over.
    pub(crate) fn close_second(&self, second: u64) {
        let inner = &mut *self.inner.borrow_mut();
        let progress = self.with_pacer(inner.progress);
        let empty = inner.book.spare(inner.window.len());
        let tallies = std::mem::replace(&mut inner.window, empty);
        if let Err(page) = inner.book.write(Page { second, tallies, progress }) {
            // The book is behind: the next page holds this second, too.
            inner.window = page.tallies;
        }
    }

    /// Everything, once the last second is closed.
    pub(crate) fn report(&self) -> Report {
        let inner = &mut *self.inner.borrow_mut();
        let (tally, asks, snapshots_dropped) = inner.book.close(&inner.window);
        let progress = Progress { snapshots_dropped, ..self.with_pacer(inner.progress) };
        Report {
            tally,
            asks,
            progress,
            lag: inner.lag.clone(),
            elapsed: inner.last_end.saturating_duration_since(self.counts_from),
        }
    }

    fn with_pacer(&self, mut progress: Progress) -> Progress {
        progress.due = self.pacer.due.load(Ordering::Relaxed);
        progress.missed += self.pacer.missed.load(Ordering::Relaxed);
        progress
    }
}
