//! TLS to a control plane: whom to believe, and who to be.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serin_config::limits::PEM_BYTES_MAX;

use super::super::config_file::read_at_most;

/// Why there is no TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::commands) enum TlsError {
    #[error("{path}: {why}")]
    File { path: String, why: String },
    #[error(
        "this system has no certificates of authorities to check a server by: give the right one with --ca"
    )]
    NoRoots,
    #[error("the certificate {cert} can't be used with the key {key}: {why}")]
    Identity { cert: String, key: String, why: String },
    #[error("TLS can't be set up: {0}")]
    Setup(String),
}

/// By the authorities in `ca` only, or else by those of the system; as the owner of a certificate, or as nobody.
pub(super) fn config(
    ca: Option<&Path>,
    identity: Option<(&Path, &Path)>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .with_root_certificates(roots(ca)?);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let wrong = |error: rustls::Error| TlsError::Identity {
                cert: cert.display().to_string(),
                key: key.display().to_string(),
                why: error.to_string(),
            };
            builder.with_client_auth_cert(certificates(cert)?, private_key(key)?).map_err(wrong)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| wrong(path, error))?;
            }
        }
        None => {
            // Some of a system's may be unreadable or odd; the others do.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong(path, "no certificate is in it (BEGIN CERTIFICATE)")),
        Err(error) => Err(wrong(path, error)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    // What is wrong with a key is said without any of its text.
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| {
        wrong(path, "no private key is in it (BEGIN PRIVATE KEY); an encrypted one can't be used")
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    match read_at_most(path, PEM_BYTES_MAX) {
        Ok(bytes) if bytes.len() > PEM_BYTES_MAX => {
            Err(wrong(path, format!("it has more than {PEM_BYTES_MAX} bytes")))
        }
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(wrong(path, "there is no such file"))
        }
        Err(error) => Err(wrong(path, error)),
    }
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> TlsError {
    TlsError::File { path: path.display().to_string(), why: why.to_string() }
}
