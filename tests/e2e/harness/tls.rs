//! A TLS client whose every choice a test makes, and listeners that speak TLS.

use std::{
    fmt, io,
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};

use super::{
    SOON,
    certs::{Authority, Files},
    serin::Serin,
    wire::{Socket, Wire},
};

/// The name that tests ask for where it does not matter.
pub(crate) const NAME: &str = "localhost";

/// Starts Serin with TLS, as `tls` has it, on its first listener.
pub(crate) fn start_secured(mut config: Value, tls: impl Into<Value>) -> Serin {
    config["listeners"] = json!([{ "tls": tls.into() }]);
    Serin::start(config)
}

/// How a client connects; it remembers sessions from one connection to the next.
#[derive(Clone)]
pub(crate) struct TlsClient(Arc<ClientConfig>);

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsClient")
    }
}

/// What the handshake came to.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) version: ProtocolVersion,
    pub(crate) alpn: Option<String>,
    pub(crate) resumed: bool,
    pub(crate) server: CertificateDer<'static>,
}

impl TlsClient {
    /// Trusts this authority, speaks TLS 1.2 and 1.3, has no certificate and asks for HTTP/1.1.
    pub(crate) fn trusting(authority: &Authority) -> Self {
        Self::with(authority, &[&TLS13, &TLS12], None)
    }

    /// The same with one version of TLS.
    pub(crate) fn of_version(authority: &Authority, version: &'static SupportedProtocolVersion) -> Self {
        Self::with(authority, &[version], None)
    }

    /// The same with a certificate of its own.
    pub(crate) fn with_certificate(authority: &Authority, own: &Files) -> Self {
        Self::with(authority, &[&TLS13, &TLS12], Some(own))
    }

    fn with(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Files>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            Some(own) => {
                let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
                builder.with_client_auth_cert(vec![own.der.clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }

    /// Connects and asks for [`NAME`]. The error is that of the handshake.
    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<(Wire, Agreed)> {
        self.connect_as(address, NAME, b"")
    }

    /// Connects, sends `before` in clear, and asks for a certificate of that name.
    pub(crate) fn connect_as(
        &self,
        address: SocketAddr,
        name: &str,
        before: &[u8],
    ) -> io::Result<(Wire, Agreed)> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SOON))?;
        io::Write::write_all(&mut socket, before)?;
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut connection = ClientConnection::new(self.0.clone(), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        let agreed = Agreed {
            version: connection.protocol_version().expect("the handshake is over"),
            alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            server: connection.peer_certificates().expect("a server has one")[0].clone().into_owned(),
        };
        let stream = Box::new(StreamOwned::new(connection, socket));
        Ok((Wire::new(Socket::Tls(stream)), agreed))
    }
}
