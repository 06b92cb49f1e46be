//! PEM files → certificates and keys, with errors for people. No error shows anything of a key.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
    sync::Arc,
};

use rustls::{
    InconsistentKeys, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use serin_config::{file::TlsFault, limits::PEM_BYTES_MAX};

use super::facts::{self, Facts};

/// A certificate chain with its key, and what is to be known of its own certificate.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: Facts,
}

/// Reads a file that is small enough to be PEM.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let opened =
        File::open(path).and_then(|file| file.take(PEM_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    match opened {
        Ok(_) if bytes.len() > PEM_BYTES_MAX => Err(format!("it has more than {PEM_BYTES_MAX} bytes")),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Err("there is no such file".into()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err("permission denied; it must be readable for this user".into())
        }
        Err(error) if error.kind() == ErrorKind::IsADirectory => Err("it is a directory".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// A chain and the key of its first certificate.
pub(super) fn pair(cert: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<Pair, TlsFault> {
    let chain = certificates(cert).map_err(TlsFault::Certificates)?;
    let facts = facts::of(&chain[0]).map_err(TlsFault::Certificates)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
        TlsFault::Key(match error {
            rustls::pki_types::pem::Error::NoItemsFound => {
                "no private key is in it (BEGIN PRIVATE KEY); an encrypted one can't be used".into()
            }
            // What is wrong with a key is said without any of its text.
            _ => "it is not a PEM file".into(),
        })
    })?;
    match CertifiedKey::from_der(chain, key, provider) {
        Ok(key) => Ok(Pair { key: Arc::new(key), facts }),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(TlsFault::Key("it is not the key of the certificate".into()))
        }
        Err(_) => Err(TlsFault::Key(
            "it holds a key of an unsupported kind (use ECDSA P-256/P-384, RSA or Ed25519)".into(),
        )),
    }
}

/// Certificates that may sign others; every one of the file must be good, so that none is missing unnoticed.
pub(super) fn authorities(bytes: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates(bytes)?.into_iter().enumerate() {
        roots
            .add(certificate)
            .map_err(|error| format!("certificate {} of it is malformed: {error}", at + 1))?;
    }
    Ok(roots)
}

/// The system's certificates; those that can't be understood are passed over, as every system has some.
pub(super) fn system_authorities() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    match found.errors.first() {
        Some(error) if roots.is_empty() => Err(error.to_string()),
        None if roots.is_empty() => Err("the system has no certificates; name some with \"ca\"".into()),
        _ => Ok(roots),
    }
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("it is not a PEM file: {error}"))?;
    if chain.is_empty() { Err("no certificate is in it (BEGIN CERTIFICATE)".into()) } else { Ok(chain) }
}
