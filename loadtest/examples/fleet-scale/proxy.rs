//! One simulated proxy: its stream, from hello to leaving.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::uri::PathAndQuery;
use prost::{Message, bytes::Bytes};
use rand::{SeedableRng, rngs::SmallRng};
use serin_config::{
    Generation,
    fleet::{
        CONNECT_PATH,
        message::{Beat, Down, Downward, Hello, Leaving, PlanAnswer, Upward},
        window,
    },
    limits::{BEAT_PERIOD, FLEET_MESSAGE_BYTES_MAX},
    wire::WindowReport,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming, client::Grpc};

use crate::{
    traffic::{Stack, Traffic, empty},
    wire::{Messages, Requests, connect, encoded, encoded_parts},
};

/// Messages on their way up, as at a proxy.
const UP_QUEUED: usize = 8;
/// How long the end waits until all windows are kept: several checkpoints.
const KEPT_WAIT: Duration = Duration::from_secs(30);
/// Windows while a fleet connects, whose lag says nothing.
const SETTLES: u64 = 5;
/// The fields of `Up`.
const WINDOW: u8 = 2;
const BEAT: u8 = 3;

/// What all proxies have in common.
pub(crate) struct Fleet {
    pub(crate) address: SocketAddr,
    pub(crate) traffic: Traffic,
    pub(crate) beats: bool,
    /// Whether its proxies do not know that beats can be of no use.
    pub(crate) older: bool,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What one proxy told, and how it went.
#[derive(Default)]
pub(crate) struct Told {
    /// Windows.
    pub(crate) windows: u64,
    /// Beats that there was room for.
    pub(crate) beats: u64,
    /// Requests by service and version.
    pub(crate) requests: Vec<u64>,
    /// By how much a window was told too late, at worst: then this machine has too little time for the simulation.
    pub(crate) lag: Duration,
    /// The windows up to this one were kept at the end.
    pub(crate) kept: u64,
    /// Plans that were acknowledged.
    pub(crate) plans: u64,
    /// Why the stream ended before it should have.
    pub(crate) broke: Option<String>,
}

pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap()
}

struct Stream {
    up: mpsc::Sender<Bytes>,
    down: Streaming<Down>,
    _connection: Grpc<Requests>,
}

/// Lives until it is told to stop. `number` names it, and `phase` is where in a second its windows end.
pub(crate) async fn live(fleet: Arc<Fleet>, number: usize, phase: Duration) -> Told {
    let epoch = unix_ms();
    let mut told = Told { requests: vec![0; fleet.traffic.keys().count()], ..Told::default() };
    match join(&fleet, number, epoch).await {
        Ok(stream) => {
            let random = SmallRng::seed_from_u64(number as u64);
            let life = Life { fleet, epoch, random, stream, plan: None, began_under: 0, wanted: true };
            if let Err(why) = life.run(phase, &mut told).await {
                told.broke = Some(why);
            }
        }
        Err(why) => told.broke = Some(why),
    }
    told
}

async fn join(fleet: &Fleet, number: usize, epoch: u64) -> Result<Stream, String> {
    let (requests, origin) = connect(fleet.address).await.map_err(|error| error.to_string())?;
    let (up, queue) = mpsc::channel(UP_QUEUED);
    let hello = Hello {
        proxy: format!("proxy-{number:04}"),
        epoch,
        version: "simulated".into(),
        generation: 0,
        digest: String::new(),
        now_ms: epoch,
        identity: String::new(),
    };
    up.send(encoded(Upward::Hello(hello))).await.map_err(|error| error.to_string())?;
    let mut grpc = Grpc::with_origin(requests, origin).max_decoding_message_size(FLEET_MESSAGE_BYTES_MAX);
    grpc.ready().await.map_err(|error| error.to_string())?;
    let request = Request::new(ReceiverStream::new(queue));
    let down = grpc.streaming(request, PathAndQuery::from_static(CONNECT_PATH), Messages).await;
    let down = down.map_err(|status| status.to_string())?.into_inner();
    Ok(Stream { up, down, _connection: grpc })
}

struct Life {
    fleet: Arc<Fleet>,
    epoch: u64,
    random: SmallRng,
    stream: Stream,
    plan: Option<(u64, Arc<Stack>)>,
    began_under: u64,
    /// Whether the control plane wants beats.
    wanted: bool,
}

impl Life {
    async fn run(mut self, phase: Duration, told: &mut Told) -> Result<(), String> {
        let (mut windows, mut beats) = (ticks(phase, Duration::from_secs(1)), ticks(phase, BEAT_PERIOD));
        let mut stop = self.fleet.stop.clone();
        loop {
            tokio::select! {
                biased;
                said = self.stream.down.message() => self.hear(said, told).await?,
                due = windows.tick() => self.window(due, told).await?,
                _ = beats.tick(), if self.fleet.beats && self.wanted => self.beat(told),
                () = told_to_stop(&mut stop) => break,
            }
        }
        let kept = async {
            while told.kept < told.windows {
                let said = self.stream.down.message().await;
                self.hear(said, told).await?;
            }
            Ok::<(), String>(())
        };
        timeout(KEPT_WAIT, kept).await.map_err(|_| "its last windows were not kept".to_owned())??;
        let _ = self.stream.up.send(encoded(Upward::Leaving(Leaving {}))).await;
        while let Ok(Some(_)) = self.stream.down.message().await {}
        Ok(())
    }

    async fn hear(
        &mut self,
        said: Result<Option<Down>, tonic::Status>,
        told: &mut Told,
    ) -> Result<(), String> {
        match said.map_err(|status| status.to_string())?.ok_or("the stream was ended")?.said {
            Some(Downward::Plan(plan)) => {
                if self.plan.is_none() {
                    self.began_under = plan.generation;
                }
                self.plan = Some((plan.generation, self.fleet.traffic.under(&plan)));
                told.plans += 1;
                let (generation, identity) = (plan.generation, plan.identity);
                let answer = PlanAnswer { generation, identity, problems: vec![] };
                self.send(encoded(Upward::PlanAnswer(answer))).await?;
            }
            Some(Downward::Kept(kept)) => told.kept = kept.sequence,
            Some(Downward::Wish(wish)) => self.wanted = !wish.no_beats || self.fleet.older,
            Some(Downward::Welcome(_)) | None => {}
        }
        Ok(())
    }

    async fn window(&mut self, due: Instant, told: &mut Told) -> Result<(), String> {
        let Some((generation, stack)) = self.plan.clone() else { return Ok(()) };
        told.windows += 1;
        if told.windows > SETTLES {
            told.lag = told.lag.max(due.elapsed());
        }
        let second = stack.second(&mut self.random);
        let header = WindowReport {
            epoch: self.epoch,
            sequence: told.windows,
            ended_ms: unix_ms(),
            generation: Generation(generation),
            began_under: Generation(self.began_under),
            ..empty()
        };
        self.began_under = generation;
        let header = window::to_message(&header, 0).encode_to_vec();
        told.requests.iter_mut().zip(&second.requests).for_each(|(sum, n)| *sum += n);
        self.send(encoded_parts(WINDOW, [&header, &second.cells])).await
    }

    fn beat(&mut self, told: &mut Told) {
        let Some((generation, stack)) = &self.plan else { return };
        let Some(counts) = stack.beat(&mut self.random) else { return };
        let header = Beat { ended_ms: unix_ms(), generation: *generation, counts: vec![] }.encode_to_vec();
        // One that is lost is no matter.
        told.beats += u64::from(self.stream.up.try_send(encoded_parts(BEAT, [&header, &counts])).is_ok());
    }

    async fn send(&self, message: Bytes) -> Result<(), String> {
        self.stream.up.send(message).await.map_err(|_| "the connection is gone".to_owned())
    }
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Ticks at that phase of every second by the wall clock, so often.
fn ticks(phase: Duration, period: Duration) -> tokio::time::Interval {
    let into_second = Duration::from_millis(unix_ms() % 1_000);
    let until = (Duration::from_secs(1) + phase).saturating_sub(into_second);
    let mut ticks = interval_at(Instant::now() + until, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
