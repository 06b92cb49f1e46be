//! Over a pipe: who is let in, whom a certificate names, and files that change meanwhile.

use std::{fs, path::Path};

use rcgen::{CertificateParams, DnType, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{PrivateKeyDer, ServerName, pem::PemObject},
};
use serin_config::{
    grant::CertificateName,
    tls::{CertificateFiles, ClientCertificates, TlsVersion},
};
use tokio_rustls::TlsConnector;

use super::*;

struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// A certificate and its key.
    fn sign(&self, common_name: &str, alternatives: Vec<SanType>) -> (String, String) {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = alternatives;
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn settings(directory: &Path, authority: &Authority, required: bool) -> ListenerTls {
    let file = |name: &str| directory.join(name);
    fs::write(file("ca.pem"), &authority.1).unwrap();
    write_pair(directory, &authority.sign("server", vec![dns("control.example")]));
    ListenerTls {
        certificates: vec![CertificateFiles { cert: file("server.crt"), key: file("server.key") }],
        min_version: TlsVersion::Tls12,
        client_certificates: Some(ClientCertificates { ca: file("ca.pem"), required }),
        http2: false,
    }
}

fn write_pair(directory: &Path, (cert, key): &(String, String)) {
    fs::write(directory.join("server.crt"), cert).unwrap();
    fs::write(directory.join("server.key"), key).unwrap();
}

/// Connects through a pipe, and gives whom the server sees.
async fn holder(
    acceptor: &Acceptor,
    trusted: &Authority,
    shown: Option<&(String, String)>,
) -> io::Result<Option<Holder>> {
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(trusted.1.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let cert = rustls::pki_types::CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![cert], key).unwrap()
        }
    };
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from("control.example").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let (client, server) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    client?;
    server.map(|(_, holder)| holder)
}

#[tokio::test]
async fn a_client_is_whom_its_certificate_names_and_one_of_a_stranger_is_turned_away() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (acceptor, _renewal) = open(&settings(directory.path(), &authority, false), &[b"http/1.1"]).unwrap();
    assert_eq!(holder(&acceptor, &authority, None).await.unwrap(), None);

    let uri = SanType::URI("spiffe://example/ci".try_into().unwrap());
    let shown = authority.sign("ci, bot", vec![uri, dns("ci.example")]);
    let found = holder(&acceptor, &authority, Some(&shown)).await.unwrap().unwrap();
    assert!(found.is(&CertificateName::Subject("CN=ci\\2C bot".into())), "{found:?}");
    assert!(found.is(&CertificateName::Uri("spiffe://example/ci".into())));
    assert!(found.is(&CertificateName::Dns("CI.example".into())));
    assert!(!found.is(&CertificateName::Subject("CN=ci".into())));
    assert!(!found.is(&CertificateName::Uri("ci.example".into())), "a name of one kind is none of another");

    let stranger = Authority::new().sign("ci, bot", vec![]);
    let refused = holder(&acceptor, &authority, Some(&stranger)).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn a_required_certificate_is_required() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (acceptor, _renewal) = open(&settings(directory.path(), &authority, true), &[b"http/1.1"]).unwrap();
    assert!(holder(&acceptor, &authority, None).await.is_err());
    let shown = authority.sign("ci", vec![]);
    assert!(holder(&acceptor, &authority, Some(&shown)).await.unwrap().is_some());
}

#[tokio::test]
async fn changed_files_are_taken_when_they_have_settled_and_bad_ones_leave_the_last_good() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    let (acceptor, mut renewal) = open(&settings(directory.path(), &old, false), &[b"http/1.1"]).unwrap();
    assert_eq!(renewal.look(), Look::Same);
    assert!(holder(&acceptor, &old, None).await.is_ok());

    fs::write(directory.path().join("server.key"), "half of it").unwrap();
    assert_eq!(renewal.look(), Look::Unsettled);
    let Look::Refused(fault) = renewal.look() else { panic!("a bad key was taken") };
    assert!(fault.path.ends_with("server.key") && !fault.why.contains("half of it"), "{fault}");
    assert_eq!(renewal.look(), Look::Same, "it is said once");
    assert!(holder(&acceptor, &old, None).await.is_ok());

    write_pair(directory.path(), &new.sign("server", vec![dns("control.example")]));
    assert_eq!([renewal.look(), renewal.look()], [Look::Unsettled, Look::Taken]);
    assert!(holder(&acceptor, &new, None).await.is_ok());
    assert!(holder(&acceptor, &old, None).await.is_err());
}

#[test]
fn a_file_that_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path(), &Authority::new(), false);
    fs::remove_file(directory.path().join("ca.pem")).unwrap();
    let fault = open(&settings, &[]).unwrap_err();
    assert!(fault.to_string().contains("ca.pem can't be used for TLS: there is no such file"), "{fault}");
}
