//! Opening a connection: TCP or a Unix socket, and TLS above it where the target is asked for that.

use std::{io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use serin_config::Address;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::io::Io;
use crate::target::Protocol;

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those of the authorities that this system believes.
    #[default]
    System,
    /// Those of the authorities in a PEM text, and no others.
    Authorities(Vec<u8>),
    /// Anybody's: the name says what that is worth.
    DangerAnybody,
}

/// TLS of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The name that the server's certificate must hold; it is sent as SNI.
    pub server_name: String,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Whether a new connection may take up an earlier one's session; full handshakes otherwise.
    pub resumption: bool,
}

/// Why no TLS can be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The name is none that a certificate can hold.
    #[error("\"{0}\" is not a name that a certificate can hold: give a host name or an IP address")]
    Name(String),
    /// The authorities can't be read.
    #[error("the certificates of authorities can't be used: {0}")]
    Authorities(String),
    /// This build of TLS can't do what is asked.
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The way to a target.
#[derive(Clone)]
pub(crate) struct Dial {
    address: Address,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.address, if self.tls.is_some() { " over TLS" } else { "" })
    }
}

impl Dial {
    pub(crate) fn new(address: Address, tls: Option<&Tls>, protocol: Protocol) -> Result<Self, TlsError> {
        let tls = tls.map(|tls| secured(tls, protocol)).transpose()?;
        Ok(Self { address, tls })
    }

    pub(crate) async fn open(&self) -> io::Result<Io> {
        match (&self.address, &self.tls) {
            (Address::Tcp(address), None) => Ok(Io::Tcp(tcp(address).await?)),
            (Address::Unix(path), None) => Ok(Io::Unix(UnixStream::connect(path).await?)),
            (Address::Tcp(address), Some((connector, name))) => {
                let stream = connector.connect(name.clone(), tcp(address).await?).await?;
                Ok(Io::TcpTls(Box::new(stream)))
            }
            (Address::Unix(path), Some((connector, name))) => {
                let stream = connector.connect(name.clone(), UnixStream::connect(path).await?).await?;
                Ok(Io::UnixTls(Box::new(stream)))
            }
        }
    }
}

async fn tcp(address: &std::net::SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn secured(tls: &Tls, protocol: Protocol) -> Result<(TlsConnector, ServerName<'static>), TlsError> {
    let name =
        ServerName::try_from(tls.server_name.clone()).map_err(|_| TlsError::Name(tls.server_name.clone()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let mut config = match &tls.trust {
        Trust::DangerAnybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth(),
        trust => builder.with_root_certificates(roots(trust)?).with_no_client_auth(),
    };
    if !tls.resumption {
        config.resumption = rustls::client::Resumption::disabled();
    }
    config.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    Ok((TlsConnector::from(Arc::new(config)), name))
}

fn roots(trust: &Trust) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let wrong = |why: String| TlsError::Authorities(why);
    if let Trust::Authorities(pem) = trust {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
    }
    if roots.is_empty() { Err(wrong("there is none".into())) } else { Ok(roots) }
}

/// Reads a file of authorities.
///
/// # Errors
/// The file can't be read.
pub fn authorities(file: &Path) -> io::Result<Trust> {
    std::fs::read(file).map(Trust::Authorities)
}

/// Believes everybody, but still wants signatures that fit the certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
