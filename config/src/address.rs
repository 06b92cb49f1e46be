//! Where a socket is: an IP address and port, or the path of a Unix socket.

use std::{fmt, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The longest path that a Unix socket address holds on Linux, without the final NUL (`unix(7)`).
pub const UNIX_PATH_MAX: usize = 107;

/// An address to listen on or to connect to. It is also the identity of an endpoint: pools and counters
/// of an address survive any change of plan that keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// `127.0.0.1:8080` or `[::1]:8080`.
    Tcp(SocketAddr),
    /// `unix:/run/service.sock`, always an absolute path.
    Unix(PathBuf),
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither an IP address with a port nor `unix:`.
    #[error(
        "\"{0}\" is not an address: write IP:PORT such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/absolute/path.sock\""
    )]
    Form(String),
    /// A host name stands where an IP address must.
    #[error(
        "\"{0}\" has a host name where an address must stand: write its IP address (\"127.0.0.1:8080\" for localhost)"
    )]
    HostName(String),
    /// A Unix path that is relative, empty or too long.
    #[error(
        "\"{0}\" is not the path of a socket: write an absolute path of at most {UNIX_PATH_MAX} bytes after \"unix:\""
    )]
    UnixPath(String),
}

impl Address {
    /// Whether only this machine can reach the address: loopback, or a Unix socket.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let fits = path.starts_with('/')
                && path.len() > 1
                && path.len() <= UNIX_PATH_MAX
                && !path.contains('\0');
            return if fits { Ok(Self::Unix(path.into())) } else { Err(AddressError::UnixPath(text.into())) };
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let named = text.rsplit_once(':').is_some_and(|(host, port)| {
            port.parse::<u16>().is_ok()
                && host.starts_with(|c: char| c.is_ascii_alphabetic())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        });
        Err(if named { AddressError::HostName(text.into()) } else { AddressError::Form(text.into()) })
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_written() {
        for text in ["127.0.0.1:80", "[::1]:8080", "unix:/run/a.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_named() {
        assert!(matches!("localhost:80".parse::<Address>(), Err(AddressError::HostName(_))));
        assert!(matches!("127.0.0.1".parse::<Address>(), Err(AddressError::Form(_))));
        assert!(matches!("unix:relative".parse::<Address>(), Err(AddressError::UnixPath(_))));
    }

    #[test]
    fn loopback_and_unix_sockets_are_local() {
        for (text, local) in [
            ("127.0.0.9:1", true),
            ("[::1]:1", true),
            ("unix:/a", true),
            ("0.0.0.0:1", false),
            ("[::ffff:127.0.0.1]:1", true),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_local(), local, "{text}");
        }
    }
}
