//! The listener for proxies: its socket, and its TLS.

use std::io;

use serin_config::{Address, fleet::Fleet};

use crate::{
    api::{BindError, Listener},
    tls::{self, Acceptor, Renewal, TlsError},
};

/// Why proxies can't be served: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FleetBindError {
    /// The address can't be listened on.
    #[error("the listener for proxies can't listen on {address}: {why}; set another control.fleet.address")]
    Address {
        /// Where.
        address: Address,
        /// What stands in the way.
        why: String,
    },
    /// A file that its TLS needs can't be used.
    #[error("the listener for proxies can't serve TLS: {0}")]
    Tls(#[from] TlsError),
}

/// What HTTP is spoken with proxies (ALPN).
const PROTOCOLS: [&[u8]; 1] = [b"h2"];

/// A bound listener for proxies.
pub(crate) struct Door {
    pub(super) listener: Listener,
    pub(super) tls: Option<(Acceptor, Renewal)>,
}

impl Door {
    /// Reads the files and binds.
    pub(crate) async fn bind(fleet: &Fleet) -> Result<Self, FleetBindError> {
        let tls = fleet.tls.as_ref().map(|tls| tls::open(tls, &PROTOCOLS)).transpose()?;
        let listener = Listener::bind(&fleet.address).await.map_err(|error| FleetBindError::Address {
            address: fleet.address.clone(),
            why: match error {
                BindError::InUse(_) => "the address is in use".into(),
                BindError::Denied(_) => "this user may not".into(),
                BindError::NotOurs(_) => "this machine does not have the address".into(),
                BindError::NoDirectory(_) => "its directory does not exist".into(),
                BindError::Io { source, .. } | BindError::Thread(source) => source.to_string(),
                BindError::Fleet(_) | BindError::Tls(_) => io::Error::from(io::ErrorKind::Other).to_string(),
            },
        })?;
        Ok(Self { listener, tls })
    }

    /// Where it listens; the port is the real one.
    pub(crate) fn address(&self) -> &Address {
        self.listener.address()
    }
}
