//! Control plane and data plane, put together in one process.
//!
//! They never name each other: plans go down through a closure, reports come up through a channel. The control plane
//! can be stopped and begun again under a proxy that serves: that is how a hand-over to another process can fail
//! without harm.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serin_config::{
    Config,
    limits::{TAKEOVER_STORE_WAIT, WINDOWS_QUEUED_MAX},
    wire::Report,
};
use serin_control::{ControlPlane, Handle, OpenError, ServeError, store};
use serin_proxy::{Ending, Inherited, PlanCell, Proxy, Setup, StartError};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

/// How often a store is tried that another process is about to let go of.
const STORE_POLL: Duration = Duration::from_millis(20);

/// Why nothing can be served: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServingError {
    #[error("the control plane can't start: {0}")]
    Open(#[from] OpenError),
    #[error("the control plane can't start: {0}")]
    Api(#[from] ServeError),
    #[error(transparent)]
    Proxy(#[from] StartError),
}

/// Everything that runs.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) proxy: Proxy,
    control: Option<Handle>,
    plans: Arc<PlanCell>,
    /// Who takes the reports now.
    judge: watch::Sender<Judge>,
}

type Judge = Option<mpsc::Sender<Report>>;

impl Serving {
    /// Starts everything; when it returns, requests are served. If another process is letting go of the store,
    /// `store_wait` says how long to wait for that.
    pub(super) async fn start(
        config: &Config,
        inherited: Inherited,
        store_wait: Duration,
    ) -> Result<Self, ServingError> {
        serin_proxy::install_metrics_recorder();
        let control = open(config, store_wait).await?;
        let plans = PlanCell::new(control.plan());
        let epoch = control.next_life(&config.telemetry.instance, unix_ms());
        let control = control.serve(push_to(&plans)).await?;
        let (judge, judges) = watch::channel(Some(control.reports()));
        let version = env!("CARGO_PKG_VERSION");
        let (plans_of_proxy, reports) = (Arc::clone(&plans), relay(judges));
        let setup = Setup { config, plans: plans_of_proxy, reports, epoch, version, inherited };
        match Proxy::start(setup) {
            Ok(proxy) => Ok(Self { proxy, control: Some(control), plans, judge }),
            Err(error) => {
                control.shutdown().await;
                Err(error.into())
            }
        }
    }

    /// The control plane, while there is one.
    pub(super) fn control(&self) -> Option<&Handle> {
        self.control.as_ref()
    }

    /// Ends when a fault has ended the control plane.
    pub(super) async fn broke(&self) {
        match &self.control {
            Some(control) => control.broke().await,
            None => std::future::pending().await,
        }
    }

    /// Stops the control plane and closes its store. The proxy serves on with the last plan.
    pub(super) async fn stop_deciding(&mut self) {
        self.judge.send_replace(None);
        if let Some(control) = self.control.take() {
            control.shutdown().await;
        }
    }

    /// Begins to decide again, if that was stopped. After an error the proxy serves on with the last plan.
    pub(super) async fn decide_again(&mut self, config: &Config) -> Result<(), ServingError> {
        if self.control.is_some() {
            return Ok(());
        }
        let control = open(config, TAKEOVER_STORE_WAIT).await?;
        // If it is no newer, it is the one in force.
        let _ = self.plans.offer(control.plan());
        let control = control.serve(push_to(&self.plans)).await?;
        self.judge.send_replace(Some(control.reports()));
        self.control = Some(control);
        Ok(())
    }

    /// Lets requests in flight end, then stops everything. Returns how many connections were cut.
    pub(super) async fn stop(self, ending: Ending) -> usize {
        let cut = self.proxy.drain(ending).await;
        if let Some(control) = self.control {
            control.shutdown().await;
        }
        cut
    }
}

/// Opens the control plane; a store that another process holds is tried again for this long.
async fn open(config: &Config, store_wait: Duration) -> Result<ControlPlane, OpenError> {
    let deadline = Instant::now() + store_wait;
    loop {
        match ControlPlane::open(config, unix_ms()) {
            Err(OpenError::Store(store::OpenError::Locked(_))) if Instant::now() < deadline => {
                sleep(STORE_POLL).await;
            }
            opened => return opened,
        }
    }
}

fn push_to(plans: &Arc<PlanCell>) -> serin_control::Push {
    let plans = Arc::clone(plans);
    Box::new(move |plan| {
        if let Err(refused) = plans.offer(plan) {
            tracing::error!(%refused, "a plan was not taken");
        }
    })
}

/// Where the proxy's reports go in; they come out at whoever judges at the time. While nobody does, nobody misses
/// them.
fn relay(judges: watch::Receiver<Judge>) -> mpsc::Sender<Report> {
    let (up, mut reports) = mpsc::channel(WINDOWS_QUEUED_MAX);
    tokio::spawn(async move {
        while let Some(report) = reports.recv().await {
            let judge = judges.borrow().clone();
            if let Some(judge) = judge {
                // An error is the end of that judge.
                let _ = judge.send(report).await;
            }
        }
    });
    up
}

/// Milliseconds since 1970.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds fit for half a billion years")]
pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
