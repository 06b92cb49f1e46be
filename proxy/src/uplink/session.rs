//! One stream to a control plane: a hello, then windows up and plans down until it breaks off.

use std::{error::Error, time::Duration};

use serin_config::{
    fleet::{
        CONNECT_PATH, LEADER_METADATA,
        message::{Down, Downward, Hello, Leaving, PlanAnswer, Up, Upward, Welcome},
        window,
    },
    limits::FLEET_MESSAGE_BYTES_MAX,
    wire::Report,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::{Ascii, MetadataValue},
};
use tonic_prost::ProstCodec;

use super::{
    Has, LEAVE_WAIT, Link, Stance,
    dial::{Failure, Open, Requests},
    interrupted, metrics, trouble,
    unkept::in_ms,
};
use crate::clock;

/// Messages on their way up; what is beyond waits where it can be told again.
const UP_QUEUED: usize = 8;

/// How a stream is over.
pub(super) enum Over {
    /// This proxy ends.
    Left,
    /// It broke off, or never came to be.
    Broke {
        failure: Failure,
        /// Whether there was one.
        lasted: bool,
    },
}

impl Over {
    /// There was none.
    pub(super) fn refused(failure: Failure) -> Self {
        Self::Broke { failure, lasted: false }
    }
}

/// A stream that was welcomed.
struct Stream {
    up: mpsc::Sender<Up>,
    down: Streaming<Down>,
    /// Holds the connection.
    _requests: Grpc<Requests>,
}

impl Link {
    /// Lives through one stream.
    pub(super) async fn session(&mut self, open: Open) -> Over {
        let endpoint = open.endpoint.clone();
        let failed = |status: &Status| failure(&endpoint, status);
        let began = tokio::select! {
            began = begin(&self.joining, self.has(), open) => began,
            () = super::idle(&mut self.inlet, &mut self.unkept, self.since) => return Over::Left,
            () = interrupted(&mut self.stance) => return Over::Left,
        };
        let (mut stream, welcome) = match began {
            Ok(began) => began,
            Err(status) => return Over::refused(failed(&status)),
        };
        let Welcome { version, generation, kept, epoch } = welcome;
        tracing::info!(%endpoint, %version, generation, "connected to the control plane");
        if epoch > self.joining.epoch {
            self.joining.epoch = epoch;
            self.unkept.live_as(epoch);
        }
        metrics::name_taken(false);
        // Until it says otherwise.
        self.beats = true;
        self.unkept.begin_again();
        self.unkept.kept(self.joining.epoch, kept);
        let over = self.converse(&mut stream).await;
        self.since = clock::now();
        metrics::connected(false, Duration::ZERO);
        match over {
            None => Over::Left,
            Some(status) => Over::Broke { failure: failed(&status), lasted: true },
        }
    }

    /// Ends with the stream, and says why; or without a word when this proxy ends.
    async fn converse(&mut self, stream: &mut Stream) -> Option<Status> {
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // Plans first: one of them may take a canary out.
                biased;
                said = stream.down.message() => match said {
                    Ok(Some(Down { said })) => {
                        if let Some(answer) = self.hear(said)
                            && stream.up.send(up(Upward::PlanAnswer(answer))).await.is_err()
                        {
                            return Some(Status::unavailable("the stream is closed"));
                        }
                    }
                    Ok(None) => return Some(Status::unavailable("the control plane has ended the stream")),
                    Err(status) => return Some(status),
                },
                () = interrupted(&mut self.stance) => {
                    if *self.stance.borrow() == Stance::Leaves {
                        // Whoever does not listen any more misses it.
                        let _ = timeout(LEAVE_WAIT, self.farewell(stream)).await;
                    }
                    return None;
                }
                permit = stream.up.clone().reserve_owned(), if self.unkept.has_more() => {
                    let Ok(permit) = permit else {
                        return Some(Status::unavailable("the stream is closed"));
                    };
                    if let Some((window, age)) = self.unkept.next(clock::now()) {
                        permit.send(up(Upward::Window(window::to_message(window, in_ms(age)))));
                    }
                }
                Some(report) = self.inlet.recv() => match report {
                    Report::Window(window) => super::keep(&mut self.unkept, window),
                    Report::Beat(beat) => {
                        // One that is lost is no matter, and windows go first.
                        if self.beats && !self.unkept.has_more() {
                            let _ = stream.up.try_send(up(Upward::Beat(window::beat_to_message(&beat))));
                        }
                    }
                },
                _ = tick.tick() => {
                    metrics::connected(true, Duration::ZERO);
                    metrics::waiting(self.unkept.len());
                }
            }
        }
    }

    /// Tells the last windows, and that this is the end.
    async fn farewell(&mut self, stream: &mut Stream) {
        // Until the proxy has reported its last.
        while let Ok(Some(report)) = timeout(LEAVE_WAIT / 2, self.inlet.recv()).await {
            if let Report::Window(window) = report {
                super::keep(&mut self.unkept, window);
            }
        }
        while let Some((window, age)) = self.unkept.next(clock::now()) {
            let message = up(Upward::Window(window::to_message(window, in_ms(age))));
            if stream.up.send(message).await.is_err() {
                return;
            }
        }
        let _ = stream.up.send(up(Upward::Leaving(Leaving {}))).await;
        // The control plane ends the stream then; to drop it before would lose what is on its way.
        while let Ok(Some(_)) = stream.down.message().await {}
    }

    /// Does what the control plane says; to a plan there is an answer, which names it as it was named.
    fn hear(&mut self, said: Option<Downward>) -> Option<PlanAnswer> {
        match said {
            Some(Downward::Plan(plan)) => {
                let problems = match self.take(&plan) {
                    Ok(plan) => {
                        tracing::info!(generation = %plan.generation(), "a plan of the control plane is in force");
                        Vec::new()
                    }
                    Err(problems) => {
                        metrics::refused();
                        for problem in &problems {
                            tracing::error!(generation = plan.generation, %problem, "a plan was not taken, the last one stays");
                        }
                        problems
                    }
                };
                Some(PlanAnswer { generation: plan.generation, problems, identity: plan.identity })
            }
            Some(Downward::Kept(kept)) => {
                self.unkept.kept(kept.epoch, kept.sequence);
                None
            }
            Some(Downward::Wish(wish)) => {
                self.beats = !wish.no_beats;
                None
            }
            // A newer release may have more to say.
            Some(Downward::Welcome(_)) | None => None,
        }
    }
}

fn up(said: Upward) -> Up {
    Up { said: Some(said) }
}

/// Says hello, and waits to be welcomed.
async fn begin(joining: &super::Joining, has: Has, open: Open) -> Result<(Stream, Welcome), Status> {
    let patience = open.patience;
    let (send, queue) = mpsc::channel(UP_QUEUED);
    let hello = Hello {
        proxy: joining.instance.clone(),
        epoch: joining.epoch,
        version: joining.version.to_owned(),
        generation: has.generation.0,
        digest: has.digest,
        now_ms: clock::unix_ms(),
        identity: has.identity.to_string(),
    };
    // There is room: the queue is new.
    let _ = send.try_send(up(Upward::Hello(hello)));
    let mut grpc =
        Grpc::with_origin(open.requests, open.origin).max_decoding_message_size(FLEET_MESSAGE_BYTES_MAX);
    let mut request = Request::new(ReceiverStream::new(queue));
    if let Some(token) = &joining.connect.token {
        let value: MetadataValue<Ascii> = format!("Bearer {}", token.expose())
            .parse()
            .map_err(|_| Status::invalid_argument("the token can't be sent"))?;
        request.metadata_mut().insert("authorization", value);
    }
    let welcomed = async {
        let ready = |error: hyper::Error| Status::unavailable(error.to_string());
        grpc.ready().await.map_err(ready)?;
        let codec = ProstCodec::<Up, Down>::default();
        let mut down =
            grpc.streaming(request, PathAndQuery::from_static(CONNECT_PATH), codec).await?.into_inner();
        match down.message().await? {
            Some(Down { said: Some(Downward::Welcome(welcome)) }) => Ok((down, welcome)),
            _ => Err(Status::internal("the control plane did not begin with a welcome")),
        }
    };
    match timeout(patience, welcomed).await {
        Ok(Ok((down, welcome))) => Ok((Stream { up: send, down, _requests: grpc }, welcome)),
        Ok(Err(status)) => Err(status),
        Err(_) => Err(Status::deadline_exceeded("no welcome came")),
    }
}

/// What it says, and what caused it: where a connection breaks, the cause alone says why, such as a certificate that the
/// other side does not know.
fn words(status: &Status) -> String {
    if let Some(known) = status.source().and_then(trouble::known) {
        return known;
    }
    match (status.message(), status.source()) {
        ("", None) => status.code().description().to_owned(),
        ("", Some(cause)) => trouble::words(cause),
        (message, None) => trouble::plain(message.to_owned()),
        (message, Some(cause)) => {
            let cause = trouble::words(cause);
            let known = message.contains(&cause);
            trouble::plain(if known { message.to_owned() } else { format!("{message}: {cause}") })
        }
    }
}

fn failure(endpoint: &str, status: &Status) -> Failure {
    let leader = status.metadata().get(LEADER_METADATA).and_then(|leader| leader.to_str().ok());
    Failure {
        endpoint: endpoint.to_owned(),
        why: words(status),
        leader: leader.map(Into::into),
        silent: status.code() == Code::DeadlineExceeded,
        name_taken: status.code() == Code::AlreadyExists,
    }
}
