//! What stands in a certificate: the names that it is for, when it ends, and whom it identifies.

use std::rc::Rc;

use aws_lc_rs::digest;
use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use serin_split::{ClientCert, client_cert};
use x509_parser::{
    extensions::GeneralName,
    objects::{oid_registry, oid2abbrev},
    prelude::{FromDer, X509Certificate},
    x509::X509Name,
};

/// Of a certificate that is shown to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// The DNS names that it is for; its common name where it has none.
    pub(super) names: Vec<String>,
    /// Its subject as text.
    pub(super) subject: String,
    /// The last second of its life, in seconds since 1970.
    pub(super) not_after: i64,
}

/// Reads the facts.
pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<Facts, String> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("its certificate is malformed: {error}"))?;
    let mut names: Vec<String> = alternatives(&parsed).filter_map(dns).collect();
    if names.is_empty() {
        names.extend(common_name(parsed.subject()));
    }
    Ok(Facts {
        names,
        subject: subject(parsed.subject()),
        not_after: parsed.validity().not_after.timestamp(),
    })
}

/// A client's identity, and how endpoints are told of it.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) cert: Rc<ClientCert>,
    pub(crate) header: Option<HeaderValue>,
}

/// The identity in a certificate that was verified; none if it can't be read, which for a verified one does not
/// happen.
pub(super) fn identity(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    };
    let cert = ClientCert {
        sha256,
        subject: subject(parsed.subject()),
        common_name: common_name(parsed.subject()),
        uris: alternatives(&parsed).filter_map(uri).collect(),
        dns: alternatives(&parsed).filter_map(dns).collect(),
    };
    let header = cert.header();
    Some(Identity { cert: Rc::new(cert), header })
}

fn alternatives<'a>(parsed: &'a X509Certificate<'a>) -> impl Iterator<Item = &'a GeneralName<'a>> {
    let found = parsed.subject_alternative_name().ok().flatten();
    found.into_iter().flat_map(|extension| &extension.value.general_names)
}

fn dns(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    }
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().last()?.as_str().ok().map(Into::into)
}

/// The name as text (RFC 4514). What is no text in it stands as its object identifier without a value.
fn subject(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name
        .iter_attributes()
        .map(|part| {
            let kind = oid2abbrev(part.attr_type(), oid_registry())
                .map_or_else(|_| part.attr_type().to_id_string(), Into::into);
            (kind, part.as_str().unwrap_or_default())
        })
        .collect();
    client_cert::subject(parts.iter().map(|(kind, value)| (kind.as_str(), *value)))
}
