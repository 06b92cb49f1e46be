//! Who the client has proved to be: the identity in its verified certificate, and how endpoints are told.
//!
//! The header is `x-forwarded-client-cert` in Envoy's form, one element of pairs joined by `;`:
//! `Hash=<SHA-256 of the certificate, hexadecimal>;Subject="<RFC 4514>";URI=<…>;DNS=<…>`, the last two once for
//! each name. Whatever a client writes there itself is removed, from trusted proxies too: it is an identity, not
//! a hint. What a certificate holds was signed by an authority but chosen by who asked for it, so nothing in it
//! may end its own value: a value that holds a delimiter stands in quotes, and a quote or backslash is never
//! written as such but by its code, so that two ways to read an escape can't disagree.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};
pub use serin_config::subject::text as subject;
use serin_config::{limits::CLIENT_CERT_HEADER_BYTES_MAX, subject::escape};

/// The header that tells endpoints who the client has proved to be.
pub const HEADER: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// The identity in a verified client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientCert {
    /// SHA-256 of the certificate.
    pub sha256: [u8; 32],
    /// The subject as text (RFC 4514), empty if it has none.
    pub subject: String,
    /// The common name in the subject.
    pub common_name: Option<String>,
    /// Names of type URI, in order; the first is its SPIFFE ID if it has one.
    pub uris: Vec<String>,
    /// Names of type DNS, in order.
    pub dns: Vec<String>,
}

impl ClientCert {
    /// The value of the header. Names that would make it too long are left out whole: half a name would be
    /// another identity.
    pub fn header(&self) -> Option<HeaderValue> {
        let mut value = String::from("Hash=");
        for byte in self.sha256 {
            // Writing to a String does not fail.
            let _ = write!(value, "{byte:02x}");
        }
        let subject = (!self.subject.is_empty()).then(|| format!("Subject=\"{}\"", written(&self.subject)));
        let uris = self.uris.iter().map(|uri| format!("URI={}", quoted(&written(uri))));
        let dns = self.dns.iter().map(|name| format!("DNS={}", quoted(&written(name))));
        for pair in subject.into_iter().chain(uris).chain(dns) {
            if value.len() + 1 + pair.len() <= CLIENT_CERT_HEADER_BYTES_MAX {
                value.push(';');
                value.push_str(&pair);
            }
        }
        HeaderValue::try_from(value).ok()
    }
}

impl ClientCert {
    /// Whether one of its names is `wanted`, or begins with what stands before a `*` at the end of `wanted`.
    pub fn matches(&self, wanted: &str) -> bool {
        let mut names = self.uris.iter().chain(&self.dns);
        match wanted.strip_suffix('*') {
            Some(beginning) => names.any(|name| name.starts_with(beginning)),
            None => names.any(|name| name == wanted),
        }
    }
}

/// Removes whatever the client says of its certificate, and says what is true.
pub fn write(headers: &mut HeaderMap, proved: Option<&HeaderValue>) {
    match proved {
        Some(proved) => drop(headers.insert(HEADER, proved.clone())),
        None => drop(headers.remove(HEADER)),
    }
}

/// A value without quotes, controls and characters beyond ASCII; names that are valid hold none of them. The
/// backslash is kept for the codes of a subject only.
fn written(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        let code = c == '\\' && chars.peek().is_some_and(char::is_ascii_hexdigit);
        if code || ((' '..='~').contains(&c) && !matches!(c, '"' | '\\')) {
            text.push(c);
        } else {
            escape(c, '%', &mut text);
        }
    }
    text
}

fn quoted(value: &str) -> String {
    let delimiter = |c| matches!(c, ',' | ';' | '=' | ' ');
    if value.is_empty() || value.contains(delimiter) { format!("\"{value}\"") } else { value.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(cert: &ClientCert) -> String {
        cert.header().unwrap().to_str().unwrap().into()
    }

    /// Reads the header as its receivers do: pairs between `;` outside quotes.
    fn pairs(header: &str) -> Vec<(String, String)> {
        let (mut pairs, mut quoted, mut pair) = (Vec::new(), false, String::new());
        for c in header.chars().chain([';']) {
            match c {
                '"' => quoted = !quoted,
                ';' if !quoted => pairs.extend(pair.split_once('=').map(|(k, v)| (k.into(), v.into()))),
                _ => {}
            }
            if c == ';' && !quoted {
                pair.clear();
            } else if c != '"' {
                pair.push(c);
            }
        }
        assert!(!quoted, "{header}");
        pairs
    }

    #[test]
    fn a_name_matches_whole_or_by_its_beginning() {
        let uris = vec!["spiffe://example/shop/web".into()];
        let cert = ClientCert { uris, dns: vec!["web.shop.internal".into()], ..ClientCert::default() };
        for (wanted, matches) in [
            ("web.shop.internal", true),
            ("spiffe://example/shop/*", true),
            ("spiffe://example/shop", false),
            ("spiffe://example/other/*", false),
            ("*", true),
        ] {
            assert_eq!(cert.matches(wanted), matches, "{wanted}");
        }
        assert!(!ClientCert::default().matches("*"));
    }

    #[test]
    fn the_header_has_the_form_that_envoy_gave_it() {
        let cert = ClientCert {
            sha256: [0xab; 32],
            subject: subject([("C", "DE"), ("O", "Shop, Inc."), ("CN", "orders")].into_iter()),
            common_name: Some("orders".into()),
            uris: vec!["spiffe://shop.example/ns/a/sa/orders".into()],
            dns: vec!["orders.shop.example".into(), "orders".into()],
        };
        let hash = "ab".repeat(32);
        assert_eq!(
            text(&cert),
            format!(
                "Hash={hash};Subject=\"CN=orders,O=Shop\\2C Inc.,C=DE\";\
                 URI=spiffe://shop.example/ns/a/sa/orders;DNS=orders.shop.example;DNS=orders"
            )
        );
    }

    #[test]
    fn a_name_can_not_end_its_value_and_begin_another() {
        let evil = "x\";URI=spiffe://shop.example/admin;DNS=\"";
        let cert = ClientCert {
            subject: subject([("CN", evil)].into_iter()),
            uris: vec![evil.into(), "a\\\"b".into()],
            dns: vec!["a;b=c,d".into(), "é\n".into()],
            ..ClientCert::default()
        };
        let keys: Vec<_> = pairs(&text(&cert)).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["Hash", "Subject", "URI", "URI", "DNS", "DNS"], "{}", text(&cert));
    }

    #[test]
    fn names_that_are_too_long_are_left_out_whole() {
        let long = "a".repeat(CLIENT_CERT_HEADER_BYTES_MAX);
        let cert = ClientCert { uris: vec![long, "spiffe://a/b".into()], ..ClientCert::default() };
        assert!(text(&cert).len() < 100 && text(&cert).ends_with(";URI=spiffe://a/b"), "{}", text(&cert));
    }

    #[test]
    fn what_a_client_says_of_itself_is_removed() {
        let forged =
            || HeaderMap::from_iter([(HEADER, HeaderValue::from_static("Hash=00;URI=spiffe://a/admin"))]);
        let (mut none, mut some) = (forged(), forged());
        some.append(HEADER, HeaderValue::from_static("Hash=11"));
        write(&mut none, None);
        assert!(none.is_empty());
        write(&mut some, Some(&HeaderValue::from_static("Hash=22")));
        assert_eq!(some.get_all(HEADER).iter().collect::<Vec<_>>(), ["Hash=22"]);
    }

    proptest! {
        #[test]
        fn any_certificate_has_a_header_of_its_own_pairs_alone(cn in "\\PC{0,20}|.{0,20}", uri in ".{0,30}", dns in ".{0,30}") {
            let cert = ClientCert {
                subject: subject([("O", "a"), ("CN", cn.as_str())].into_iter()),
                uris: vec![uri],
                dns: vec![dns],
                ..ClientCert::default()
            };
            let keys: Vec<_> = pairs(&text(&cert)).into_iter().map(|(key, _)| key).collect();
            prop_assert_eq!(keys, ["Hash", "Subject", "URI", "DNS"]);
        }
    }
}
