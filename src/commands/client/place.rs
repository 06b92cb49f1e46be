//! Where an API is, as people write it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use serin_config::{Address, address::AddressError};

/// An address in clear, or a host by HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::commands) enum Place {
    /// `127.0.0.1:9902`, `unix:/run/serin.sock`.
    Address(Address),
    /// `http://control.example:9902`.
    Clear(Host),
    /// `https://control.example:9902`.
    Tls(Host),
}

/// A name or an IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Host {
    /// Without brackets.
    pub(super) name: String,
    pub(super) port: u16,
}

/// Why a text is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::commands) enum PlaceError {
    #[error(
        "\"{0}\" is not where an API can be: write IP:PORT, unix:/absolute/path.sock, https://HOST[:PORT] or http://HOST[:PORT]"
    )]
    Form(String),
    #[error(
        "\"{0}\" has a host name without saying how to speak to it: write \"https://{0}\", or \"http://{0}\" for clear text"
    )]
    Name(String),
    #[error("\"{0}\" has more than a host and a port: leave out what follows, such as a path or a user")]
    More(String),
    #[error(transparent)]
    Address(AddressError),
}

impl Place {
    /// Whether what is sent there stays on this machine, or is encrypted.
    pub(super) fn keeps_secrets(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::Address(address) => address.is_local(),
            Self::Clear(host) => {
                host.name.eq_ignore_ascii_case("localhost")
                    || host.name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
            }
        }
    }

    /// For the `host` header.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Address(Address::Tcp(address)) => address.to_string(),
            Self::Address(Address::Unix(_)) => "localhost".into(),
            Self::Clear(host) | Self::Tls(host) => host.to_string(),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if let Some(rest) = text.strip_prefix("https://") {
            return Host::read(rest, 443).map(Self::Tls);
        }
        if let Some(rest) = text.strip_prefix("http://") {
            return Host::read(rest, 80).map(Self::Clear);
        }
        text.parse().map(Self::Address).map_err(|error| match error {
            AddressError::HostName(_) => PlaceError::Name(text.into()),
            AddressError::Form(_) => PlaceError::Form(text.into()),
            other => PlaceError::Address(other),
        })
    }
}

impl Host {
    fn read(rest: &str, default_port: u16) -> Result<Self, PlaceError> {
        let bare = rest.strip_suffix('/').unwrap_or(rest);
        if bare.contains(['/', '?', '#', '@']) {
            return Err(PlaceError::More(rest.into()));
        }
        let wrong = || PlaceError::Form(rest.into());
        if let Ok(SocketAddr::V6(address)) = bare.parse() {
            return Ok(Self { name: address.ip().to_string(), port: address.port() });
        }
        if let Some(ip) = bare.strip_prefix('[').and_then(|bare| bare.strip_suffix(']')) {
            let ip: std::net::Ipv6Addr = ip.parse().map_err(|_| wrong())?;
            return Ok(Self { name: ip.to_string(), port: default_port });
        }
        let (name, port) = match bare.split_once(':') {
            Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
            None => (bare, default_port),
        };
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if name.is_empty() || name.len() > 253 || !name.bytes().all(letters) {
            return Err(wrong());
        }
        Ok(Self { name: name.into(), port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            return write!(f, "[{}]:{}", self.name, self.port);
        }
        write!(f, "{}:{}", self.name, self.port)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Clear(host) => write!(f, "http://{host}"),
            Self::Tls(host) => write!(f, "https://{host}"),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;
    fn try_from(text: String) -> Result<Self, PlaceError> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Place {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_place_reads_back_as_it_is_shown() {
        for (text, shown, keeps) in [
            ("127.0.0.1:9902", "127.0.0.1:9902", true),
            ("10.0.0.7:9902", "10.0.0.7:9902", false),
            ("unix:/run/serin.sock", "unix:/run/serin.sock", true),
            ("https://control.example", "https://control.example:443", true),
            ("https://control.example:9902/", "https://control.example:9902", true),
            ("http://control.example:9902", "http://control.example:9902", false),
            ("http://localhost:9902", "http://localhost:9902", true),
            ("https://[::1]:9902", "https://[::1]:9902", true),
            ("https://[2001:db8::1]", "https://[2001:db8::1]:443", true),
        ] {
            let place = read(text);
            assert_eq!((place.to_string().as_str(), place.keeps_secrets()), (shown, keeps));
            assert_eq!(read(shown), place);
        }
        assert_eq!(read("https://[::1]:9902").authority(), "[::1]:9902");
    }

    #[test]
    fn what_is_no_place_is_told_how_to_be_one() {
        for (text, said) in [
            ("control.example:9902", "https://control.example:9902"),
            ("9902", "IP:PORT"),
            ("unix:serin.sock", "absolute path"),
            ("https://", "IP:PORT"),
            ("https://a b", "IP:PORT"),
            ("https://control.example:0", "IP:PORT"),
            ("https://control.example/v1", "leave out"),
            ("https://me:secret@control.example", "leave out"),
        ] {
            let error = text.parse::<Place>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
