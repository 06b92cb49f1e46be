//! A lane: the task that carries one request after another, over a connection of its own (HTTP/1.1) or a stream of one
//! that several share (HTTP/2).
//!
//! A pool of lanes needs no pool: whoever is idle takes the next due request. A connection that the peer
//! closed while it was idle is opened anew before anything is sent. If the peer closes it just as an
//! idempotent request leaves, the request goes out once more on a new connection, as RFC 9112, 9.3.1 allows
//! and every browser does; that is counted as `resent`, and its latency goes on counting from the due time.

use std::{rc::Rc, time::Instant};

use rand::{SeedableRng, rngs::SmallRng};

use crate::{
    bounds::FAILURE_PAUSE,
    deadline::Deadline,
    measure::ErrorKind,
    queue::Source,
    recorder::Recorder,
    target::{Prepared, Protocol, Target},
    wire::{Asked, Broken, Reading, dial::Dial, http1, http2},
};

/// What all lanes of a load share.
pub(crate) struct Shared {
    pub(crate) target: Target,
    pub(crate) prepared: Vec<Prepared>,
    pub(crate) dial: Dial,
    pub(crate) timeout: std::time::Duration,
    pub(crate) source: Source,
    pub(crate) recorder: Recorder,
}

/// What a lane's requests go over.
pub(crate) enum Channel {
    Http1(Option<http1::Connection>),
    Http2(Rc<http2::Shared>),
}

impl Channel {
    /// The channels of so many connections, for lanes that are counted from 0.
    pub(crate) fn of(protocol: Protocol, connections: usize) -> impl Fn(usize) -> Self {
        let shared: Vec<_> = match protocol {
            Protocol::Http1 => Vec::new(),
            Protocol::Http2 => (0..connections.max(1)).map(|_| http2::Shared::new()).collect(),
        };
        move |lane| match shared.get(lane % shared.len().max(1)) {
            Some(connection) => Self::Http2(Rc::clone(connection)),
            None => Self::Http1(None),
        }
    }
}

pub(crate) struct Lane {
    shared: Rc<Shared>,
    random: SmallRng,
    channel: Channel,
    /// What the current answer says; outlives an exchange that is cut short by its timeout.
    reading: Reading,
    scratch: Vec<u8>,
    deadline: Deadline,
}

impl Lane {
    pub(crate) fn new(shared: Rc<Shared>, number: u64, channel: Channel) -> Self {
        let reading = Reading::new(shared.target.check.is_some());
        let deadline = Deadline::new(shared.timeout);
        let random = SmallRng::seed_from_u64(number);
        Self { shared, random, channel, reading, scratch: Vec::new(), deadline }
    }

    pub(crate) async fn run(mut self) {
        let shared = Rc::clone(&self.shared);
        while let Some(due) = shared.source.next().await {
            let now = Instant::now();
            shared.recorder.sent(due, now);
            let failed = self.exchange(&shared, due, now).await.is_err();
            if failed && shared.source.rests_after_failure() {
                tokio::time::sleep(FAILURE_PAUSE).await;
            }
        }
    }

    async fn exchange(&mut self, shared: &Shared, due: Instant, now: Instant) -> Result<u16, ErrorKind> {
        self.reading.begin();
        let ask = shared.target.draw(&mut self.random);
        let Self { random, channel, reading, scratch, deadline, .. } = self;
        let attempt = attempt(shared, &shared.prepared[ask], random, channel, reading, scratch);
        let result = deadline.of(now).within(attempt).await.unwrap_or(Err(ErrorKind::Timeout));
        // An HTTP/2 stream that is given up leaves the others alone.
        if result.is_err()
            && let Channel::Http1(connection) = channel
        {
            *connection = None;
        }
        let result = match (&shared.target.check, result) {
            (Some(check), Ok(_)) if !reading.passes(check) => Err(ErrorKind::Refused),
            (_, result) => result,
        };
        shared.recorder.completed(ask, &reading.version, result, due);
        result
    }
}

async fn attempt(
    shared: &Shared,
    prepared: &Prepared,
    random: &mut SmallRng,
    channel: &mut Channel,
    reading: &mut Reading,
    scratch: &mut Vec<u8>,
) -> Result<u16, ErrorKind> {
    let user = shared.target.user(random);
    let version_header = &shared.target.version_header;
    let mut may_resend = true;
    loop {
        let (reused, result) = match channel {
            Channel::Http1(connection) => {
                let (connection, reused) = connected(shared, connection).await?;
                let bytes = prepared.bytes(user.as_ref(), scratch);
                let Prepared { is_head, is_last, .. } = *prepared;
                let asked = Asked { bytes, is_head, is_last, version_header };
                (reused, connection.exchange(asked, reading).await)
            }
            Channel::Http2(connection) => {
                let (mut sender, new) = connection.connected(&shared.dial).await?;
                if new {
                    shared.recorder.connected();
                }
                let request = prepared.request(user.as_ref());
                (!new, http2::exchange(&mut sender, request, version_header, reading).await)
            }
        };
        let Broken { kind, unsent } = match result {
            Ok(status) => return Ok(status),
            Err(broken) => broken,
        };
        if let Channel::Http1(connection) = channel {
            *connection = None;
        }
        let safe = unsent || (kind == ErrorKind::Closed && prepared.is_idempotent);
        if !(reused && safe && may_resend) {
            return Err(kind);
        }
        may_resend = false;
        shared.recorder.resent();
    }
}

/// Makes sure of a connection; says whether it had carried a request before.
async fn connected<'a>(
    shared: &Shared,
    connection: &'a mut Option<http1::Connection>,
) -> Result<(&'a mut http1::Connection, bool), ErrorKind> {
    let idle = match connection.as_mut() {
        Some(connection) => connection.is_idle().await,
        None => false,
    };
    if !idle {
        *connection = None;
        let io = shared.dial.open().await.map_err(|_| ErrorKind::Connect)?;
        shared.recorder.connected();
        return Ok((connection.insert(http1::Connection::new(io)), false));
    }
    connection.as_mut().map(|connection| (connection, true)).ok_or(ErrorKind::Connect)
}
