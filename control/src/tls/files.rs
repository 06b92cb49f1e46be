//! PEM files → the configuration of a server. No error shows anything of a key.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
    sync::Arc,
};

use rustls::{
    InconsistentKeys, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use serin_config::{
    limits::PEM_BYTES_MAX,
    tls::{CertificateFiles, ClientCertificates, ListenerTls, TlsVersion},
};

use super::{TlsError, holder};

/// The bytes of each file, or why it can't be read: the pairs in order, then the authorities.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pairs: Vec<[Result<Vec<u8>, String>; 2]>,
    authorities: Option<Result<Vec<u8>, String>>,
}

pub(super) fn read(settings: &ListenerTls) -> Contents {
    let pairs = settings.certificates.iter().map(|pair| [read_file(&pair.cert), read_file(&pair.key)]);
    let authorities = settings.client_certificates.as_ref().map(|clients| read_file(&clients.ca));
    Contents { pairs: pairs.collect(), authorities }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PEM_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() > PEM_BYTES_MAX => Err(format!("it has more than {PEM_BYTES_MAX} bytes")),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Err("there is no such file".into()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err("permission denied; it must be readable for this user".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Makes the configuration of a server.
pub(super) fn configure(
    settings: &ListenerTls,
    protocols: &[Vec<u8>],
    contents: &Contents,
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut shown = Vec::new();
    for (files, contents) in settings.certificates.iter().zip(&contents.pairs) {
        shown.push(pair(files, contents, &provider)?);
    }
    let first = settings.certificates.first().map(|pair| pair.cert.clone()).unwrap_or_default();
    let fault = |error: String| TlsError { path: first.clone(), why: error };
    let versions: &[_] = match settings.min_version {
        TlsVersion::Tls12 => &[&TLS13, &TLS12],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| fault(error.to_string()))?;
    let builder = match (&settings.client_certificates, &contents.authorities) {
        (Some(ClientCertificates { ca, required }), Some(bytes)) => {
            let unusable = |why: String| TlsError { path: ca.clone(), why };
            let roots = authorities(bytes).map_err(unusable)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if *required { verifier } else { verifier.allow_unauthenticated() };
            let verifier = verifier.build().map_err(|error| unusable(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(BySni(shown)));
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}

/// A certificate that is shown, and the DNS names that it is for.
#[derive(Debug)]
struct Shown {
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

fn pair(
    files: &CertificateFiles,
    [cert, key]: &[Result<Vec<u8>, String>; 2],
    provider: &CryptoProvider,
) -> Result<Shown, TlsError> {
    let bad_cert = |why: String| TlsError { path: files.cert.clone(), why };
    let bad_key = |why: &str| TlsError { path: files.key.clone(), why: why.into() };
    let chain = certificates(cert).map_err(bad_cert)?;
    let names = chain.first().map(|own| holder::dns_names(own)).unwrap_or_default();
    let key = key.as_ref().map_err(|why| bad_key(why))?;
    // What is wrong with a key is said without any of its text.
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        bad_key("no private key is in it (BEGIN PRIVATE KEY); an encrypted one can't be used")
    })?;
    match CertifiedKey::from_der(chain, key, provider) {
        Ok(key) => Ok(Shown { names, key: Arc::new(key) }),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(bad_key("it is not the key of the certificate"))
        }
        Err(_) => {
            Err(bad_key("it holds a key of an unsupported kind (use ECDSA P-256/P-384, RSA or Ed25519)"))
        }
    }
}

/// Certificates that may sign others; every one of the file must be good, so that none is missing unnoticed.
fn authorities(bytes: &Result<Vec<u8>, String>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates(bytes)?.into_iter().enumerate() {
        roots
            .add(certificate)
            .map_err(|error| format!("certificate {} of it is malformed: {error}", at + 1))?;
    }
    Ok(roots)
}

fn certificates(bytes: &Result<Vec<u8>, String>) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = bytes.as_ref().map_err(Clone::clone)?;
    let chain = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("it is not a PEM file: {error}"))?;
    if chain.is_empty() { Err("no certificate is in it (BEGIN CERTIFICATE)".into()) } else { Ok(chain) }
}

/// Chooses by the name that the client asks for; the first is for everybody else.
#[derive(Debug)]
struct BySni(Vec<Shown>);

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = hello.server_name();
        let fits =
            |shown: &&Shown| wanted.is_some_and(|wanted| shown.names.iter().any(|name| is(name, wanted)));
        self.0.iter().find(fits).or_else(|| self.0.first()).map(|shown| shown.key.clone())
    }
}

/// Whether a name of a certificate is that name; its `*` stands for one label (RFC 9525, 6.3).
fn is(name: &str, wanted: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => wanted
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => name.eq_ignore_ascii_case(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_in_a_certificate_stands_for_one_label() {
        assert!(is("a.example", "A.example") && is("*.example", "a.example"));
        assert!(
            !is("*.example", "example") && !is("*.example", "a.b.example") && !is("a.example", "b.example")
        );
    }
}
