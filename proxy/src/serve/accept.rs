//! Accepts connections on one worker, up to the limit, until the worker drains.

use std::{
    io,
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::task::spawn_local;

use super::{
    arrive::{self, Terms},
    connection,
    listen::Listening,
    spread::{Door, Held, Passed},
    stream::Stream,
    worker::Worker,
};
use crate::clock;

/// How long to wait when the process has no file descriptor left: accepting again at once would spin.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// Accepts until the worker drains.
pub(crate) async fn run(worker: Rc<Worker>, listening: Listening, terms: Rc<Terms>) {
    while !worker.draining.get() {
        let accepted = tokio::select! {
            accepted = accept(&listening) => accepted,
            () = worker.drain_begun.notified() => break,
        };
        match accepted {
            Ok((stream, address)) => take(&worker, &terms, stream, address),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
            }
        }
    }
    if worker.handed_over.get() {
        return;
    }
    // Who was already queued in the kernel would be reset by closing the socket.
    while let Ok(Ok((stream, address))) = tokio::time::timeout(Duration::ZERO, accept(&listening)).await {
        admit(&worker, &terms, stream, address, worker.spread.keep(worker.number));
    }
}

/// Serves what other workers pass to this one, until it drains; what is on its way then is served too.
pub(crate) async fn passed(worker: Rc<Worker>, mut door: Door) {
    while !worker.draining.get() {
        tokio::select! {
            passed = door.recv() => match passed {
                Some(passed) => receive(&worker, passed),
                None => return,
            },
            () = worker.drain_begun.notified() => break,
        }
    }
    door.close();
    while let Some(passed) = door.recv().await {
        receive(&worker, passed);
    }
}

fn receive(worker: &Rc<Worker>, passed: Passed) {
    match passed.arrive() {
        Ok((stream, address, terms, held)) => admit(worker, &Rc::new(terms), stream, address, held),
        Err(error) => tracing::warn!(%error, "a connection that was accepted can't be served"),
    }
}

/// Serves a connection that was accepted here, or passes it on.
fn take(worker: &Rc<Worker>, terms: &Rc<Terms>, stream: Stream, address: Option<IpAddr>) {
    if let Some(stream) = worker.spread.pass(worker.number, stream, address, terms) {
        admit(worker, terms, stream, address, worker.spread.keep(worker.number));
    }
}

async fn accept(listening: &Listening) -> io::Result<(Stream, Option<IpAddr>)> {
    match listening {
        Listening::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Stream::Tcp(stream), Some(address.ip())))
        }
        Listening::Unix(listener) => listener.accept().await.map(|(stream, _)| (Stream::Unix(stream), None)),
    }
}

/// Serves the connection in a task of its own; beyond the limit it is closed at once, which tells a load
/// balancer in front more than a connection that hangs.
fn admit(worker: &Rc<Worker>, terms: &Rc<Terms>, stream: Stream, address: Option<IpAddr>, held: Held) {
    let Some(place) = Place::take(worker) else {
        worker.counters.connections_refused.increment(1);
        return;
    };
    let (worker, terms) = (worker.clone(), terms.clone());
    spawn_local(async move {
        let accepted = clock::now();
        // In a box: a handshake's state is large, and the task lives as long as the connection.
        let arriving = Box::pin(arrive::arrive(&worker, &terms, stream, address, accepted));
        if let Some(arrived) = arriving.await {
            connection::serve(worker, arrived, accepted).await;
        }
        drop((place, held));
    });
}

/// One of the connections that the process may have.
struct Place {
    all: Arc<AtomicUsize>,
    worker: Rc<Worker>,
}

impl Place {
    fn take(worker: &Rc<Worker>) -> Option<Self> {
        if worker.connections.fetch_add(1, Ordering::Relaxed) >= worker.limits.max_connections {
            worker.connections.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        worker.open.set(worker.open.get() + 1);
        Some(Self { all: worker.connections.clone(), worker: worker.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.worker.open.set(self.worker.open.get() - 1);
        if self.worker.open.get() == 0 {
            self.worker.closed.notify_waiters();
        }
    }
}
