//! Whom a verified client certificate names.

use rustls::pki_types::CertificateDer;
use serin_config::{grant::CertificateName, subject};
use x509_parser::{
    extensions::GeneralName,
    objects::{oid_registry, oid2abbrev},
    prelude::{FromDer, X509Certificate},
    x509::X509Name,
};

/// The names in a verified client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Holder {
    /// The subject as text (RFC 4514), empty if it has none.
    pub(crate) subject: String,
    /// The common names in the subject.
    pub(crate) common: Vec<String>,
    /// Alternative names of type URI.
    pub(crate) uris: Vec<String>,
    /// Alternative names of type DNS.
    pub(crate) dns: Vec<String>,
}

impl Holder {
    /// The names; none if they can't be read, which for a verified certificate does not happen.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let (mut uris, mut dns) = (Vec::new(), Vec::new());
        for name in alternatives(&parsed) {
            match name {
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => dns.push((*name).to_owned()),
                _ => {}
            }
        }
        let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let common = common.map(ToOwned::to_owned).collect();
        Some(Self { subject: text(parsed.subject()), common, uris, dns })
    }

    /// Whether it may speak for the proxy of that name: a common name says so, or an alternative name of type DNS.
    pub(crate) fn is_proxy(&self, name: &str) -> bool {
        self.common.iter().any(|common| common == name)
            || self.dns.iter().any(|dns| dns.eq_ignore_ascii_case(name))
    }

    /// Whether the certificate holds that name.
    pub(crate) fn is(&self, name: &CertificateName) -> bool {
        match name {
            CertificateName::Subject(subject) => !self.subject.is_empty() && self.subject == *subject,
            CertificateName::Uri(uri) => self.uris.contains(uri),
            CertificateName::Dns(name) => self.dns.iter().any(|dns| dns.eq_ignore_ascii_case(name)),
        }
    }
}

/// The DNS names that a server's certificate is for.
pub(super) fn dns_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    Holder::of(certificate).map(|holder| holder.dns).unwrap_or_default()
}

fn alternatives<'a>(parsed: &'a X509Certificate<'a>) -> impl Iterator<Item = &'a GeneralName<'a>> {
    let found = parsed.subject_alternative_name().ok().flatten();
    found.into_iter().flat_map(|extension| &extension.value.general_names)
}

/// What is no text in a name stands as its object identifier without a value.
fn text(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name
        .iter_attributes()
        .map(|part| {
            let kind = oid2abbrev(part.attr_type(), oid_registry())
                .map_or_else(|_| part.attr_type().to_id_string(), Into::into);
            (kind, part.as_str().unwrap_or_default())
        })
        .collect();
    subject::text(parts.iter().map(|(kind, value)| (kind.as_str(), *value)))
}
