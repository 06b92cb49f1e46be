//! Certificates for one test: an authority of its own, and what it signs, as files.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

/// An authority; its files go with it.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) der: CertificateDer<'static>,
}

impl Files {
    /// As a configuration file has them.
    pub(crate) fn json(&self) -> Value {
        json!({ "cert": self.cert, "key": self.key })
    }

    /// Takes the place of others, in the steps in which a renewal does: a certificate, then its key.
    pub(crate) fn replace(&self, others: &Files) {
        for (new, old) in [(&self.cert, &others.cert), (&self.key, &others.key)] {
            let beside = old.with_extension("new");
            fs::copy(new, &beside).unwrap();
            fs::rename(beside, old).unwrap();
        }
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    /// The file of its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// Its own certificate.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A server's certificate for these names and IP addresses, in files of that name.
    pub(crate) fn server(&self, file: &str, names: &[&str]) -> Files {
        self.issue(file, |params| {
            params.subject_alt_names = names.iter().map(|name| alternative(name)).collect();
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }

    /// A client's certificate with this common name, and these URIs and DNS names.
    pub(crate) fn client(&self, common_name: &str, uris: &[&str], dns: &[&str]) -> Files {
        self.issue(common_name, |params| {
            params.distinguished_name = named(common_name);
            let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
            params.subject_alt_names = uris.chain(dns.iter().map(|name| alternative(name))).collect();
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    /// A certificate as `form` makes it, in files of that name.
    pub(crate) fn issue(&self, file: &str, form: impl FnOnce(&mut CertificateParams)) -> Files {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        form(&mut params);
        let own = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&own, &self.issuer).unwrap();
        let at = |extension: &str| self.directory.path().join(format!("{file}.{extension}"));
        let files = Files { cert: at("crt"), key: at("key"), der: certificate.der().clone() };
        fs::write(&files.cert, certificate.pem()).unwrap();
        fs::write(&files.key, own.serialize_pem()).unwrap();
        files
    }

    /// A path beside its files.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn alternative(name: &str) -> SanType {
    match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into().unwrap()),
    }
}

/// Days from now as a certificate counts them.
pub(crate) fn in_days(days: i64) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        params.subject_alt_names = vec![alternative("localhost")];
        params.not_after = (std::time::SystemTime::now()
            + std::time::Duration::from_secs(u64::try_from(days).unwrap() * 24 * 3600))
        .into();
    }
}

/// The text of a file as one argument of a program.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}
