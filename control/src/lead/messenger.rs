//! Telling the one who leads what was refused here: it alone writes the audit log.
//!
//! Nobody who asks waits for this: what is refused is queued, and told by a task of its own. While nobody leads, or the one
//! who does is not reached, it is kept ([`super::outbox`]) and told as soon as somebody is; when that is this control plane
//! itself, its own keeper gets it.

use std::{future::pending, path::Path, pin::Pin, sync::Arc};

use http::{Method, Request, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serin_config::limits::{AUDIT_QUEUE_MAX, AUDIT_TELL_WAIT, STORE_RETRY};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{info, warn};

use super::{
    LeaderAddress, Leadership,
    dial::Place,
    forward::FORWARDED,
    outbox::{Batch, Outbox},
    pass::{About, Claim, digest_of},
};
use crate::{audit::Refused, clock::Clock, metrics};

/// Where whoever leads is told of refusals. No part of what the API promises: only control planes ask here.
pub(crate) const PATH: &str = "/peers/refusals";

/// One who tells.
pub(super) struct Messenger {
    /// The name of this control plane.
    pub(super) own: String,
    pub(super) leadership: watch::Receiver<Leadership>,
    /// The way to this control plane's own keeper, while it leads.
    pub(super) keeper: mpsc::Sender<Refused>,
    pub(super) ca: Option<Arc<Path>>,
    pub(super) clock: Clock,
}

type Told = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl Messenger {
    /// Starts to tell what comes in here, until the other end is dropped.
    pub(super) fn start(self, on: &Handle) -> (mpsc::Sender<Refused>, JoinHandle<()>) {
        let (tell, inlet) = mpsc::channel(AUDIT_QUEUE_MAX);
        (tell, on.spawn(self.run(inlet)))
    }

    async fn run(mut self, mut inlet: mpsc::Receiver<Refused>) {
        let mut outbox = Outbox::new(self.clock.now_ms());
        let mut telling: Told = Box::pin(pending());
        let (mut tells, mut failing) = (false, false);
        let mut beat = interval(STORE_RETRY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let may = tokio::select! {
                refused = inlet.recv() => match refused {
                    Some(refused) => {
                        lost(outbox.take(refused, self.clock.now_ms()));
                        !failing
                    }
                    None => return self.tell_the_rest(outbox).await,
                },
                _ = beat.tick() => {
                    lost(outbox.tick(self.clock.now_ms(), false));
                    true
                }
                Ok(()) = self.leadership.changed() => true,
                told = telling.as_mut(), if tells => {
                    tells = false;
                    telling = Box::pin(pending());
                    match told {
                        Ok(()) => {
                            outbox.arrived();
                            if std::mem::take(&mut failing) {
                                info!("the one who leads is told again what is refused here");
                            }
                        }
                        Err(why) => {
                            if !std::mem::replace(&mut failing, true) {
                                warn!("the one who leads can't be told what is refused here, which is kept: {why}");
                            }
                        }
                    }
                    !failing
                }
            };
            if may
                && !tells
                && let Some(batch) = outbox.batch()
            {
                if self.leadership.borrow_and_update().leads() {
                    if give(&self.keeper, batch) {
                        outbox.arrived();
                    }
                } else if let Some(leader) = self.leader() {
                    (telling, tells) = (self.tell(leader, &batch), true);
                }
            }
        }
    }

    /// Tells what is left, since this process ends.
    async fn tell_the_rest(self, mut outbox: Outbox) {
        lost(outbox.tick(self.clock.now_ms(), true));
        while let Some(batch) = outbox.batch() {
            let told = match self.leader() {
                Some(leader) => self.tell(leader, &batch).await,
                None => Err("nobody leads".into()),
            };
            if let Err(why) = told {
                return warn!(
                    refused = outbox.times(),
                    "this process ends, and the audit log does not have what it has refused: {why}"
                );
            }
            outbox.arrived();
        }
    }

    fn leader(&self) -> Option<LeaderAddress> {
        match &*self.leadership.borrow() {
            Leadership::Follower { leader } => leader.clone(),
            Leadership::Leader => None,
        }
    }

    /// Tells the one who leads, within a bound.
    fn tell(&self, leader: LeaderAddress, batch: &Batch) -> Told {
        let (by, ca, body) = (self.own.clone(), self.ca.clone(), serde_json::to_vec(batch));
        Box::pin(async move {
            let body = body.map_err(|error| error.to_string())?;
            let told = timeout(AUDIT_TELL_WAIT, post(by, &leader, ca.as_deref(), body)).await;
            told.unwrap_or_else(|_| Err(format!("{} did not answer", leader.name)))
        })
    }
}

/// Gives all of it to the keeper of this process, or nothing.
fn give(keeper: &mpsc::Sender<Refused>, batch: Batch) -> bool {
    match keeper.try_reserve_many(batch.refusals.len()) {
        Ok(places) => {
            places.zip(batch.refusals).for_each(|(place, refused)| place.send(refused));
            true
        }
        Err(_) => false,
    }
}

async fn post(by: String, leader: &LeaderAddress, ca: Option<&Path>, body: Vec<u8>) -> Result<(), String> {
    let LeaderAddress { name, api, pass, .. } = leader;
    let api = api.as_deref().ok_or_else(|| format!("{name} listens on a Unix socket"))?;
    let place = Place::of(api).ok_or_else(|| format!("{api} is no place to connect to"))?;
    let pass = pass.as_ref().ok_or_else(|| format!("{name} is of a release that can't be told"))?;
    let claim = Claim { from: by.clone(), by, body: Some(digest_of(&body)) };
    let about = About { method: &Method::POST, path: PATH, authorization: None };
    let claim = pass.sign(&claim, about).ok_or("its own name can't be said in a header")?;
    let request = Request::post(PATH)
        .header(header::HOST, place.authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(FORWARDED, claim)
        .body(Full::new(axum::body::Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let stream = place.dial(ca).await.map_err(|why| format!("{name} is not reached: {why}"))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let answered = {
        let asked = sender.send_request(request);
        tokio::pin!(connection, asked);
        tokio::select! {
            answered = &mut asked => answered,
            // With it ends what was asked, one way or the other.
            _ = &mut connection => asked.await,
        }
    };
    let status = answered.map_err(|error| error.to_string())?.status();
    if status.is_success() { Ok(()) } else { Err(format!("{name} answered {status}")) }
}

fn lost(times: u64) {
    if times > 0 {
        metrics::audit_lost(times);
    }
}
