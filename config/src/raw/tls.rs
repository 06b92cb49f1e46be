//! TLS on either side, as it is written.

use serde_json::{Value, json};

use super::{
    decode::{Fault, Leaf, List},
    record::record,
};
use crate::{
    problem::{nearest, shown},
    tls::{HttpProtocol, TlsVersion},
};

record! {
    /// TLS of a listener.
    pub struct ListenerTls {
        /// Certificates with their keys; at least one. The client's server name (SNI) chooses by the names in
        /// the certificates; the first is the default. Changed files are taken without a restart.
        required @ certificates: List<CertificateFiles>,
        /// The oldest version that is spoken: "1.2" or "1.3". Default: "1.2".
        @ min_version: TlsVersion,
        /// The file (PEM) of the certificates that may sign those of clients, relative to this file's directory.
        /// Default: clients are not asked for certificates.
        @ client_ca: String,
        /// What clients must show: required turns those without a certificate away, optional lets them in, none
        /// does not ask. Default: required where client_ca is given, else none.
        @ client_auth: ClientAuth,
        /// false: HTTP/2 is not offered (ALPN). Default: true.
        @ http2: bool,
    }

    /// TLS of the control plane's API.
    pub struct ApiTls {
        /// Certificates with their keys; at least one. The client's server name (SNI) chooses by the names in
        /// the certificates; the first is the default. Changed files are taken without a restart.
        required @ certificates: List<CertificateFiles>,
        /// The oldest version that is spoken: "1.2" or "1.3". Default: "1.2".
        @ min_version: TlsVersion,
        /// The file (PEM) of the certificates that may sign those of clients, relative to this file's directory.
        /// Default: clients are not asked for certificates.
        @ client_ca: String,
        /// What clients must show: required turns those without a certificate away, optional lets them in, who then
        /// need a token, none does not ask. Default: optional where client_ca is given, else none.
        @ client_auth: ClientAuth,
    }

    /// A certificate and its private key, PEM files, relative to this file's directory.
    pub struct CertificateFiles {
        /// The chain, the own certificate first.
        required @ cert: String,
        /// The private key of that certificate.
        required @ key: String,
    }

    /// TLS to the endpoints of a version; { } is enough. Changed files are taken without a restart.
    pub struct EndpointTls {
        /// The file (PEM) of the certificates that may sign those of endpoints, relative to this file's directory.
        /// Default: the system's.
        @ ca: String,
        /// The name that is asked for (SNI), and that the endpoint's certificate must hold. Default: the name in
        /// dns where the endpoints are found so; else the certificate must hold the endpoint's IP address.
        @ server_name: String,
        /// The file (PEM) of the certificate that is shown to endpoints which ask for one. Default: none is.
        @ cert: String,
        /// The file (PEM) of its private key.
        @ key: String,
    }
}

/// What clients must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// A certificate that verifies, or none at all.
    Optional,
    /// A certificate that verifies.
    Required,
}

/// The choice of that name; otherwise the one that was probably meant, or all of them.
fn choice<T: Copy>(text: &str, choices: &[(&str, T)], what: &str, expected: &str) -> Result<T, Fault> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
        let right = match nearest(text, choices.iter().map(|(name, _)| *name)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("write {expected}"),
        };
        Fault::new(format!("\"{}\" is not {what}", shown(text)), right)
    })
}

const TLS_VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];

impl Leaf for TlsVersion {
    const EXPECTED: &'static str = "\"1.2\" or \"1.3\"";
    fn read(text: &str) -> Result<Self, Fault> {
        let number = text.strip_prefix("TLS").unwrap_or(text).trim_start_matches(['v', ' ']);
        let wrong =
            || Fault::new(format!("TLS \"{}\" is not spoken", shown(text)), "write \"1.2\" or \"1.3\"");
        let found = TLS_VERSIONS.iter().find(|(name, _)| *name == number);
        found.map(|(_, version)| *version).ok_or_else(wrong)
    }
    fn schema() -> Value {
        json!({ "enum": ["1.2", "1.3", 1.2, 1.3] })
    }
}

const CLIENT_AUTH: [(&str, ClientAuth); 3] =
    [("none", ClientAuth::None), ("optional", ClientAuth::Optional), ("required", ClientAuth::Required)];

impl Leaf for ClientAuth {
    const EXPECTED: &'static str = "none, optional or required";
    fn read(text: &str) -> Result<Self, Fault> {
        choice(text, &CLIENT_AUTH, "what can be asked of clients", Self::EXPECTED)
    }
    fn schema() -> Value {
        json!({ "enum": CLIENT_AUTH.map(|(name, _)| name) })
    }
}

const HTTP_PROTOCOLS: [(&str, HttpProtocol); 3] =
    [("http1", HttpProtocol::Http1), ("http2", HttpProtocol::Http2), ("auto", HttpProtocol::Auto)];

impl Leaf for HttpProtocol {
    const EXPECTED: &'static str = "http1, http2 or auto";
    fn read(text: &str) -> Result<Self, Fault> {
        choice(text, &HTTP_PROTOCOLS, "a protocol that is spoken with endpoints", Self::EXPECTED)
    }
    fn schema() -> Value {
        json!({ "enum": HTTP_PROTOCOLS.map(|(name, _)| name) })
    }
}
