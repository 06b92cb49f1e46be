//! One client connection: which version of HTTP it speaks, and what it holds while it says nothing.
//!
//! Most of a gateway's connections are idle at any moment. One that has sent nothing yet, or nothing more for
//! a moment, is parked: all that is left of it is its socket, two dozen bytes for what comes first, and one
//! timer. The session with its buffers is made when bytes come, and torn down when they cease.

use std::{
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

use serin_split::frames::PREFACE;
use tokio::io::AsyncReadExt;

use super::{
    arrive::{Arrived, Speaks},
    session::{Client, Quiet},
    stream::Stream,
    watch::Activity,
    worker::Worker,
};

/// While draining, an idle connection is closed after it has been quiet for this long: closing it at once
/// would race with a request that is already on its way.
pub(crate) const QUIET_BEFORE_CLOSE: Duration = Duration::from_millis(500);

/// Serves a client connection that was accepted at `accepted`, to its end.
pub(crate) async fn serve(worker: Rc<Worker>, arrived: Arrived, accepted: Instant) {
    let Arrived { mut stream, peer, speaks, head_by, old_at } = arrived;
    let preface: &[u8] = if speaks == Speaks::Http1 { &[] } else { PREFACE };
    let Some(mut first) = wait(&worker, &mut stream, head_by, preface).await else { return };
    let is_h2 = speaks != Speaks::Http1 && first == PREFACE;
    if speaks == Speaks::Http2 && !is_h2 {
        return worker.counters.bad_request.increment(1);
    }
    let (peer, mut since) = (Rc::new(peer), accepted);
    let client =
        |activity| Client { worker: worker.clone(), peer: peer.clone(), activity: Rc::new(activity), old_at };
    if is_h2 {
        // In a box, as below: a parked connection must not keep its place.
        return Box::pin(client(Activity::http2()).http2(stream, first, since)).await;
    }
    let mut activity = Activity::http1();
    loop {
        let Some(quiet) = Box::pin(client(activity).http1(stream, first, since)).await else { return };
        activity = Activity::resumed();
        Quiet { stream, since, rest: first } = quiet;
        if first.is_empty() {
            let idle_until = since + worker.limits.client_keep_alive;
            let deadline = old_at.map_or(idle_until, |old| idle_until.min(old + QUIET_BEFORE_CLOSE));
            let Some(came) = wait(&worker, &mut stream, deadline, &[]).await else { return };
            first = came;
        }
    }
}

/// Waits for the first bytes: one or more, and as many as it takes to tell them from `preface`. None if the
/// client has gone, or lets the deadline pass, or the worker drains before anything comes.
async fn wait(worker: &Worker, stream: &mut Stream, deadline: Instant, preface: &[u8]) -> Option<Vec<u8>> {
    let mut first = [0; PREFACE.len()];
    let mut filled = 0;
    let drain = pin!(worker.drain_begun.notified());
    let reading = async {
        loop {
            match stream.read(&mut first[filled..]).await {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => filled += bytes,
            }
            if filled >= preface.len() || first[..filled] != preface[..filled] {
                return Some(());
            }
        }
    };
    let mut reading = pin!(tokio::time::timeout_at(deadline.into(), reading));
    let read = if worker.draining.get() {
        tokio::time::timeout(QUIET_BEFORE_CLOSE, reading).await.ok()?
    } else {
        tokio::select! {
            biased;
            read = &mut reading => read,
            // The client may have sent its first request already.
            () = drain => tokio::time::timeout(QUIET_BEFORE_CLOSE, reading).await.ok()?,
        }
    };
    read.ok()??;
    Some(first[..filled].to_vec())
}
