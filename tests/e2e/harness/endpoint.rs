//! An endpoint that does what a test says, byte by byte: a script runs on each connection that it accepts,
//! on a thread of its own.

use std::{
    io,
    net::TcpListener,
    os::unix::net::UnixListener,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use serin_config::Address;

use super::wire::{Head, Socket, Wire};

/// What an endpoint has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    opened: AtomicUsize,
    closed: AtomicUsize,
    requests: Mutex<Vec<(Head, Vec<u8>)>>,
    stop: AtomicBool,
}

impl Seen {
    fn note(&self, head: Head, body: Vec<u8>) {
        self.requests.lock().unwrap().push((head, body));
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| {
                // Without it answers are only slower.
                let _ = stream.set_nodelay(true);
                Socket::Tcp(stream)
            }),
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Socket::Unix(stream)),
        }
    }
}

/// A server whose connections follow a script. Dropping it closes the listener; scripts end with their
/// connections.
pub(crate) struct Endpoint {
    address: Address,
    seen: Arc<Seen>,
    accepting: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Runs `script` on each connection; the connection is closed when it returns.
    pub(crate) fn scripted(
        script: impl Fn(&mut Wire, &Seen) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = Address::Tcp(listener.local_addr().expect("a bound socket has an address"));
        Self::start(Listener::Tcp(listener), address, script)
    }

    /// Answers every request on every connection, until the peer closes it.
    pub(crate) fn answering(respond: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::scripted(move |wire, seen| answer_all(wire, seen, &respond))
    }

    /// The same on a Unix socket.
    pub(crate) fn answering_at(
        path: &Path,
        respond: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).expect("a path that is free");
        let script = move |wire: &mut Wire, seen: &Seen| answer_all(wire, seen, &respond);
        Self::start(Listener::Unix(listener), Address::Unix(path.into()), script)
    }

    fn start(
        listener: Listener,
        address: Address,
        script: impl Fn(&mut Wire, &Seen) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let (seen, script) = (Arc::new(Seen::default()), Arc::new(script));
        let theirs = Arc::clone(&seen);
        let accepting = std::thread::spawn(move || {
            while let Ok(socket) = listener.accept() {
                if theirs.stop.load(Ordering::Relaxed) {
                    return;
                }
                theirs.opened.fetch_add(1, Ordering::Relaxed);
                let (seen, script) = (Arc::clone(&theirs), Arc::clone(&script));
                std::thread::spawn(move || {
                    let mut wire = Wire::new(socket);
                    // How a connection ends is what the test looks at from the other side.
                    let _ = script(&mut wire, &seen);
                    drop(wire);
                    seen.closed.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Self { address, seen, accepting: Some(accepting) }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Connections that were accepted.
    pub(crate) fn opened(&self) -> usize {
        self.seen.opened.load(Ordering::Relaxed)
    }

    /// Connections whose script has ended.
    pub(crate) fn closed(&self) -> usize {
        self.seen.closed.load(Ordering::Relaxed)
    }

    /// Whole requests that arrived.
    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.lock().unwrap().len()
    }

    /// All whole requests, in the order in which they arrived.
    pub(crate) fn all(&self) -> Vec<(Head, Vec<u8>)> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// The last whole request.
    pub(crate) fn last(&self) -> (Head, Vec<u8>) {
        self.seen.requests.lock().unwrap().last().cloned().expect("a request arrived")
    }
}

fn answer_all(wire: &mut Wire, seen: &Seen, respond: &impl Fn(&Head) -> Vec<u8>) -> io::Result<()> {
    while let Some(head) = read_request(wire, seen)? {
        wire.send(respond(&head))?;
    }
    Ok(())
}

/// Reads one request and notes it; none if the peer closed the connection instead.
pub(crate) fn read_request(wire: &mut Wire, seen: &Seen) -> io::Result<Option<Head>> {
    let Some(head) = wire.head()? else { return Ok(None) };
    let body = wire.body(&head)?;
    seen.note(head.clone(), body);
    Ok(Some(head))
}

/// A response with this body, and its length.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        let woken = match &self.address {
            Address::Tcp(address) => std::net::TcpStream::connect(address).is_ok(),
            Address::Unix(path) => std::os::unix::net::UnixStream::connect(path).is_ok(),
        };
        if let (true, Some(accepting)) = (woken, self.accepting.take()) {
            // A thread that panicked has said so itself.
            let _ = accepting.join();
        }
    }
}
