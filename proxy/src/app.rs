//! The composition root: everything is built once, in order, and taken down in the reverse.

use std::{
    io,
    os::fd::OwnedFd,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serin_config::{
    Address, Config, ListenerName,
    limits::{TAKEOVER_SETTLE_WAIT, WORKERS_MAX},
    wire::{ReloadStatus, Report},
};
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::MissedTickBehavior,
};

use crate::{
    admin::{self, View},
    clock,
    endpoints::keeper::Keeper,
    inherit::Inherited,
    legacy::{self, LeftWire},
    observe::{Beats, Collector, Compared, Counters, Handover, Windows, metrics, telling::Telling},
    plan::PlanCell,
    serve::{
        accept,
        arrive::Terms,
        listen::{Bound, bind},
        spread::{Door, Spread},
        worker::{Parts, Worker},
    },
    shared::{Shared, patrol},
    tls,
};

/// The name by which systemd's sockets are told to be the admin listener's.
const ADMIN_SOCKET: &str = "admin";
/// How often unused connections to endpoints are looked at, in seconds.
const SWEEP_EVERY: u64 = 5;

/// What a proxy is made of.
pub struct Setup<'a> {
    /// Listeners, admin listener, limits, telemetry.
    pub config: &'a Config,
    /// The plan in force, now and later.
    pub plans: Arc<PlanCell>,
    /// Where reports go. When it is full they are dropped and counted.
    pub reports: mpsc::Sender<Report>,
    /// Which life of this proxy its windows are of: when it started, in milliseconds since 1970.
    pub epoch: u64,
    /// Shown in `serin_build_info`.
    pub version: &'static str,
    /// Sockets that need not be bound. What no listener wants is closed.
    pub inherited: Inherited,
}

/// Why the proxy can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("{what} can't listen on {address}: {}", reason(source, address))]
    Bind {
        /// Which listener.
        what: String,
        /// Where.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// A file that a listener needs for TLS can't be used.
    #[error("listener \"{listener}\" can't serve TLS: {unusable}")]
    Tls {
        /// Which listener.
        listener: ListenerName,
        /// Which file, and why.
        unusable: tls::Unusable,
    },
    /// A thread or runtime can't be made.
    #[error("a worker can't be started: {0}")]
    Thread(#[from] io::Error),
}

fn reason(error: &io::Error, address: &Address) -> String {
    match (error.kind(), address) {
        (io::ErrorKind::AddrInUse, Address::Tcp(_)) => {
            "the port is in use; stop the other process or choose another port".into()
        }
        (io::ErrorKind::AddrInUse, Address::Unix(_)) => {
            "another process listens there; stop it or choose another path".into()
        }
        (io::ErrorKind::AddrNotAvailable, _) => {
            "this machine has no such address; use one of its own, or 0.0.0.0".into()
        }
        (io::ErrorKind::PermissionDenied, Address::Tcp(_)) => {
            "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE".into()
        }
        (io::ErrorKind::PermissionDenied, Address::Unix(_)) => {
            "permission denied; the directory must be writable".into()
        }
        (io::ErrorKind::NotFound, Address::Unix(_)) => "its directory does not exist; create it first".into(),
        _ => error.to_string(),
    }
}

/// Why a proxy ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nobody serves after it: whoever waits in a queue is served yet.
    Stop,
    /// Another process has its sockets, and serves whoever waits.
    HandedOver,
}

/// What the workers shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serve,
    DrainUntil(Instant, Ending),
}

/// A running data plane.
#[derive(Debug)]
pub struct Proxy {
    listeners: Vec<(ListenerName, Address)>,
    admin: Address,
    view: Arc<View>,
    phase: watch::Sender<Phase>,
    /// Asks workers to hand over what they have counted.
    settle: watch::Sender<()>,
    /// The last window that was told.
    told: watch::Receiver<u64>,
    workers: Vec<JoinHandle<usize>>,
    telling: Telling,
    drain_deadline: Duration,
    /// All listening sockets once more, to be passed on. They are let go before a drain: a socket that is open
    /// here but accepted from nowhere would let clients wait for nothing.
    sockets: Vec<OwnedFd>,
    admin_task: AbortHandle,
}

impl Proxy {
    /// Binds everything, then starts the workers; housekeeping runs on the current runtime.
    pub fn start(setup: Setup<'_>) -> Result<Self, StartError> {
        let Setup { config, plans, reports, epoch, version, mut inherited } = setup;
        let workers = worker_count(config);
        let (mut listeners, mut passed_on) = (Vec::new(), Vec::new());
        let mut sockets: Vec<Vec<(Bound, Terms)>> = (0..workers).map(|_| Vec::new()).collect();
        let rare = metrics::recorder();
        let secured = tls::Store::open(&config.listeners, clock::unix_seconds())
            .map_err(|(listener, unusable)| StartError::Tls { listener, unusable })?;
        let secured = Arc::new(secured);
        let shared =
            Arc::new(Shared::new(workers, &config.limits, secured.clone(), plans.load().generation()));
        plans.prepare_with({
            let secured = secured.clone();
            // In this order: health checks may ask over TLS.
            let keeper = Keeper::new(shared.clone(), &config.dns);
            move |plan| {
                secured.prepare(plan.catalogue(), clock::unix_seconds());
                keeper.prepare(plan);
            }
        });
        // Before there is a worker, and so before there is a request.
        legacy::take_up(&shared, &std::mem::take(&mut inherited.wires));
        for listener in &config.listeners {
            let what = || format!("listener \"{}\"", listener.name);
            let opened = open(&mut inherited, listener.name.as_str(), &listener.address, workers);
            let (address, bound) = opened.map_err(cannot_listen(&what, &listener.address))?;
            listeners.push((listener.name.clone(), address));
            let terms = Terms::new(listener, secured.acceptor(&listener.name));
            for (worker, bound) in sockets.iter_mut().zip(bound) {
                for socket in bound {
                    passed_on.push(socket.descriptor()?);
                    worker.push((socket, terms.clone()));
                }
            }
        }
        let opened = open(&mut inherited, ADMIN_SOCKET, &config.admin.address, 1);
        let (admin_address, admin_sockets) =
            opened.map_err(cannot_listen(&|| "the admin listener".into(), &config.admin.address))?;
        for address in inherited.addresses() {
            tracing::warn!(%address, "no listener has this address: the inherited socket is closed");
        }
        drop(inherited);

        let counters = Arc::new(Counters::register());
        let connections = Arc::new(AtomicUsize::new(0));
        let (spread, doors) = Spread::over(workers);
        let totals = Arc::default();
        let view = Arc::new(View {
            plans: plans.clone(),
            totals: Arc::clone(&totals),
            reload: Mutex::default(),
            connections: connections.clone(),
            spread: spread.clone(),
            ready: AtomicBool::new(true),
            rare,
            tls: secured.clone(),
            shared: shared.clone(),
            version,
        });
        // One handover of each worker may wait while the last is being taken.
        let (handover, handovers) = mpsc::channel::<Handover>(workers * 2);
        let collector = Collector {
            workers,
            totals,
            plans: plans.clone(),
            shared: shared.clone(),
            counters: counters.clone(),
            windows: Windows::new(config.telemetry.instance.clone(), epoch, shared.first),
            up: reports,
            beats: Beats::default(),
            compared: Compared::default(),
            told: watch::Sender::new(0),
        };
        let told = collector.told.subscribe();
        tokio::spawn(collector.run(handovers));
        tokio::spawn(patrol::run(shared.clone(), plans.clone(), config.limits.clone()));
        tokio::spawn(tls::watch(secured));
        let mut admin_listening = Vec::new();
        for socket in admin_sockets.into_iter().flatten() {
            passed_on.push(socket.descriptor()?);
            admin_listening.push(socket.listen()?);
        }
        let shown = view.clone();
        let admin_task = tokio::spawn(async move {
            let mut doors = JoinSet::new();
            for listening in admin_listening {
                doors.spawn(admin::run(shown.clone(), listening));
            }
            doors.join_all().await;
        });

        let (telling, outlets) = Telling::start(&config.telemetry, version)?;
        let (phase, phases) = watch::channel(Phase::Serve);
        let settle = watch::Sender::new(());
        // The windows of a whole fleet end together then, and its control plane waits for nobody.
        let start = clock::half_past();
        let mut threads = Vec::with_capacity(workers);
        for ((number, sockets), door) in sockets.into_iter().enumerate().zip(doors) {
            let parts = Parts {
                number,
                workers,
                limits: config.limits.clone(),
                telemetry: config.telemetry.clone(),
                outlets: outlets.clone(),
                plans: plans.reader(),
                shared: shared.clone(),
                handover: handover.clone(),
                connections: connections.clone(),
                spread: spread.clone(),
                counters: counters.clone(),
            };
            let (phases, settle) = (phases.clone(), settle.subscribe());
            let thread = std::thread::Builder::new().name(format!("serin-worker-{number}"));
            threads
                .push(thread.spawn(move || on_its_runtime(parts, (sockets, door), start, phases, settle))?);
        }
        let drain_deadline = config.limits.drain_deadline;
        Ok(Self {
            listeners,
            admin: admin_address,
            view,
            phase,
            settle,
            told,
            workers: threads,
            telling,
            drain_deadline,
            sockets: passed_on,
            admin_task: admin_task.abort_handle(),
        })
    }

    /// Where each listener listens; with port 0 in the file this is the port that it was given.
    pub fn listeners(&self) -> &[(ListenerName, Address)] {
        &self.listeners
    }

    /// Where the admin listener listens.
    pub fn admin(&self) -> &Address {
        &self.admin
    }

    /// How the last reload went, for the metrics and the admin listener.
    pub fn note_reload(&self, status: ReloadStatus) {
        *self.view.reload.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// Every listening socket, the admin listener's included, to be passed to another process.
    pub fn sockets(&self) -> &[OwnedFd] {
        &self.sockets
    }

    /// What is held against canaries here.
    pub fn wires(&self) -> Vec<LeftWire> {
        legacy::wires(&self.view.shared)
    }

    /// Holds the same here as the process before, at its end.
    pub fn take_up(&self, wires: &[LeftWire]) {
        legacy::take_up(&self.view.shared, wires);
    }

    /// Ends the window that is open, and has it told: what was counted until now is in it, or in one before. For who leaves
    /// its windows to another process.
    pub async fn settle(&self) {
        let mut told = self.told.clone();
        let before = *told.borrow_and_update();
        self.settle.send_replace(());
        // A worker that does not answer must not hold up the process that takes over.
        let _ = tokio::time::timeout(TAKEOVER_SETTLE_WAIT, told.wait_for(|now| *now > before)).await;
    }

    /// Has the access log's file opened again under its name, for those who rotate it by renaming.
    pub fn reopen_access_log(&self) {
        self.telling.reopen_log();
    }

    /// Stops accepting, lets requests in flight end, and stops the workers; whatever is left when the drain
    /// deadline passes is cut. Returns how many connections were cut.
    pub async fn drain(self, ending: Ending) -> usize {
        drop(self.sockets);
        self.view.ready.store(false, Ordering::Relaxed);
        if ending == Ending::HandedOver {
            // Questions about readiness are for the one that serves now.
            self.admin_task.abort();
        }
        let _ = self.phase.send(Phase::DrainUntil(clock::now() + self.drain_deadline, ending));
        let workers = self.workers;
        let join = move || workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum();
        let cut = tokio::task::spawn_blocking(join).await.unwrap_or(0);
        self.telling.finish().await;
        cut
    }
}

fn worker_count(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    config.limits.workers.unwrap_or_else(cores).clamp(1, WORKERS_MAX)
}

/// The sockets of a listener for each worker: inherited, or bound now.
fn open(
    inherited: &mut Inherited,
    name: &str,
    address: &Address,
    workers: usize,
) -> io::Result<(Address, Vec<Vec<Bound>>)> {
    if let Some(taken) = inherited.take(name, address, workers)? {
        return Ok(taken);
    }
    let (address, bound) = bind(address, workers)?;
    Ok((address, bound.into_iter().map(|socket| vec![socket]).collect()))
}

fn cannot_listen(what: &dyn Fn() -> String, address: &Address) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Bind { what: what(), address: address.clone(), source }
}

/// A worker's thread. Its runtime can't leave the thread that it was made on.
fn on_its_runtime(
    parts: Parts,
    ways_in: (Vec<(Bound, Terms)>, Door),
    start: Instant,
    phases: watch::Receiver<Phase>,
    settle: watch::Receiver<()>,
) -> usize {
    match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime.block_on(work(parts, ways_in, start, phases, settle)),
        Err(error) => {
            tracing::error!(%error, "a worker's runtime can't be made");
            0
        }
    }
}

/// A worker's life. Returns how many connections were still open at its end.
async fn work(
    parts: Parts,
    (sockets, door): (Vec<(Bound, Terms)>, Door),
    start: Instant,
    mut phases: watch::Receiver<Phase>,
    settle: watch::Receiver<()>,
) -> usize {
    let worker = Worker::new(parts);
    let mut taking = vec![tokio::task::spawn_local(accept::passed(worker.clone(), door))];
    for (socket, terms) in sockets {
        match socket.listen() {
            Ok(listening) => {
                let accepting = accept::run(worker.clone(), listening, Rc::new(terms));
                taking.push(tokio::task::spawn_local(accepting));
            }
            Err(error) => tracing::error!(%error, "a listener can't be served"),
        }
    }
    let housekeeping = tokio::task::spawn_local(keep_house(worker.clone(), start, settle));
    let (deadline, ending) = match phases.wait_for(|phase| *phase != Phase::Serve).await.map(|phase| *phase) {
        Ok(Phase::DrainUntil(deadline, ending)) => (deadline, ending),
        // The proxy was dropped without a drain.
        Ok(Phase::Serve) | Err(_) => (clock::now(), Ending::Stop),
    };
    worker.drain(ending);
    // What the kernel and other workers still hold is taken in before what is open is counted.
    for taking in taking {
        let _ = tokio::time::timeout_at(deadline.into(), taking).await;
    }
    let _ = tokio::time::timeout_at(deadline.into(), all_closed(&worker)).await;
    housekeeping.abort();
    worker.hand_over(tick_at(start));
    worker.open.get()
}

async fn all_closed(worker: &Worker) {
    while worker.open.get() > 0 {
        worker.closed.notified().await;
    }
}

/// Once a second, and when it is asked to: hand over counts; and now and then close what nobody uses.
async fn keep_house(worker: Rc<Worker>, start: Instant, mut settle: watch::Receiver<()>) {
    let mut ticks = tokio::time::interval_at((start + Worker::PERIOD).into(), Worker::PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let asked = tokio::select! {
            _ = ticks.tick() => false,
            Ok(()) = settle.changed() => true,
        };
        let tick = tick_at(start);
        worker.hand_over(tick);
        if !asked && tick.is_multiple_of(SWEEP_EVERY) {
            worker.sweep();
        }
    }
}

/// The second that is ending; rounded, because ticks come a little late.
fn tick_at(start: Instant) -> u64 {
    (clock::now().saturating_duration_since(start) + Worker::PERIOD / 2).as_secs()
}
