//! TLS on either side: what clients are shown, what endpoints must prove, and files that change meanwhile.
//!
//! Everything that comes from a file is a [`reading::Reading`]: it keeps the last good state, so a certificate
//! that was copied by halves never reaches a handshake. [`server::Acceptor`] and [`client::Connector`] are
//! handles; each handshake takes the configuration of its moment, and a connection keeps what it began with.
//! [`store::Store`] holds all of them and [`watch`] looks at their files, on the housekeeping runtime: a worker
//! never reads a file. rustls does the cryptography, with aws-lc's primitives, named explicitly so that nothing
//! hangs on a process-wide default.

pub(crate) mod client;
mod facts;
mod handshake;
mod pem;
mod reading;
pub(crate) mod server;
pub(crate) mod store;
mod watch;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use serin_config::file::{TlsFault, TlsFiles};

pub use self::reading::Unusable;
pub(crate) use self::{client::Connector, facts::Identity, server::Acceptor, store::Store, watch::watch};

/// Whether files that a configuration names can be used: they can be read, parse, and belong together. An
/// expired certificate can be used; it is warned of when it is taken.
///
/// # Errors
/// Which file can't be used, and why.
pub fn check(files: TlsFiles<'_>) -> Result<(), TlsFault> {
    match files {
        TlsFiles::Pair(pair) => pem::read(&pair.cert)
            .map_err(TlsFault::Certificates)
            .and_then(|cert| Ok((cert, pem::read(&pair.key).map_err(TlsFault::Key)?)))
            .and_then(|(cert, key)| pem::pair(&cert, &key, &provider()).map(drop)),
        TlsFiles::Authorities(path) => pem::read(path)
            .and_then(|bytes| pem::authorities(&bytes))
            .map(drop)
            .map_err(TlsFault::Certificates),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
