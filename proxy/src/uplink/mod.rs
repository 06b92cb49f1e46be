//! The stream to a control plane in another process: plans down, windows up.
//!
//! Nothing here can make a request wait. While no control plane answers, the proxy goes on with the plan that it has
//! ([`cache`] keeps it over a restart), says so in metrics, and keeps its windows for a while ([`unkept`]): what the
//! control plane has not said to have kept is told again over the next stream, to the same control plane or to
//! another. [`dial`] finds the one that leads; [`session`] is one stream.
//!
//! Where a new process takes over, the old one falls silent before it leaves its windows, and the new one says nothing before
//! it has them ([`crate::legacy`]): one life of a proxy has one voice.

mod cache;
mod dial;
mod heir;
mod metrics;
mod said;
mod session;
mod trouble;
mod unkept;

use std::{io, sync::Arc, time::Duration};

use rand::Rng;
use serin_config::{
    Catalogue, Generation, Identity, Plan,
    fleet::Connect,
    limits::{
        TAKEOVER_STORE_WAIT, UPLINK_BACKOFF_MAX, UPLINK_BACKOFF_MIN, UPLINK_SEARCH,
        UPLINK_SEARCH_BACKOFF_MAX, WINDOWS_QUEUED_MAX,
    },
    wire::{Report, WindowReport},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use self::{dial::Dialler, said::Said, session::Over, unkept::Unkept};
use crate::{clock, legacy::Life, plan::PlanCell};

/// Reads routes and services from their text, as this process's files and environment allow.
pub type ReadCatalogue = Arc<dyn Fn(&str) -> Result<Catalogue, Vec<String>> + Send + Sync>;

/// How long the end of the process waits for the control plane to hear of it.
const LEAVE_WAIT: Duration = Duration::from_millis(500);

/// What a stream to the control plane needs.
pub struct Joining {
    /// Where it is.
    pub connect: Connect,
    /// The name of this proxy.
    pub instance: String,
    /// Which life of it: when it started, in milliseconds since 1970. Where the control plane knows one that began later, by
    /// a clock that was set back since, it says which life this is.
    pub epoch: u64,
    /// Its release.
    pub version: &'static str,
    /// How texts are read here.
    pub read: ReadCatalogue,
    /// Whether another process hands its place over: where there is a plan to begin with, nothing is said before that one has
    /// left its life ([`Uplink::take_up`]).
    pub heir: bool,
}

/// What a proxy says to its control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stance {
    /// What there is to say.
    Speaks,
    /// Nothing just now: another process has, or had, the word.
    Silent,
    /// It ends.
    Leaves,
}

/// What is done while nothing is said.
#[derive(Debug)]
enum Order {
    /// Tells what is left to another process.
    Leave(oneshot::Sender<Life>),
    /// Goes on with what another process has left.
    TakeUp(Life, oneshot::Sender<()>),
}

/// The stream of this proxy, which is begun anew whenever it breaks off. Dropping it ends it without a word.
#[derive(Debug)]
pub struct Uplink {
    reports: mpsc::Sender<Report>,
    plans: watch::Receiver<Option<Arc<PlanCell>>>,
    stance: watch::Sender<Stance>,
    orders: mpsc::Sender<Order>,
    keeper: Arc<cache::Keeper>,
    task: JoinHandle<()>,
}

impl Uplink {
    /// Begins, with the plan that the last life of this proxy kept, if there is one.
    pub fn start(joining: Joining) -> Self {
        let cached = cache::load(&joining.connect.cache, joining.read.as_ref());
        let cell = cached.map(|plan| {
            tracing::info!(
                generation = %plan.generation(),
                cache = %joining.connect.cache.display(),
                "serving with the last plan that was kept, until the control plane has another"
            );
            PlanCell::new(Arc::new(plan))
        });
        let (reports, inlet) = mpsc::channel(WINDOWS_QUEUED_MAX);
        let (tell, plans) = watch::channel(cell);
        let silent = joining.heir && cell_is_there(&tell);
        let (stance, standing) = watch::channel(if silent { Stance::Silent } else { Stance::Speaks });
        let (orders, ordered) = mpsc::channel(1);
        let keeper = Arc::new(cache::Keeper::start(joining.connect.cache.clone()));
        let link = Link {
            joining,
            plans: tell,
            keeper: keeper.clone(),
            unkept: Unkept::default(),
            inlet,
            stance: standing,
            ordered,
            left: None,
            beats: true,
            since: clock::now(),
        };
        Self { reports, plans, stance, orders, keeper, task: tokio::spawn(link.run()) }
    }

    /// The plan in force, as soon as there is one.
    pub async fn plans(&self) -> Arc<PlanCell> {
        let mut plans = self.plans.clone();
        match plans.wait_for(Option::is_some).await.map(|cell| cell.clone()) {
            Ok(Some(cell)) => cell,
            // The task never ends before it is told to.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Has the plan in force written, for a process that is to go on from it.
    ///
    /// # Errors
    /// Why it can't be written, within [`TAKEOVER_STORE_WAIT`].
    pub async fn save(&self) -> io::Result<()> {
        let plan = self.plans.borrow().as_ref().map(|cell| cell.load());
        let Some(plan) = plan else { return Ok(()) };
        match timeout(TAKEOVER_STORE_WAIT, self.keeper.save(plan)).await {
            Ok(saved) => saved,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }

    /// Where the proxy's reports go in.
    pub fn reports(&self) -> mpsc::Sender<Report> {
        self.reports.clone()
    }

    /// Tells the control plane that this proxy ends, so that nobody waits for it.
    pub async fn leave(self) {
        let Self { reports, stance, task, .. } = self;
        // With this the last one who may report is the proxy itself.
        drop(reports);
        stance.send_replace(Stance::Leaves);
        let _ = timeout(2 * LEAVE_WAIT, task).await;
    }
}

/// Everything that outlives one stream.
struct Link {
    joining: Joining,
    plans: watch::Sender<Option<Arc<PlanCell>>>,
    keeper: Arc<cache::Keeper>,
    unkept: Unkept,
    inlet: mpsc::Receiver<Report>,
    stance: watch::Receiver<Stance>,
    ordered: mpsc::Receiver<Order>,
    /// The number of the last window that was left to another process.
    left: Option<u64>,
    /// Whether the control plane wants beats.
    beats: bool,
    /// Since when there is no stream.
    since: std::time::Instant,
}

impl Link {
    async fn run(mut self) {
        let mut dialler = Dialler::new(self.joining.connect.clone());
        let mut backoff = UPLINK_BACKOFF_MIN;
        metrics::describe();
        metrics::connected(false, Duration::ZERO);
        metrics::name_taken(false);
        let mut random = clock::entropy();
        let mut said = Said::default();
        while self.may_speak().await {
            let opened = tokio::select! {
                opened = dialler.dial() => opened,
                () = idle(&mut self.inlet, &mut self.unkept, self.since) => return,
                () = interrupted(&mut self.stance) => continue,
            };
            let over = match opened {
                Ok(open) => self.session(open).await,
                Err(failure) => Over::refused(failure),
            };
            match over {
                Over::Left => {}
                Over::Broke { failure, lasted: true } => {
                    backoff = UPLINK_BACKOFF_MIN;
                    said = Said::default();
                    tracing::warn!(
                        %failure,
                        "the stream to the control plane broke off: traffic goes on with the last plan"
                    );
                    dialler.lost(&failure);
                    // A moment, so that a fleet does not come back all at once.
                    self.pause(UPLINK_BACKOFF_MIN.mul_f64(random.random_range(0.0..1.0))).await;
                }
                Over::Broke { failure, lasted: false } => {
                    if failure.name_taken {
                        metrics::name_taken(true);
                    }
                    let new = said.is_new(&failure);
                    if new && failure.name_taken {
                        tracing::error!(
                            %failure,
                            generation = %self.has().generation,
                            "this proxy is not served, and serves its users on with the plan that it has, whatever was decided since"
                        );
                    } else if new {
                        tracing::warn!(%failure, "no stream to the control plane");
                    } else {
                        tracing::debug!(%failure, "still no stream to the control plane");
                    }
                    if dialler.failed(&failure) {
                        let searching = clock::now().saturating_duration_since(self.since) < UPLINK_SEARCH;
                        let most = if searching { UPLINK_SEARCH_BACKOFF_MAX } else { UPLINK_BACKOFF_MAX };
                        let wait = backoff.min(most).mul_f64(random.random_range(0.5..1.5));
                        backoff = (backoff * 2).min(most);
                        self.pause(wait).await;
                    }
                }
            }
        }
    }

    /// Waits, and takes reports meanwhile.
    async fn pause(&mut self, wait: Duration) {
        tokio::select! {
            () = sleep(wait) => {}
            () = idle(&mut self.inlet, &mut self.unkept, self.since) => {}
            () = interrupted(&mut self.stance) => {}
        }
    }

    fn has(&self) -> Has {
        let plan = self.plans.borrow().as_ref().map(|cell| cell.load());
        plan.map_or_else(Has::default, |plan| {
            let digest = plan.catalogue().source().map(|source| source.digest().to_owned());
            Has {
                generation: plan.generation(),
                digest: digest.unwrap_or_default(),
                identity: plan.identity(),
            }
        })
    }

    /// Puts a plan in force.
    ///
    /// # Errors
    /// Why it can't be, a line for each problem; the one before stays.
    fn take(&self, message: &serin_config::fleet::message::Plan) -> Result<Arc<Plan>, Vec<String>> {
        let cell = self.plans.borrow().clone();
        let held = cell.as_ref().map(|cell| cell.load());
        let read = self.joining.read.as_ref();
        let plan = serin_config::fleet::plan::from_message(
            message,
            held.as_ref().map(|plan| plan.catalogue()),
            read,
        )?;
        let plan = Arc::new(plan);
        match cell {
            None => drop(self.plans.send_replace(Some(PlanCell::new(plan.clone())))),
            // What is in force already needs not be put there. Another of the same number is not it.
            Some(cell) if is_same(&cell.load(), &plan) => {}
            Some(cell) => cell.offer(plan.clone()).map_err(|older| vec![older.to_string()])?,
        }
        self.keeper.keep(plan.clone());
        Ok(plan)
    }
}

/// The plan in force here; nothing before the first.
#[derive(Debug)]
struct Has {
    generation: Generation,
    /// The digest of its routes and services.
    digest: String,
    identity: Identity,
}

impl Default for Has {
    fn default() -> Self {
        Self { generation: Generation::NONE, digest: String::new(), identity: Identity::default() }
    }
}

fn is_same(in_force: &Plan, told: &Plan) -> bool {
    in_force.generation() == told.generation() && !in_force.identity().contradicts(&told.identity())
}

/// Takes reports while there is no stream: windows are kept, beats are of no use later. Ends when the proxy does.
async fn idle(inlet: &mut mpsc::Receiver<Report>, unkept: &mut Unkept, since: std::time::Instant) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            report = inlet.recv() => match report {
                Some(Report::Window(window)) => keep(unkept, window),
                Some(Report::Beat(_)) => {}
                // Nobody will report any more; a stream is still worth having until the process ends.
                None => std::future::pending().await,
            },
            _ = tick.tick() => {
                metrics::connected(false, clock::now().saturating_duration_since(since));
                metrics::waiting(unkept.len());
            }
        }
    }
}

/// Ends when nothing shall be said any more, or for now.
async fn interrupted(stance: &mut watch::Receiver<Stance>) {
    let _ = stance.wait_for(|stance| *stance != Stance::Speaks).await;
}

fn cell_is_there(plans: &watch::Sender<Option<Arc<PlanCell>>>) -> bool {
    plans.borrow().is_some()
}

/// Keeps a window until the control plane has.
fn keep(unkept: &mut Unkept, window: WindowReport) {
    if unkept.push(window, clock::now()) {
        metrics::lost(1);
    }
}
