//! The control plane as the binary sees it: open it, serve it, hand it windows and files.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serin_config::{
    Address, Catalogue, Config, Plan,
    fleet::Names,
    limits::{AUDIT_QUEUE_MAX, COMMANDS_QUEUED_MAX, WINDOWS_QUEUED_MAX},
    notification::Recipient,
    settings::{Control, Etcd},
    terms::Terms,
    wire::Report,
};
use tokio::sync::{mpsc, oneshot, watch};

pub use crate::api::BindError as ServeError;
use crate::{
    access::{Access, Answer, CommandError},
    api,
    clock::Clock,
    command::{Actor, Command, Request},
    fleet::{self, Door, Gates},
    hook,
    keeper::{BeginError, Inlets, Keeper, Push, Shown},
    lead::{LeaderAddress, Leadership, replica, standing::Standing},
    metrics, notify, post,
    refusal::Refusal,
    status::Status,
    store::{self, Archive, Store},
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

/// An opened control plane: its state is read, its first plan made and stored. Where the state is in etcd, nothing is
/// read yet, and the first plan is that of the file.
pub struct ControlPlane {
    mind: Mind,
    settings: Control,
    opened_ms: u64,
    catalogue: watch::Sender<Arc<Catalogue>>,
    terms: watch::Sender<Arc<Terms>>,
    recipients: watch::Sender<Vec<Recipient>>,
}

/// Who decides.
enum Mind {
    /// This process alone.
    Alone(Box<Keeper>),
    /// One of several, in which this process may be elected.
    Among { etcd: Box<Etcd>, shown: Shown, own: Box<OwnAddress> },
}

/// Where others reach this process, by the addresses of its API and of its listener for proxies.
type OwnAddress = dyn Fn(&Address, Option<&Address>) -> LeaderAddress + Send + Sync;

impl std::fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlPlane").field("generation", &self.plan().generation()).finish_non_exhaustive()
    }
}

impl ControlPlane {
    /// Opens the store, merges the file into what was decided, and stores the first plan. A store that can be
    /// opened but not written is no error: traffic comes first, and the write is tried again. `now_ms` is in
    /// milliseconds since 1970. Where the state is in etcd, which may be away, this takes no time and does not fail.
    pub fn open(config: &Config, now_ms: u64) -> Result<Self, OpenError> {
        let control = &config.control;
        let mind = match &control.etcd {
            Some(etcd) => {
                let about = config.clone();
                let own = move |api: &Address, fleet: Option<&Address>| {
                    replica::own_address(&about, api, fleet.map(ToString::to_string))
                };
                Mind::Among {
                    etcd: Box::new(etcd.clone()),
                    shown: Shown::of(&config.catalogue),
                    own: Box::new(own),
                }
            }
            None => {
                let store = Store::open(&control.state)?;
                let mut keeper = Keeper::begin(Box::new(store), &config.catalogue, now_ms)?;
                keeper.set_terms(config.terms.clone());
                Mind::Alone(Box::new(keeper))
            }
        };
        let catalogue = watch::Sender::new(config.catalogue.clone());
        let terms = watch::Sender::new(config.terms.clone());
        let recipients = watch::Sender::new(config.notifications.clone());
        Ok(Self { mind, settings: control.clone(), opened_ms: now_ms, catalogue, terms, recipients })
    }

    /// The plan in force.
    pub fn plan(&self) -> Arc<Plan> {
        match &self.mind {
            Mind::Alone(keeper) => keeper.plan().clone(),
            Mind::Among { shown, .. } => shown.status.borrow().plan.clone(),
        }
    }

    /// The number of the life that a proxy in this process begins at `now_ms`: above those of all that are known here, though
    /// the clock may have been set back since the last one.
    pub fn next_life(&self, proxy: &str, now_ms: u64) -> u64 {
        match &self.mind {
            Mind::Alone(keeper) => keeper.next_life(proxy, now_ms),
            Mind::Among { .. } => now_ms,
        }
    }

    /// Binds the API and starts everything. `push` is called with each new plan, on the thread that decides,
    /// in the order of generations; it must not block. The first plan ([`Self::plan`]) is not pushed.
    pub async fn serve(self, push: Push) -> Result<Handle, ServeError> {
        let tls = match &self.settings.tls {
            Some(settings) => Some(tls::open(settings, &[b"http/1.1"]).map_err(ServeError::from)?),
            None => None,
        };
        let listener = api::Listener::bind(&self.settings.address).await?;
        let address = listener.address().clone();
        let door = match &self.settings.fleet {
            Some(fleet) => Some(Door::bind(fleet).await?),
            None => None,
        };
        let fleet_address = door.as_ref().map(|door| door.address().clone());
        let (orders, order_inlet) = mpsc::channel(COMMANDS_QUEUED_MAX);
        let (reports, report_inlet) = mpsc::channel(WINDOWS_QUEUED_MAX);
        let (refused, refused_inlet) = mpsc::channel(AUDIT_QUEUE_MAX);
        let (events, event_inlet) = mpsc::channel(COMMANDS_QUEUED_MAX);
        let (stop, stopped) = watch::channel(false);
        let clock = Clock::not_before(self.opened_ms);
        let (gates, gate) = Gates::new(reports.clone(), clock);
        let token = self.settings.fleet.as_ref().and_then(|fleet| fleet.token.clone()).map(Arc::new);
        let names = self.settings.fleet.as_ref().map_or(Names::default(), |fleet| fleet.names);
        let version = env!("CARGO_PKG_VERSION");
        let terms = fleet::Terms { gate: gate.clone(), token, names, clock, stop: stopped.clone(), version };
        let inlets = Inlets {
            orders: order_inlet,
            reports: report_inlet,
            refused: refused_inlet,
            unstored: Vec::new(),
            events: event_inlet,
            stop: stopped.clone(),
            clock,
        };
        let (begun, gates) = match self.mind {
            Mind::Alone(keeper) => (alone(*keeper, push, inlets, &gates), Some(gates)),
            Mind::Among { etcd, shown, own } => {
                let (own, catalogue) = (own(&address, fleet_address.as_ref()), self.catalogue.subscribe());
                let terms = self.terms.subscribe();
                let begun = replica::start(
                    replica::Setup {
                        etcd: *etcd,
                        catalogue,
                        terms,
                        own,
                        push,
                        shown,
                        gates,
                        refused: refused.clone(),
                        stop: stopped.clone(),
                    },
                    inlets,
                );
                (begun, None)
            }
        };
        let Mounted { shown, archive, standing, life } = begun.map_err(ServeError::Thread)?;
        let access = Access {
            orders,
            events,
            status: shown.status.subscribe(),
            journal: shown.journal,
            archive,
            audit: shown.audit,
            refused,
            clock,
            standing,
            gate,
        };
        let wanted =
            notify::Wanted { recipients: self.recipients.subscribe(), terms: self.terms.subscribe() };
        let client = Arc::new(post::Client::default());
        notify::start(wanted, &access, &client, &stopped);
        hook::start(&access, &client, &stopped);
        let fleet = door.map(|door| tokio::spawn(fleet::serve(door, terms)));
        let context = api::Context::new(access.clone(), &self.settings, &listener, stopped.clone());
        let acceptor = tls.map(|(acceptor, renewal)| {
            // It ends with the last handle on what it keeps up to date.
            tokio::spawn(renewal.run());
            acceptor
        });
        let api = tokio::spawn(api::serve(listener, acceptor, context, stopped));
        Ok(Handle {
            access,
            reports,
            address,
            fleet_address,
            _gates: gates,
            stop,
            keeper: life,
            api,
            fleet,
            catalogue: self.catalogue,
            terms: self.terms,
            recipients: self.recipients,
        })
    }
}

/// A keeper that has begun, or will when it is elected: what is read of it.
pub(crate) struct Mounted {
    pub(crate) shown: Shown,
    pub(crate) archive: Archive,
    pub(crate) standing: Standing,
    pub(crate) life: watch::Receiver<Life>,
}

fn alone(mut keeper: Keeper, push: Push, inlets: Inlets, gates: &Gates) -> std::io::Result<Mounted> {
    keeper.push_to(push);
    gates.open(gates.seat(&mut keeper));
    let (shown, archive) = (keeper.shown(), keeper.archive());
    let (life, _) = spawn(keeper, inlets)?;
    Ok(Mounted { shown, archive, standing: Standing::alone(), life })
}

/// Starts the keeper's thread; what is given back tells when and how it ended, and gives the ways in back if it ended
/// well. Its runtime serves its timers and channels only.
pub(crate) fn spawn(
    keeper: Keeper,
    inlets: Inlets,
) -> std::io::Result<(watch::Receiver<Life>, oneshot::Receiver<Inlets>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (tell, life) = watch::channel(Life::Decides);
    let (give, back) = oneshot::channel();
    std::thread::Builder::new().name("serin-keeper".into()).spawn(move || {
        // Nothing of the keeper is used after a panic: it is dropped by it.
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(keeper.run(inlets))));
        metrics::down();
        match ended {
            Ok(inlets) => {
                tell.send_replace(Life::Stopped);
                // Whoever does not want them has dropped the other end.
                let _ = give.send(inlets);
            }
            Err(_) => drop(tell.send_replace(Life::Broke)),
        }
    })?;
    Ok((life, back))
}

/// How the keeper is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
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
    fleet_address: Option<Address>,
    /// Streams last as long as these do, where nobody else can lead.
    _gates: Option<Gates>,
    stop: watch::Sender<bool>,
    keeper: watch::Receiver<Life>,
    api: tokio::task::JoinHandle<()>,
    fleet: Option<tokio::task::JoinHandle<()>>,
    /// The routes and services of this one's file.
    catalogue: watch::Sender<Arc<Catalogue>>,
    terms: watch::Sender<Arc<Terms>>,
    recipients: watch::Sender<Vec<Recipient>>,
}

impl Handle {
    /// Where proxies' reports go in. It is bounded: use `try_send`, and count what does not fit.
    pub fn reports(&self) -> mpsc::Sender<Report> {
        self.reports.clone()
    }

    /// Takes the routes and services of a changed file, or refuses them whole. The plan is then in force, and
    /// was pushed if it is new.
    pub async fn reload(&self, catalogue: Arc<Catalogue>) -> Result<Arc<Plan>, ReloadRefused> {
        let request = Request::new(Command::Reload(catalogue.clone()), Actor::File, "");
        let plan = self.access.command(request).await?.plan;
        self.catalogue.send_replace(catalogue);
        Ok(plan)
    }

    /// Takes what a changed file says of all rollouts.
    pub async fn take_terms(&self, terms: Arc<Terms>) -> Result<(), ReloadRefused> {
        // Told first, so that whoever begins to lead meanwhile knows them too.
        self.terms.send_replace(terms.clone());
        self.access.command(Request::new(Command::Terms(terms), Actor::File, "")).await?;
        Ok(())
    }

    /// Tells those whom a changed file names from now on.
    pub fn take_recipients(&self, recipients: Vec<Recipient>) {
        self.recipients.send_if_modified(|before| {
            let changed = *before != recipients;
            *before = recipients;
            changed
        });
    }

    /// Asks for a change, and waits for what becomes of it.
    pub async fn command(&self, request: Request) -> Result<Answer, CommandError> {
        self.access.command(request).await
    }

    /// Whether this control plane decides, now and after each change. Always so with the embedded store.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.access.standing.leadership()
    }

    /// The address at which the API listens; its port is real where the file says 0.
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// The address at which proxies are listened for, if they are; its port is real where the file says 0.
    pub fn fleet_address(&self) -> Option<Address> {
        self.fleet_address.clone()
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
        if let Some(fleet) = self.fleet {
            let _ = fleet.await;
        }
        let _ = self.keeper.wait_for(|life| *life != Life::Decides).await;
    }
}
