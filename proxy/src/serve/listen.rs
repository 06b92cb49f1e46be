//! Listening sockets: bound before anything is served, so that a port in use is known at once.
//!
//! A TCP listener has one socket for each worker, all on one address (`SO_REUSEPORT`): the kernel deals
//! connections out without a lock. A Unix socket has one queue, which the workers share.

use std::{
    io,
    os::fd::OwnedFd,
    os::unix::{fs::FileTypeExt, net::UnixListener as StdUnixListener},
    path::Path,
};

use serin_config::{Address, limits::LISTEN_BACKLOG};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

/// A bound socket that no runtime owns yet.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(std::net::TcpListener),
    Unix(StdUnixListener),
}

/// A socket that accepts on a worker's runtime.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Binds `address` once for each of `sockets` workers. With port 0 all of them get the port that the first
/// was given; the address that clients can use comes back.
pub(crate) fn bind(address: &Address, sockets: usize) -> io::Result<(Address, Vec<Bound>)> {
    match address {
        Address::Tcp(wanted) => {
            // Held by itself first: SO_REUSEPORT would let a second Serin of the same user share the port
            // in silence, and split its traffic at random.
            let probe = tcp(*wanted, false)?;
            let actual = probe.local_addr()?;
            drop(probe);
            let bound =
                (0..sockets).map(|_| tcp(actual, true).map(Bound::Tcp)).collect::<io::Result<Vec<_>>>()?;
            Ok((Address::Tcp(actual), bound))
        }
        Address::Unix(path) => {
            let listener = unix(path)?;
            let clones = (1..sockets).map(|_| listener.try_clone()).collect::<io::Result<Vec<_>>>()?;
            let all = std::iter::once(listener).chain(clones).map(Bound::Unix).collect();
            Ok((address.clone(), all))
        }
    }
}

/// One more socket on an address that shared sockets are bound to already.
pub(crate) fn sibling(address: std::net::SocketAddr) -> io::Result<Bound> {
    tcp(address, true).map(Bound::Tcp)
}

fn tcp(address: std::net::SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// Binds a Unix socket; a socket file that nobody listens on any more is replaced.
fn unix(path: &Path) -> io::Result<StdUnixListener> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let listener = StdUnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Bound {
    /// The same socket once more: its queue is shared with the original.
    pub(crate) fn duplicate(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }

    /// The socket as something that can be passed to another process.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(OwnedFd::from),
            Self::Unix(listener) => listener.try_clone().map(OwnedFd::from),
        }
    }

    /// Hands the socket to the current runtime.
    pub(crate) fn listen(self) -> io::Result<Listening> {
        match self {
            Self::Tcp(listener) => TcpListener::from_std(listener).map(Listening::Tcp),
            Self::Unix(listener) => UnixListener::from_std(listener).map(Listening::Unix),
        }
    }
}
