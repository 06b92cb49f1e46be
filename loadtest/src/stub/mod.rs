//! A small HTTP/1.1 service with dials: the demo's backend and the tests' endpoint.
//!
//! It runs on a thread of its own, answers as fast as the connection allows, and can be made slow, wrong or
//! silent while it runs. It counts what it was asked and what it got wrong, so that a test can compare the
//! proxy's counts with the truth.

mod behaviour;
mod body;
mod dials;
mod serve;

use std::{
    fs, io, net,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serin_config::{Address, limits::LISTEN_BACKLOG};
use socket2::{Domain, Socket, Type};
use tokio::sync::oneshot;

use self::behaviour::Behaviour;
pub use self::dials::Dials;
use crate::bounds::STUB_BODY_BYTES_MAX;

/// Where a stub listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A free port of the loopback interface.
    AnyPort,
    /// This address; what stood at a Unix path is replaced.
    At(Address),
}

/// What a stub is and stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StubOptions {
    /// Where it listens.
    pub listen: Listen,
    /// What it says in `x-demo-version`; nothing if empty.
    pub version: String,
    /// Bytes in the body of a good answer; at most [`STUB_BODY_BYTES_MAX`].
    pub body_bytes: usize,
    /// Answers with the request as JSON: `{"method", "path", "headers": {name: [value, ...]}}`.
    pub echo: bool,
    /// Where its random numbers begin.
    pub seed: u64,
    /// Paths (by what they begin with) that get dials of their own.
    pub paths: Vec<String>,
}

impl Default for StubOptions {
    fn default() -> Self {
        Self {
            listen: Listen::AnyPort,
            version: String::new(),
            body_bytes: 64,
            echo: false,
            seed: 1,
            paths: vec![],
        }
    }
}

/// A lognormal latency, as services have: half of the answers take less than the median, and sigma is the
/// standard deviation of the logarithm (0.3 narrow, 1.0 with a long tail; the p99 is the median times
/// e^(2.33 sigma)). Timers count whole milliseconds, rounded up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// The median.
    pub median: Duration,
    /// The spread, from 0.
    pub sigma: f64,
}

/// A stub that runs. Dropping it ends it and closes its connections.
#[derive(Debug)]
pub struct Stub {
    address: Address,
    behaviour: Arc<Behaviour>,
    // Both end the thread: the sender by going away, the handle by being waited for.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Stub {
    /// Binds and serves; connections are accepted once this returns.
    pub fn start(mut options: StubOptions) -> io::Result<Self> {
        options.body_bytes = options.body_bytes.min(STUB_BODY_BYTES_MAX);
        let (listener, address) = bind(&options.listen)?;
        let behaviour = Arc::new(Behaviour::new(&options.paths));
        let (stop, stopped) = oneshot::channel();
        let theirs = Arc::clone(&behaviour);
        let runtime_made = oneshot::channel();
        let thread = thread::Builder::new()
            .name("stub".into())
            .spawn(move || serve::run(listener, &options, &theirs, stopped, runtime_made.0))?;
        runtime_made.1.blocking_recv().unwrap_or_else(|_| Err(io::Error::other("the stub's thread died")))?;
        Ok(Self { address, behaviour, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The dials for a path: its own if it was named in the options, or those of all others.
    pub fn path(&self, path: &str) -> &Dials {
        self.behaviour.dials(path)
    }

    /// [`Dials::set_error_ppm`] for paths without dials of their own.
    pub fn set_error_ppm(&self, ppm: u32) {
        self.path("").set_error_ppm(ppm);
    }

    /// [`Dials::set_error_status`] for the same.
    pub fn set_error_status(&self, status: u16) {
        self.path("").set_error_status(status);
    }

    /// [`Dials::set_latency`] for the same.
    pub fn set_latency(&self, latency: Option<Latency>) {
        self.path("").set_latency(latency);
    }

    /// [`Dials::set_tail`] for the same.
    pub fn set_tail(&self, factor: f64) {
        self.path("").set_tail(factor);
    }

    /// Holds every answer back until this is taken back.
    pub fn set_hang(&self, hang: bool) {
        self.behaviour.set_hang(hang);
    }

    /// Closes the connection within the body of every good answer.
    pub fn set_cut_body(&self, cut: bool) {
        self.behaviour.set_cut_body(cut);
    }

    /// Requests that arrived.
    pub fn requests(&self) -> u64 {
        self.behaviour.requests()
    }

    /// Failures that were injected.
    pub fn failures(&self) -> u64 {
        self.behaviour.failures()
    }

    /// Connections that were accepted.
    pub fn connections(&self) -> u64 {
        self.behaviour.connections()
    }

    /// When the first failure was injected.
    pub fn first_failure(&self) -> Option<Instant> {
        self.behaviour.first_failure()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A stub that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// A bound socket of either kind.
#[derive(Debug)]
enum Bound {
    Tcp(net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// The standard library's queue of 128 connections overflows when a load bursts, and the kernel then drops
/// what a client takes for an accepted connection: a failure that no version has made.
fn listening(address: net::SocketAddr) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

fn bind(listen: &Listen) -> io::Result<(Bound, Address)> {
    let tcp = |address: net::SocketAddr| {
        let listener = listening(address)?;
        let address = listener.local_addr()?;
        Ok((Bound::Tcp(listener), Address::Tcp(address)))
    };
    let unix = |path: &PathBuf| {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok((Bound::Unix(listener), Address::Unix(path.clone())))
    };
    match listen {
        Listen::AnyPort => tcp((net::Ipv4Addr::LOCALHOST, 0).into()),
        Listen::At(Address::Tcp(address)) => tcp(*address),
        Listen::At(Address::Unix(path)) => unix(path),
    }
}
