//! The socket of the API.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
};

use crate::fleet::FleetBindError;
use serin_config::Address;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::tls::TlsError;

/// Why the API can't be served: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "the control API can't listen on {0}: the address is in use; stop the other process, or set another control.address"
    )]
    InUse(Address),
    /// This user may not.
    #[error(
        "the control API can't listen on {0}: not permitted; choose a port above 1023 or a directory that this user may write to"
    )]
    Denied(Address),
    /// The address is not one of this machine.
    #[error(
        "the control API can't listen on {0}: this machine does not have the address; set another control.address"
    )]
    NotOurs(Address),
    /// A Unix socket in a directory that isn't there.
    #[error(
        "the control API can't listen on {0}: its directory does not exist; create it, or set another control.address"
    )]
    NoDirectory(Address),
    /// Anything else.
    #[error("the control API can't listen on {address}: {source}")]
    Io {
        /// Where.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
    /// Its certificates can't be used.
    #[error("the control API can't be served: {0}; mend the file, or name another in control.tls")]
    Tls(#[from] TlsError),
    /// Proxies can't be served.
    #[error(transparent)]
    Fleet(#[from] FleetBindError),
    /// The thread that decides can't be started.
    #[error("the control plane's thread can't be started: {0}")]
    Thread(#[source] io::Error),
}

/// A bound socket.
pub(crate) struct Listener {
    address: Address,
    socket: Socket,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An accepted connection, and who is at its other end as far as the system knows.
pub(crate) enum Connection {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// Binds. A Unix socket that nobody listens on any more is replaced; its file is for owner and group.
    pub(crate) async fn bind(address: &Address) -> Result<Self, BindError> {
        let bound = match address {
            Address::Tcp(socket) => TcpListener::bind(socket).await.and_then(|listener| {
                let address = Address::Tcp(listener.local_addr()?);
                Ok(Self { address, socket: Socket::Tcp(listener) })
            }),
            Address::Unix(path) => bind_unix(path)
                .await
                .map(|listener| Self { address: address.clone(), socket: Socket::Unix(listener) }),
        };
        bound.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address.clone()),
            io::ErrorKind::PermissionDenied => BindError::Denied(address.clone()),
            io::ErrorKind::AddrNotAvailable => BindError::NotOurs(address.clone()),
            io::ErrorKind::NotFound => BindError::NoDirectory(address.clone()),
            _ => BindError::Io { address: address.clone(), source },
        })
    }

    /// Where it listens; the port is the real one.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn is_tcp(&self) -> bool {
        matches!(self.socket, Socket::Tcp(_))
    }

    pub(crate) async fn accept(&self) -> io::Result<Connection> {
        match &self.socket {
            Socket::Tcp(listener) => {
                listener.accept().await.map(|(stream, from)| Connection::Tcp(stream, from))
            }
            Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| Connection::Unix(stream)),
        }
    }

    /// Closes the socket, and takes the file of a Unix socket away.
    pub(crate) fn close(self) {
        let Self { address, socket } = self;
        drop(socket);
        if let Address::Unix(path) = address {
            // If it is gone already, so much the better.
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let is_socket = path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket());
    if is_socket {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        }
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
