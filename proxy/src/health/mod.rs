//! Whether endpoints are well: each is asked regularly, apart from the traffic.
//!
//! Every check opens a connection of its own, as HAProxy's do: one that was kept would say that an endpoint is
//! well which accepts nobody new. Checks of all versions share a bounded number of places and are spread in time,
//! so that a thousand endpoints are not asked in the same instant. What a check finds goes to the standings, and
//! from there to the workers; no request waits for one.

mod grpc;
mod http;
mod probe;

use std::{collections::HashMap, sync::Arc};

use rand::Rng;
use serin_config::{Address, HealthCheck};
use tokio::{sync::Semaphore, task::AbortHandle, time::Instant};

pub(crate) use self::probe::Prober;
use crate::{clock, endpoints::keeper::Named, observe::metrics::EndpointCounters, shared::VersionShared};

/// The checks of one version.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) check: HealthCheck,
    pub(crate) prober: Prober,
    /// Shared by all versions.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) version: Arc<VersionShared>,
    pub(crate) named: Named,
    pub(crate) counters: EndpointCounters,
}

/// A task that ends with whoever holds this.
#[derive(Debug)]
struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Checks {
    /// Runs until it is dropped: one task for each endpoint that the version has at the moment.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut addresses = self.version.endpoints.addresses();
        let mut running: HashMap<Address, Running> = HashMap::new();
        loop {
            let now = addresses.borrow_and_update().clone();
            running.retain(|address, _| now.contains(address));
            for address in now.iter() {
                running.entry(address.clone()).or_insert_with(|| {
                    let task = tokio::spawn(self.clone().check_again_and_again(address.clone()));
                    Running(task.abort_handle())
                });
            }
            if addresses.changed().await.is_err() {
                return;
            }
        }
    }

    async fn check_again_and_again(self: Arc<Self>, address: Address) {
        let mut random = clock::entropy();
        loop {
            let began = Instant::now();
            let Ok(place) = self.places.acquire().await else { return };
            let asked = tokio::time::timeout(self.check.timeout, self.prober.ask(&address)).await;
            drop(place);
            self.note(&address, asked.unwrap_or_else(|_| Err("no answer in time".into())));
            let distance = self.check.interval.mul_f64(random.random_range(0.9..1.1));
            tokio::time::sleep_until(began + distance).await;
        }
    }

    fn note(&self, address: &Address, result: Result<(), String>) {
        let counter = if result.is_ok() { &self.counters.passed } else { &self.counters.failed };
        counter.increment(1);
        let (service, version, endpoint) = (&self.named.service, &self.named.version, address);
        let why = result.as_ref().err().cloned();
        if self.version.endpoints.checked(address, result, clock::now()) {
            match why {
                None => tracing::info!(%service, %version, %endpoint, "an endpoint passes its checks"),
                Some(why) => {
                    tracing::warn!(%service, %version, %endpoint, %why, "an endpoint fails its checks");
                }
            }
        }
    }
}
