//! The URL of a target: where to connect, which host to name, and what to ask for.

use std::net::ToSocketAddrs;

use http::{Uri, uri::Scheme};
use serin_config::Address;

/// A URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// As it was written.
    pub text: String,
    /// Whether it is https.
    pub secure: bool,
    /// The host, without its port.
    pub host: String,
    /// The host as requests name it.
    pub authority: String,
    port: u16,
    /// Path and query.
    pub path: String,
}

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{text}\" is not a URL: write one such as http://127.0.0.1:8080/ or https://shop.test/items"
            )
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = uri.scheme().ok_or_else(wrong)?;
        let secure = *scheme == Scheme::HTTPS;
        if !secure && *scheme != Scheme::HTTP {
            return Err(wrong());
        }
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err(
                "a URL with a user and password can't be asked: give --header \"authorization: …\"".into()
            );
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            text: text.into(),
            secure,
            host: host.into(),
            authority: authority.as_str().into(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            path: uri.path_and_query().map_or("/".into(), |path| path.as_str().to_owned()),
        })
    }
}

impl Url {
    /// Where its host is; the first of its addresses.
    ///
    /// # Errors
    /// It has none.
    pub fn resolve(&self) -> Result<Address, String> {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let mut addresses =
            found.map_err(|error| format!("the host \"{}\" has no address: {error}", self.host))?;
        let first = addresses.next().ok_or_else(|| format!("the host \"{}\" has no address", self.host))?;
        Ok(Address::Tcp(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect_and_what_to_ask() {
        let url: Url = "https://127.0.0.1/a?b=c".parse().unwrap();
        assert_eq!((url.secure, &*url.host, &*url.path), (true, "127.0.0.1", "/a?b=c"));
        assert_eq!(url.resolve(), Ok("127.0.0.1:443".parse().unwrap()));
        let url: Url = "http://[::1]:81".parse().unwrap();
        assert_eq!((&*url.authority, &*url.host, &*url.path), ("[::1]:81", "::1", "/"));
        assert_eq!(url.resolve(), Ok("[::1]:81".parse().unwrap()));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for bad in ["localhost:80", "/a", "ftp://a/", "http://", "http://u:p@a/"] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}
