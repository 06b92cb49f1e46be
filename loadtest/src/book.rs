//! The book of a load: a thread that adds each second's counts to the whole and shows them to whoever looks.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use tokio::sync::mpsc;

use crate::{
    bounds::PAGES_QUEUED_MAX,
    measure::{Progress, Snapshot, Tally},
};

/// One second's counts.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) second: u64,
    /// One for each ask.
    pub(crate) tallies: Vec<Tally>,
    pub(crate) progress: Progress,
}

/// All seconds: together, for each ask, and how many snapshots nobody took.
type Sums = (Tally, Vec<(Arc<str>, Tally)>, u64);

/// The load's side of the book.
#[derive(Debug)]
pub(crate) struct Book {
    pages: Option<SyncSender<Page>>,
    spares: Receiver<Vec<Tally>>,
    writer: Option<JoinHandle<Sums>>,
}

impl Book {
    /// Opens a book for asks of these names.
    pub(crate) fn open(names: Vec<Arc<str>>, snapshots: mpsc::Sender<Snapshot>) -> io::Result<Self> {
        let (pages, inlet) = sync_channel(PAGES_QUEUED_MAX);
        let (give, spares) = channel();
        let writer = thread::Builder::new().name("load-book".into()).spawn(move || {
            let mut asks: Vec<(Arc<str>, Tally)> =
                names.into_iter().map(|name| (name, Tally::default())).collect();
            let (mut whole, mut dropped) = (Tally::default(), 0);
            for Page { second, mut tallies, mut progress } in inlet {
                let mut window = Tally::default();
                for ((_, ask), tally) in asks.iter_mut().zip(&tallies) {
                    ask.merge(tally);
                    window.merge(tally);
                }
                whole.merge(&window);
                tallies.iter_mut().for_each(Tally::clear);
                // Whoever waits for them may have gone.
                let _ = give.send(tallies);
                progress.snapshots_dropped = dropped;
                dropped += u64::from(snapshots.try_send(Snapshot { second, window, progress }).is_err());
            }
            (whole, asks, dropped)
        })?;
        Ok(Self { pages: Some(pages), spares, writer: Some(writer) })
    }

    /// Empty tallies for the next second.
    pub(crate) fn spare(&self, asks: usize) -> Vec<Tally> {
        self.spares.try_recv().unwrap_or_else(|_| vec![Tally::default(); asks])
    }

    /// Hands a page over, or back where the writer is behind.
    pub(crate) fn write(&self, page: Page) -> Result<(), Page> {
        match self.pages.as_ref().map(|pages| pages.try_send(page)) {
            Some(Err(TrySendError::Full(page) | TrySendError::Disconnected(page))) => Err(page),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Closes the book, with what is on no page yet.
    pub(crate) fn close(&mut self, rest: &[Tally]) -> Sums {
        self.pages = None;
        let sums = self.writer.take().map(JoinHandle::join);
        let Some(Ok((mut whole, mut asks, dropped))) = sums else { return Sums::default() };
        for ((_, ask), tally) in asks.iter_mut().zip(rest) {
            ask.merge(tally);
            whole.merge(tally);
        }
        (whole, asks, dropped)
    }
}
