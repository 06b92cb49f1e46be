//! One proxy's stream: plans and marks down, windows up.
//!
//! Both directions run side by side, since a window may have to wait until decisions have caught up, and a plan that
//! takes a canary out must not wait with it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use prost::{Message, bytes::Bytes};
use serin_config::{
    Generation, Identity, ServiceName,
    fleet::{
        LEADER_METADATA, Malformed, Reader,
        message::{Beat, Downward, Hello, Kept, PlanAnswer, Upward, Welcome, Wish},
        window,
    },
    limits::{
        FLEET_DOWN_QUEUED_MAX, FLEET_HELLO_WAIT, FLEET_SEND_WAIT, FLEET_SILENCE_MAX, FLEET_WORD_BYTES_MAX,
    },
    wire::Report,
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response, Status, Streaming, metadata::MetadataMap};
use tracing::{info, warn};

use super::{
    codec::{Said, encoded},
    registry::{Arrival, PlanName, Refused, Stream},
    seat::{Gate, Published, Seat},
    serve::{Peer, Terms, told_to_stop},
};
use crate::{clock::Clock, metrics};

/// What goes down, encoded.
type Outgoing = Result<Bytes, Status>;

/// Hears who connects, and begins its stream or refuses it. The place is held as long as the stream lasts.
pub(super) async fn begin(
    mut up: Streaming<Said>,
    peer: Peer,
    mut terms: Terms,
    place: Option<OwnedSemaphorePermit>,
) -> Result<Response<ReceiverStream<Outgoing>>, Status> {
    let mut hello = hello(&mut up).await?;
    may_be_called(&hello.proxy, &peer)?;
    let peer = peer.address;
    // What changes after this ends the stream again.
    let gate = tokio::select! {
        gate = Gate::known(&mut terms.gate) => gate,
        () = told_to_stop(&mut terms.stop) => Gate::Elsewhere(None),
    };
    let seat = match gate {
        Gate::Open(seat) => seat,
        Gate::Elsewhere(leader) => return Err(elsewhere(leader.as_deref())),
    };
    let arrival = Arrival {
        proxy: hello.proxy.clone(),
        epoch: hello.epoch,
        stored: seat.marks().borrow().get(&hello.proxy).map_or(0, |(epoch, _)| *epoch),
        version: hello.version.clone(),
        address: peer.clone(),
        plan: PlanName { generation: Generation(hello.generation), identity: Identity::new(&hello.identity) },
    };
    let (arrived, life) = {
        let mut registry = seat.registry();
        let arrived = registry.arrive(arrival, terms.clock.now_ms());
        (arrived, registry.life(&hello.proxy))
    };
    let stream = arrived.map_err(|refused| {
        warn!(proxy = %hello.proxy, %peer, "a proxy was refused: {refused}");
        match refused {
            Refused::NameTaken(_) => Status::already_exists(refused.to_string()),
            Refused::Full => Status::resource_exhausted(refused.to_string()),
        }
    })?;
    if let Some(life) = life.filter(|life| *life != hello.epoch) {
        info!(proxy = %hello.proxy, "its clock is behind the one by which it began before: this is a later life all the same");
        hello.epoch = life;
    }
    info!(proxy = %hello.proxy, %peer, version = %hello.version, generation = hello.generation, "a proxy is connected");
    let (down, outgoing) = mpsc::channel(FLEET_DOWN_QUEUED_MAX);
    let (acknowledged, clock) = (AtomicU64::new(hello.generation), terms.clock);
    let session = Session { seat, stream, acknowledged, hello, down, clock };
    tokio::spawn(async move {
        session.run(up, terms).await;
        drop(place);
    });
    Ok(Response::new(ReceiverStream::new(outgoing)))
}

async fn hello(up: &mut Streaming<Said>) -> Result<Hello, Status> {
    let first = match timeout(FLEET_HELLO_WAIT, up.message()).await {
        Ok(first) => first?,
        Err(_) => return Err(Status::deadline_exceeded("no hello came")),
    };
    let Some(Said::Else(Some(Upward::Hello(hello)))) = first else {
        return Err(Status::invalid_argument("a stream begins with a hello"));
    };
    // It is a metric label and a key in the store, so the rules for names hold for it.
    if let Err(error) = ServiceName::try_new(&hello.proxy) {
        return Err(Status::invalid_argument(format!("telemetry.instance: {error}")));
    }
    // They are kept for as long as the proxy is known.
    for (what, word) in
        [("version", &hello.version), ("digest", &hello.digest), ("identity", &hello.identity)]
    {
        if word.len() > FLEET_WORD_BYTES_MAX {
            return Err(Status::invalid_argument(format!(
                "the {what} in the hello has {} bytes, and {FLEET_WORD_BYTES_MAX} are the most",
                word.len()
            )));
        }
    }
    // Numbers go on beyond those that proxies have.
    let most = Generation(Generation::MAX.0 / 2);
    if hello.generation > most.0 {
        let generation = hello.generation;
        return Err(Status::invalid_argument(format!(
            "plan {generation} is in force there, and no plan has a number above {most}: remove the file of control.connect.cache, and start again"
        )));
    }
    Ok(hello)
}

/// Refuses a name that another's certificate is for: with a name come the windows that are counted under it, and the stream
/// of whoever had it before.
fn may_be_called(name: &str, peer: &Peer) -> Result<(), Status> {
    let Some(holder) = peer.holder.as_ref().filter(|holder| !holder.is_proxy(name)) else { return Ok(()) };
    let whose: Vec<&str> = holder.common.iter().chain(&holder.dns).map(String::as_str).collect();
    let whose = if whose.is_empty() { "no name".to_owned() } else { whose.join(", ") };
    warn!(proxy = name, peer = peer.address, "a proxy was turned away: its certificate is for {whose}");
    Err(Status::permission_denied(format!(
        "the certificate is for {whose}, and not for a proxy called \"{name}\": give the proxy a name of its certificate \
         (telemetry.instance), or a certificate for its name; control.fleet.names: any allows every name"
    )))
}

/// Another one leads.
fn elsewhere(leader: Option<&str>) -> Status {
    let mut metadata = MetadataMap::new();
    if let Some(address) = leader.and_then(|leader| leader.parse().ok()) {
        metadata.insert(LEADER_METADATA, address);
    }
    Status::with_metadata(Code::FailedPrecondition, "this control plane does not lead", metadata)
}

struct Session {
    seat: Seat,
    stream: Stream,
    hello: Hello,
    /// The newest plan that the proxy has said to have.
    acknowledged: AtomicU64,
    down: mpsc::Sender<Outgoing>,
    clock: Clock,
}

/// Why a stream is over.
enum Ended {
    /// The proxy ends.
    Left,
    /// The connection broke, or the proxy went away without a word.
    Broke(String),
    /// The control plane ends it, for this reason.
    Closed(Status),
}

impl Session {
    async fn run(self, up: Streaming<Said>, mut terms: Terms) {
        let mut stop = terms.stop.clone();
        let ended = tokio::select! {
            ended = self.hear(up) => ended,
            ended = self.tell(terms.version) => ended,
            // Whoever led and does no more must not steer anybody.
            _ = terms.gate.changed() => Ended::Closed(match &*terms.gate.borrow() {
                Gate::Elsewhere(leader) => elsewhere(leader.as_deref()),
                Gate::Open(_) => Status::unavailable("the control plane begins anew"),
            }),
            () = told_to_stop(&mut stop) => Ended::Closed(Status::unavailable("the control plane ends")),
        };
        let proxy = &self.hello.proxy;
        let leaves = matches!(ended, Ended::Left);
        self.seat.registry().left(proxy, self.stream, leaves, terms.clock.now_ms());
        match ended {
            Ended::Left => info!(%proxy, "a proxy has ended"),
            Ended::Broke(why) => {
                warn!(%proxy, %why, "the stream of a proxy broke off: it goes on with the plan that it has");
            }
            Ended::Closed(status) => {
                info!(%proxy, why = status.message(), "the stream of a proxy was closed");
                let _ = timeout(FLEET_SEND_WAIT, self.down.send(Err(status))).await;
            }
        }
    }

    /// Takes what the proxy says.
    async fn hear(&self, mut up: Streaming<Said>) -> Ended {
        let mut reader = Reader::default();
        loop {
            let said = match timeout(FLEET_SILENCE_MAX, up.message()).await {
                Ok(Ok(Some(said))) => said,
                Ok(Ok(None)) => return Ended::Broke("it closed its side".into()),
                Ok(Err(status)) => return Ended::Broke(status.message().into()),
                Err(_) => {
                    return Ended::Broke(format!("it said nothing for {} s", FLEET_SILENCE_MAX.as_secs()));
                }
            };
            if !self.seat.registry().is_current(&self.hello.proxy, self.stream) {
                return Ended::Closed(Status::aborted("the proxy has begun another stream"));
            }
            match said {
                Said::Window(told) => {
                    if let Err(ended) = self.window(&mut reader, &told).await {
                        return ended;
                    }
                }
                Said::Beat(told) => self.beat(&told),
                Said::Else(Some(Upward::PlanAnswer(PlanAnswer { generation, problems, identity }))) => {
                    let (generation, identity) = (Generation(generation), Identity::new(&identity));
                    self.answered(PlanName { generation, identity }, problems);
                }
                Said::Else(Some(Upward::Leaving(_))) => return Ended::Left,
                Said::Else(Some(Upward::Hello(_))) => {
                    return Ended::Closed(Status::invalid_argument("a stream has one hello"));
                }
                // Windows and beats are told apart before. And a newer release may have more to say.
                Said::Else(Some(Upward::Window(_) | Upward::Beat(_)) | None) => {}
            }
        }
    }

    async fn window(&self, reader: &mut Reader, told: &[u8]) -> Result<(), Ended> {
        let proxy = &self.hello.proxy;
        // A window is many times as large when it is read; so it waits for its turn as it came.
        let place = self.seat.reports().reserve().await;
        let place = place
            .map_err(|_| Ended::Closed(Status::unavailable("the control plane has stopped to decide")))?;
        reader.reuse(self.seat.spares().take());
        let report = match reader.window(proxy, told) {
            Ok(report) if report.epoch == self.hello.epoch => report,
            // To end the stream would be to hear the same again. What is missing is counted as lost.
            Ok(report) => {
                warn!(%proxy, epoch = report.epoch, "a window of another life than the hello's is left out");
                metrics::malformed();
                return Ok(());
            }
            Err(malformed) => {
                warn!(%proxy, %malformed, "a window that can't be is left out");
                metrics::malformed();
                return Ok(());
            }
        };
        place.send(Report::Window(report));
        Ok(())
    }

    fn beat(&self, told: &[u8]) {
        metrics::beat();
        // One that is lost is no matter.
        if !self.seat.takes_beat(self.clock.now_ms()) {
            return;
        }
        let beat = Beat::decode(told).map_err(|error| Malformed::new(format!("it is no beat: {error}")));
        match beat.and_then(|beat| window::beat_from_message(&self.hello.proxy, &beat)) {
            Ok(beat) => drop(self.seat.reports().try_send(Report::Beat(beat))),
            Err(malformed) => {
                warn!(proxy = %self.hello.proxy, %malformed, "a beat that can't be is left out");
                metrics::malformed();
            }
        }
    }

    fn answered(&self, plan: PlanName, problems: Vec<String>) {
        if problems.is_empty() {
            self.acknowledged.fetch_max(plan.generation.0, Ordering::Relaxed);
        } else {
            warn!(
                proxy = %self.hello.proxy,
                generation = %plan.generation,
                "a proxy has not taken a plan, and goes on with the one that it has: {}",
                problems.join("; ")
            );
        }
        self.seat.registry().answered(&self.hello.proxy, self.stream, plan, problems);
    }

    /// Tells the proxy what it must know: always the newest, never what is past.
    async fn tell(&self, version: &str) -> Ended {
        let (mut plans, mut marks, mut wishes) = (self.seat.plans(), self.seat.marks(), self.seat.wishes());
        let (mut told, mut kept) = (Generation(self.hello.generation), 0);
        // The text of routes and services that the proxy has, and the plan that told it.
        let mut held = (self.hello.digest.clone(), told);
        let mut welcomed = false;
        // Who was told nothing sends beats.
        let mut sends_beats = true;
        loop {
            let mark = marks.borrow_and_update().get(&self.hello.proxy).copied();
            let mark =
                mark.filter(|(epoch, _)| *epoch == self.hello.epoch).map_or(0, |(_, sequence)| sequence);
            let plan = plans.borrow_and_update().clone();
            // Looked at after the plan, and told before it: a rollout that the plan begins is watched from its first request.
            let wants_beats = wishes.borrow_and_update().wants(&self.hello.proxy);
            if !welcomed {
                let (generation, version) = (plan.generation().0, version.to_owned());
                if let Err(ended) = self
                    .send(encoded(Downward::Welcome(Welcome {
                        version,
                        generation,
                        kept: mark,
                        epoch: self.hello.epoch,
                    })))
                    .await
                {
                    return ended;
                }
                if let Some(why) = self.of_another_history(&plan) {
                    self.answered(plan.name(), vec![why]);
                }
                (welcomed, kept) = (true, mark);
            }
            if wants_beats != sends_beats {
                let wish = Wish { no_beats: !wants_beats };
                if let Err(ended) = self.send(encoded(Downward::Wish(wish))).await {
                    return ended;
                }
                sends_beats = wants_beats;
            }
            if plan.generation() > told {
                let known = plan.digest() == Some(held.0.as_str())
                    && self.acknowledged.load(Ordering::Relaxed) >= held.1.0;
                if let Some(message) = plan.message(!known) {
                    if let Err(ended) = self.send(message).await {
                        return ended;
                    }
                    if !known {
                        held = (plan.digest().unwrap_or_default().to_owned(), plan.generation());
                    }
                }
                told = plan.generation();
            }
            if mark > kept {
                let message = encoded(Downward::Kept(Kept { epoch: self.hello.epoch, sequence: mark }));
                if let Err(ended) = self.send(message).await {
                    return ended;
                }
                kept = mark;
            }
            let changed = tokio::select! {
                changed = plans.changed() => changed,
                changed = marks.changed() => changed,
                changed = wishes.changed() => changed,
            };
            if changed.is_err() {
                return Ended::Closed(Status::unavailable("the control plane has stopped to decide"));
            }
        }
    }

    /// Why the proxy takes no plan of this number, where that is so; the one who decides goes on beyond its number.
    fn of_another_history(&self, plan: &Published) -> Option<String> {
        let (theirs, ours) = (Generation(self.hello.generation), plan.generation());
        let why = if theirs > ours {
            "which is newer than"
        } else if theirs == ours && Identity::new(&self.hello.identity).contradicts(&plan.name().identity) {
            "which is another than"
        } else {
            return None;
        };
        Some(format!(
            "plan {theirs} is in force there, {why} plan {ours} here: plans go on from a number beyond it"
        ))
    }

    async fn send(&self, message: Bytes) -> Result<(), Ended> {
        let seconds = Duration::as_secs(&FLEET_SEND_WAIT);
        match timeout(FLEET_SEND_WAIT, self.down.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::Broke("the connection is gone".into())),
            Err(_) => Err(Ended::Broke(format!("it did not take a message for {seconds} s"))),
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
