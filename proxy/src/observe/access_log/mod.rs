//! The access log: a JSON object a line, written by a thread of its own.
//!
//! A worker hands over what is to be told and goes on; where the queue is full, the line is dropped and
//! counted. The thread makes lines of what waits and writes them in large pieces. What can't be written (a
//! full disk, a path that is not there) is dropped and counted too, and said once; a piece of a line that got
//! through is ended before the next one. The file is opened again on request, for those who rotate logs by
//! renaming; a target that fails is tried again once in a while.

mod line;
mod target;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use metrics::Counter;
use serin_config::{
    limits::{ACCESS_LOG_QUEUE_MAX, ACCESS_LOG_RETRY, ACCESS_LOG_WRITE_BYTES},
    telemetry::LogTarget,
};

use self::target::Target;
use super::tale::Tale;
use crate::clock;

/// How long an idle writer may take to notice that its file shall be opened again.
const NOTICE: Duration = Duration::from_millis(100);

/// Counts lines.
#[derive(Debug, Clone)]
pub(crate) struct LogCounters {
    pub(crate) written: Counter,
    pub(crate) queue_full: Counter,
    pub(crate) write_failed: Counter,
}

/// A worker's way to the log.
#[derive(Debug, Clone)]
pub(crate) struct LogSender {
    queue: SyncSender<Box<Tale>>,
    counters: LogCounters,
}

impl LogSender {
    /// Hands over a request to be logged; never waits.
    pub(crate) fn tell(&self, tale: Box<Tale>) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(tale) {
            self.counters.queue_full.increment(1);
        }
    }
}

/// The running log.
#[derive(Debug)]
pub(crate) struct AccessLog {
    reopen: Arc<AtomicBool>,
    writer: JoinHandle<()>,
}

impl AccessLog {
    /// Starts the writer. A file that can't be opened is no reason not to serve.
    pub(crate) fn start(to: &LogTarget, counters: LogCounters) -> io::Result<(Self, LogSender)> {
        let (queue, lines) = sync_channel(ACCESS_LOG_QUEUE_MAX);
        let reopen = Arc::<AtomicBool>::default();
        let writer = Writer {
            target: Target::new(to.clone()),
            lines,
            reopen: reopen.clone(),
            counters: counters.clone(),
            failing: false,
            tried: None,
            torn: false,
        };
        let thread = std::thread::Builder::new().name("serin-access-log".into());
        let writer = thread.spawn(move || writer.run())?;
        Ok((Self { reopen, writer }, LogSender { queue, counters }))
    }

    /// Has the file opened again under its name.
    pub(crate) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }

    /// Whether the writer has written all; it ends when all its senders have gone.
    pub(crate) fn is_finished(&self) -> bool {
        self.writer.is_finished()
    }
}

struct Writer {
    target: Target,
    lines: Receiver<Box<Tale>>,
    reopen: Arc<AtomicBool>,
    counters: LogCounters,
    /// The last attempt to open or write failed, and that was said.
    failing: bool,
    /// When the target was last tried in vain.
    tried: Option<Instant>,
    /// What was written last ends within a line.
    torn: bool,
}

impl Writer {
    fn run(mut self) {
        let mut text = Vec::with_capacity(ACCESS_LOG_WRITE_BYTES);
        self.open();
        loop {
            let first = self.lines.recv_timeout(NOTICE);
            if self.reopen.swap(false, Ordering::Acquire) {
                self.target.close();
                self.tried = None;
                self.open();
            }
            match first {
                Ok(tale) => self.write(*tale, &mut text),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes the first line, and all that wait behind it and fit into one piece.
    fn write(&mut self, first: Tale, text: &mut Vec<u8>) {
        text.clear();
        if self.torn {
            text.push(b'\n');
        }
        let mut count = 0;
        let mut next = Some(first);
        while let Some(tale) = next {
            // Writing into memory does not fail, and all of a tale can be said in JSON.
            if line::write(&tale, clock::wall(tale.began), text).is_ok() {
                count += 1;
            }
            let more = text.len() < ACCESS_LOG_WRITE_BYTES;
            next = if more { self.lines.try_recv().ok().map(|tale| *tale) } else { None };
        }
        if !self.target.is_open() {
            self.open();
        }
        let (whole, result) = self.target.write(text);
        match result {
            Ok(()) => {
                self.torn = false;
                self.counters.written.increment(count);
                self.recovered();
            }
            Err(error) => {
                let whole_lines = text[..whole].iter().filter(|byte| **byte == b'\n').count() as u64;
                let written = whole_lines.saturating_sub(u64::from(self.torn && whole > 0)).min(count);
                self.torn = (self.torn && whole == 0) || (whole > 0 && text[whole - 1] != b'\n');
                self.counters.written.increment(written);
                self.counters.write_failed.increment(count - written);
                self.failed(&error);
            }
        }
    }

    /// Opens the target, but one that failed only now and then.
    fn open(&mut self) {
        let now = clock::now();
        if self.tried.is_some_and(|tried| now.saturating_duration_since(tried) < ACCESS_LOG_RETRY) {
            return;
        }
        if let Err(error) = self.target.open() {
            self.tried = Some(now);
            self.failed(&error);
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(to = %self.target, %error, "the access log can't be written: its lines are dropped and counted");
        }
    }

    fn recovered(&mut self) {
        self.tried = None;
        if std::mem::take(&mut self.failing) {
            tracing::info!(to = %self.target, "the access log is written again");
        }
    }
}
