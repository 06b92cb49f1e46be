//! A load: target, pace and stop, running on threads of its own until it reports.

use std::{
    io,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    book::Book,
    bounds::{
        CONNECTIONS_DEFAULT, CONNECTIONS_MAX, HTTP2_STREAMS_DEFAULT, HTTP2_STREAMS_MAX,
        REQUEST_TIMEOUT_DEFAULT, SNAPSHOTS_QUEUED_MAX, WAITING_MAX,
    },
    cancel::Cancel,
    lane::{Channel, Lane, Shared},
    measure::{Report, Snapshot},
    pacer::pace_due,
    queue::{Endless, Queue, Source},
    recorder::{PacerCounts, Recorder},
    schedule::{Schedule, Stop},
    target::{Protocol, Target, TlsError},
};

/// What makes the next request due.
#[derive(Debug, Clone, PartialEq)]
pub enum Pace {
    /// The schedule alone, whatever becomes of earlier requests.
    Open(Schedule),
    /// Of a schedule that several loads share, the requests that are this one's.
    Share(Schedule, Share),
    /// The end of the last one: this many connections, each as fast as it is answered. Measures capacity;
    /// its latencies say nothing about users, who do not wait for each other.
    Closed {
        /// How many; at least one.
        connections: usize,
    },
}

/// Which requests of a schedule: those whose number leaves `at` when it is divided by `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which load this is, from 0.
    pub at: usize,
    /// How many there are, at least one.
    pub of: usize,
}

impl Share {
    /// All of them.
    pub const WHOLE: Self = Self { at: 0, of: 1 };
}

/// A load that is ready to start.
#[derive(Debug, Clone)]
pub struct Load {
    target: Target,
    pace: Pace,
    stop: Stop,
    cancel: Cancel,
    connections_max: usize,
    streams: usize,
    timeout: Duration,
    warm_up: Duration,
}

/// Why a load gives no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A thread or its runtime could not be made.
    #[error("the load generator could not start: {0}")]
    Start(#[from] io::Error),
    /// TLS can't be spoken as asked.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// The load's thread ended without a report.
    #[error("the load generator's thread died; its message stands on standard error")]
    Died,
}

impl Load {
    /// A load of at most [`CONNECTIONS_DEFAULT`] connections, [`REQUEST_TIMEOUT_DEFAULT`] for each request.
    pub fn new(target: Target, pace: Pace, stop: Stop) -> Self {
        Self {
            target,
            pace,
            stop,
            cancel: Cancel::new(),
            connections_max: CONNECTIONS_DEFAULT,
            streams: HTTP2_STREAMS_DEFAULT,
            timeout: REQUEST_TIMEOUT_DEFAULT,
            warm_up: Duration::ZERO,
        }
    }

    /// Bounds connections, and so HTTP/1.1 requests in flight, of an open load: 1 to [`CONNECTIONS_MAX`].
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.connections_max = connections.clamp(1, CONNECTIONS_MAX);
        self
    }

    /// Bounds requests at once on one HTTP/2 connection: 1 to [`HTTP2_STREAMS_MAX`].
    #[must_use]
    pub fn streams_max(mut self, streams: usize) -> Self {
        self.streams = streams.clamp(1, HTTP2_STREAMS_MAX);
        self
    }

    /// Bounds the time of each request, connecting included.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Leaves out what is due within so many whole seconds from the start: it is sent, but not counted.
    #[must_use]
    pub fn warm_up(mut self, seconds: u32) -> Self {
        self.warm_up = Duration::from_secs(seconds.into());
        self
    }

    /// Paces it otherwise.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Stops it otherwise.
    #[must_use]
    pub fn stopped(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// What makes its requests due.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// When it ends.
    pub fn stop(&self) -> Stop {
        self.stop
    }

    /// How many connections it may open.
    pub fn connections(&self) -> usize {
        match self.pace {
            Pace::Closed { connections } => connections,
            Pace::Open(_) | Pace::Share(..) => self.connections_max,
        }
    }

    /// Ends when this token is raised, if not earlier.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Starts the load on a thread of its own.
    pub fn start(self) -> Result<Running, LoadError> {
        let (snapshots_in, snapshots) = mpsc::channel(SNAPSHOTS_QUEUED_MAX);
        let (report_in, report) = oneshot::channel();
        let cancel = self.cancel.clone();
        thread::Builder::new().name("load".into()).spawn(move || {
            // Nobody waits for the report if the handle was dropped.
            let _ = report_in.send(self.drive(snapshots_in));
        })?;
        Ok(Running { snapshots, report, cancel })
    }

    fn drive(self, snapshots: mpsc::Sender<Snapshot>) -> Result<Report, LoadError> {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        let counts = Arc::new(PacerCounts::default());
        let Self { target, pace, stop, cancel, connections_max, streams, timeout, warm_up } = self;
        let book = Book::open(target.names().cloned().collect(), snapshots)?;
        let (dial, prepared) = (target.dial()?, target.prepare());
        let streams = match target.speaks() {
            Protocol::Http1 => 1,
            Protocol::Http2 => streams,
        };
        let protocol = target.speaks();
        let start = Instant::now();
        let counts_from = start + warm_up;
        let recorder = Recorder::new(counts_from, Arc::clone(&counts), prepared.len(), book);
        let shared = |source| Rc::new(Shared { target, prepared, dial, timeout, source, recorder });
        let (schedule, share) = match pace {
            Pace::Closed { connections } => {
                let shared = shared(Source::Closed(Endless { start, counts_from, stop, cancel, counts }));
                let connections = connections.clamp(1, CONNECTIONS_MAX);
                let lanes = closed_loop(&shared, connections * streams, Channel::of(protocol, connections));
                return Ok(runtime.block_on(measure(&shared, counts_from, lanes)));
            }
            Pace::Open(schedule) => (schedule, Share::WHOLE),
            Pace::Share(schedule, share) => (schedule, share),
        };
        let shared = shared(Source::Open(Queue::new()));
        let (due_in, due) = mpsc::channel(WAITING_MAX);
        let token = cancel.clone();
        thread::Builder::new()
            .name("load-pacer".into())
            .spawn(move || pace_due(&schedule, share, stop, start, counts_from, &token, &counts, &due_in))?;
        let channels = Channel::of(protocol, connections_max);
        let lanes = open_loop(&shared, due, connections_max * streams, channels, &cancel);
        Ok(runtime.block_on(measure(&shared, counts_from, lanes)))
    }
}

/// A load that runs. Dropping it does not end the load: [`Running::cancel`] does.
#[derive(Debug)]
pub struct Running {
    snapshots: mpsc::Receiver<Snapshot>,
    report: oneshot::Receiver<Result<Report, LoadError>>,
    cancel: Cancel,
}

impl Running {
    /// The next second's counts; none after the last.
    pub async fn snapshot(&mut self) -> Option<Snapshot> {
        self.snapshots.recv().await
    }

    /// Sends no further request; those in flight end as they may.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether the load has ended or was cancelled.
    pub fn is_over(&self) -> bool {
        self.snapshots.is_closed() || self.cancel.is_cancelled()
    }

    /// Waits for the last request, within a runtime.
    pub async fn report(self) -> Result<Report, LoadError> {
        self.report.await.unwrap_or(Err(LoadError::Died))
    }

    /// Waits for the last request, outside of any runtime.
    pub fn blocking_report(self) -> Result<Report, LoadError> {
        self.report.blocking_recv().unwrap_or(Err(LoadError::Died))
    }
}

async fn open_loop(
    shared: &Rc<Shared>,
    mut due: mpsc::Receiver<Instant>,
    lanes_max: usize,
    channels: impl Fn(usize) -> Channel,
    cancel: &Cancel,
) {
    let Source::Open(queue) = &shared.source else { return };
    let mut lanes = JoinSet::new();
    let mut batch = Vec::new();
    while due.recv_many(&mut batch, WAITING_MAX).await > 0 {
        for at in batch.drain(..) {
            if !queue.push(at) {
                shared.recorder.missed(at);
            }
        }
        for _ in 0..queue.unserved().min(lanes_max - lanes.len()) {
            let number = lanes.len();
            lanes.spawn_local(Lane::new(Rc::clone(shared), number as u64, channels(number)).run());
        }
    }
    if cancel.is_cancelled() {
        queue.abandon().into_iter().for_each(|due| shared.recorder.missed(due));
    }
    queue.close();
    lanes.join_all().await;
}

async fn closed_loop(shared: &Rc<Shared>, count: usize, channels: impl Fn(usize) -> Channel) {
    let mut lanes = JoinSet::new();
    for number in 0..count {
        lanes.spawn_local(Lane::new(Rc::clone(shared), number as u64, channels(number)).run());
    }
    lanes.join_all().await;
}

/// Closes a window each second until the lanes have ended, and the last one then.
async fn measure(shared: &Shared, start: Instant, lanes: impl Future<Output = ()>) -> Report {
    let mut lanes = std::pin::pin!(lanes);
    let mut second = 1;
    loop {
        let end = start + Duration::from_secs(second);
        tokio::select! {
            () = &mut lanes => break,
            () = tokio::time::sleep_until(end.into()) => shared.recorder.close_second(second),
        }
        second += 1;
    }
    shared.recorder.close_second(second);
    shared.recorder.report()
}
