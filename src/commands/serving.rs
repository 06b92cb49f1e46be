//! Control plane and data plane, put together in one process.
//!
//! They never name each other: plans go down through a closure, windows come up through a channel.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serin_config::Config;
use serin_control::{ControlPlane, Handle, OpenError, ServeError};
use serin_proxy::{PlanCell, Proxy, Setup, StartError};

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
    pub(super) control: Handle,
    pub(super) proxy: Proxy,
}

impl Serving {
    /// Starts everything; when it returns, requests are served.
    pub(super) async fn start(config: &Config) -> Result<Self, ServingError> {
        serin_proxy::install_metrics_recorder();
        let control = ControlPlane::open(config, unix_ms())?;
        let plans = PlanCell::new(control.plan());
        let in_force = Arc::clone(&plans);
        let push = move |plan| {
            if let Err(refused) = in_force.offer(plan) {
                tracing::error!(%refused, "a plan was not taken");
            }
        };
        let control = control.serve(Box::new(push)).await?;
        let setup = Setup { config, plans, windows: control.windows(), version: env!("CARGO_PKG_VERSION") };
        match Proxy::start(setup) {
            Ok(proxy) => Ok(Self { control, proxy }),
            Err(error) => {
                control.shutdown().await;
                Err(error.into())
            }
        }
    }

    /// Lets requests in flight end, then stops everything. Returns how many connections were cut.
    pub(super) async fn stop(self) -> usize {
        let cut = self.proxy.drain().await;
        self.control.shutdown().await;
        cut
    }
}

/// Milliseconds since 1970.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds fit for half a billion years")]
pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
