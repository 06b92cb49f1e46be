//! TLS on either side: what a listener shows and asks of its clients, what a version's endpoints must prove.
//!
//! Only paths stand here. The files are read, checked and read again by the data plane; what is in them is
//! never part of a plan, so a plan can be shown.

use std::{fmt, path::PathBuf};

use serde::Serialize;

/// A certificate chain and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct CertificateFiles {
    /// The chain, the server's or client's own certificate first.
    pub cert: PathBuf,
    /// The private key of that first certificate.
    pub key: PathBuf,
}

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246), with forward-secret AEAD cipher suites only.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        })
    }
}

/// Certificates of clients, and by whom they must be signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ClientCertificates {
    /// The certificates, PEM, that may sign those of clients.
    pub ca: PathBuf,
    /// Whether a client without one is turned away. One with a certificate that does not verify always is.
    pub required: bool,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListenerTls {
    /// At least one. The client's server name (SNI) chooses by the names in the certificates; the first is
    /// shown to clients that ask for none of them, or do not ask.
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version that is spoken. Default 1.2.
    pub min_version: TlsVersion,
    /// Whether clients are asked for certificates.
    pub client_certificates: Option<ClientCertificates>,
    /// Whether HTTP/2 is offered (ALPN `h2`). Default true.
    pub http2: bool,
}

/// TLS to the endpoints of a version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct EndpointTls {
    /// The certificates, PEM, that may sign those of endpoints; the system's where absent.
    pub ca: Option<PathBuf>,
    /// The name that is asked for (SNI) and that the certificate must hold. Where absent, the certificate must
    /// hold the endpoint's IP address.
    pub server_name: Option<String>,
    /// What this proxy shows to endpoints that ask for a certificate.
    pub client_certificate: Option<CertificateFiles>,
}

/// Which HTTP is spoken with the endpoints of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: by ALPN over TLS, with prior knowledge in clear.
    Http2,
    /// What the endpoint chooses over TLS (ALPN); HTTP/1.1 in clear.
    Auto,
}

impl fmt::Display for HttpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Auto => "auto",
        })
    }
}
