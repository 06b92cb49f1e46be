//! A connection to the API of another control plane: by TLS where it is at `https://`.
//!
//! The authorities are read with each connection: they are few, as connections are, and a changed file is taken.

use std::{path::Path, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long it may take until the other side is spoken to.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// An open connection, in clear or by TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Where an API is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// `HOST:PORT`.
    pub(super) authority: &'a str,
    secure: bool,
}

impl<'a> Place<'a> {
    /// Reads `http://HOST:PORT` or `https://HOST:PORT`.
    pub(super) fn of(url: &'a str) -> Option<Self> {
        let plain = url.strip_prefix("http://").map(|authority| Self { authority, secure: false });
        plain.or_else(|| url.strip_prefix("https://").map(|authority| Self { authority, secure: true }))
    }

    /// Connects; `ca` are the authorities that are trusted, the system's where there are none.
    pub(super) async fn dial(self, ca: Option<&Path>) -> Result<Box<dyn Stream>, String> {
        let connect = async {
            let stream = TcpStream::connect(self.authority).await.map_err(|error| error.to_string())?;
            if !self.secure {
                return Ok(Box::new(stream) as Box<dyn Stream>);
            }
            let host = self.authority.rsplit_once(':').map_or(self.authority, |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
            let connector = TlsConnector::from(Arc::new(config(ca)?));
            let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        };
        match timeout(CONNECT_WAIT, connect).await {
            Ok(connected) => connected,
            Err(_) => Err(format!("there was no connection within {} s", CONNECT_WAIT.as_secs())),
        }
    }
}

fn config(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let trusted: Vec<CertificateDer<'static>> = match ca {
        Some(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| format!("{} can't be read: {error}", path.display()))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    if roots.add_parsable_certificates(trusted).0 == 0 {
        return Err("no authority is trusted: set control.etcd.advertise.ca".into());
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_its_url_and_nothing_else() {
        assert_eq!(Place::of("http://a:1"), Some(Place { authority: "a:1", secure: false }));
        assert_eq!(Place::of("https://[::1]:1"), Some(Place { authority: "[::1]:1", secure: true }));
        assert_eq!(Place::of("a:1"), None);
    }

    #[tokio::test]
    async fn without_an_authority_nobody_is_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let refused = Place::of(&url).unwrap().dial(Some(&empty)).await.err().unwrap();
        assert!(refused.contains("control.etcd.advertise.ca"), "{refused}");
    }
}
