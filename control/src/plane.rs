//! The control plane as the binary sees it: open it, serve it, hand it windows and files.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serin_config::{
    Address, Catalogue, Config, Plan,
    limits::{AUDIT_QUEUE_MAX, COMMANDS_QUEUED_MAX, WINDOWS_QUEUED_MAX},
    settings::Control,
    wire::Report,
};
use tokio::sync::{mpsc, watch};

pub use crate::api::BindError as ServeError;
use crate::{
    access::{Access, Answer, CommandError},
    api,
    clock::Clock,
    command::{Actor, Command, Request},
    keeper::{BeginError, Inlets, Keeper, Push},
    metrics,
    refusal::Refusal,
    status::Status,
    store::{self, Store},
    tls,
};

/// Why the control plane can't be opened: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store can't be opened or read.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The thread that writes can't be started.
    #[error("the store's thread can't be started: {0}")]
    Thread(#[source] std::io::Error),
    /// What is stored does not fit the file.
    #[error("no plan can be made from the file and the stored state: {0}")]
    Plan(#[from] Refusal),
}

impl From<BeginError> for OpenError {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::Open(error) => Self::Store(error),
            BeginError::Thread(error) => Self::Thread(error),
            BeginError::Plan(error) => Self::Plan(error),
        }
    }
}

/// Why a changed file was not taken. Nothing has changed then.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct ReloadRefused(#[from] pub CommandError);

/// An opened control plane: its state is read, its first plan made and stored.
pub struct ControlPlane {
    keeper: Keeper,
    settings: Control,
    opened_ms: u64,
}

impl std::fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlPlane").field("generation", &self.plan().generation()).finish_non_exhaustive()
    }
}

impl ControlPlane {
    /// Opens the store, merges the file into what was decided, and stores the first plan. A store that can be
    /// opened but not written is no error: traffic comes first, and the write is tried again. `now_ms` is in
    /// milliseconds since 1970.
    pub fn open(config: &Config, now_ms: u64) -> Result<Self, OpenError> {
        let store = Store::open(&config.control.state)?;
        let keeper = Keeper::begin(Box::new(store), &config.catalogue, now_ms)?;
        Ok(Self { keeper, settings: config.control.clone(), opened_ms: now_ms })
    }

    /// The plan in force.
    pub fn plan(&self) -> Arc<Plan> {
        self.keeper.plan().clone()
    }

    /// Binds the API and starts everything. `push` is called with each new plan, on the thread that decides,
    /// in the order of generations; it must not block. The first plan ([`Self::plan`]) is not pushed.
    pub async fn serve(mut self, push: Push) -> Result<Handle, ServeError> {
        let tls = match &self.settings.tls {
            Some(settings) => Some(tls::open(settings, &[b"http/1.1"]).map_err(ServeError::from)?),
            None => None,
        };
        let listener = api::Listener::bind(&self.settings.address).await?;
        let address = listener.address().clone();
        let (orders, order_inlet) = mpsc::channel(COMMANDS_QUEUED_MAX);
        let (reports, report_inlet) = mpsc::channel(WINDOWS_QUEUED_MAX);
        let (refused, refused_inlet) = mpsc::channel(AUDIT_QUEUE_MAX);
        let (events, event_inlet) = mpsc::channel(COMMANDS_QUEUED_MAX);
        let (stop, stopped) = watch::channel(false);
        let clock = Clock::not_before(self.opened_ms);
        let access = Access {
            orders,
            events,
            status: self.keeper.status(),
            journal: self.keeper.journal().clone(),
            archive: self.keeper.archive(),
            audit: self.keeper.audit(),
            refused,
            clock,
        };
        self.keeper.push_to(push);
        let inlets = Inlets {
            orders: order_inlet,
            reports: report_inlet,
            refused: refused_inlet,
            events: event_inlet,
            stop: stopped.clone(),
            clock,
        };
        let keeper = spawn(self.keeper, inlets).map_err(ServeError::Thread)?;
        let context = api::Context::new(access.clone(), &self.settings, &listener, stopped.clone());
        let acceptor = tls.map(|(acceptor, renewal)| {
            // It ends with the last handle on what it keeps up to date.
            tokio::spawn(renewal.run());
            acceptor
        });
        let api = tokio::spawn(api::serve(listener, acceptor, context, stopped));
        Ok(Handle { access, reports, address, stop, keeper, api })
    }
}

/// Starts the keeper's thread; what is given back tells when and how it ended. Its runtime serves its timers
/// and channels only.
fn spawn(keeper: Keeper, inlets: Inlets) -> std::io::Result<watch::Receiver<Life>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (tell, life) = watch::channel(Life::Decides);
    std::thread::Builder::new().name("serin-keeper".into()).spawn(move || {
        // Nothing of the keeper is used after a panic: it is dropped by it.
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(keeper.run(inlets))));
        metrics::down();
        tell.send_replace(if ended.is_ok() { Life::Stopped } else { Life::Broke });
    })?;
    Ok(life)
}

/// How the keeper is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Decides,
    Stopped,
    Broke,
}

/// A running control plane. Dropping it stops everything without waiting; [`Handle::shutdown`] waits.
#[derive(Debug)]
pub struct Handle {
    access: Access,
    reports: mpsc::Sender<Report>,
    address: Address,
    stop: watch::Sender<bool>,
    keeper: watch::Receiver<Life>,
    api: tokio::task::JoinHandle<()>,
}

impl Handle {
    /// Where proxies' reports go in. It is bounded: use `try_send`, and count what does not fit.
    pub fn reports(&self) -> mpsc::Sender<Report> {
        self.reports.clone()
    }

    /// Takes the routes and services of a changed file, or refuses them whole. The plan is then in force, and
    /// was pushed if it is new.
    pub async fn reload(&self, catalogue: Arc<Catalogue>) -> Result<Arc<Plan>, ReloadRefused> {
        let request = Request::new(Command::Reload(catalogue), Actor::File, "");
        Ok(self.access.command(request).await?.plan)
    }

    /// Asks for a change, and waits for what becomes of it.
    pub async fn command(&self, request: Request) -> Result<Answer, CommandError> {
        self.access.command(request).await
    }

    /// The address at which the API listens; its port is real where the file says 0.
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// What the control plane shows of itself, now and after each change.
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.access.status.clone()
    }

    /// Ends when a fault in the control plane has ended it. From then on nobody watches a rollout and every
    /// request to the API is answered with 503, until a restart; traffic goes on with the last plan.
    pub async fn broke(&self) {
        let mut keeper = self.keeper.clone();
        if keeper.wait_for(|life| *life == Life::Broke).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Stops the API and the keeper; evidence is kept. Proxies go on with the last plan. Does not wait for a
    /// disk that hangs.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // Both end by themselves now; a panic in one of them has been reported by its own thread.
        let _ = self.api.await;
        let _ = self.keeper.wait_for(|life| *life != Life::Decides).await;
    }
}
