//! What a route asks for besides host and path. Most ask for nothing, and cost nothing here.

use std::{borrow::Cow, cell::OnceCell, net::IpAddr};

use http::{HeaderName, Method};
use ipnet::IpNet;
use serin_config::matching::{self, ValueMatch};

use super::Asked;
use crate::cookie;

/// Conditions with their names in the form in which requests are asked.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    methods: Vec<Method>,
    headers: Vec<(HeaderName, ValueMatch)>,
    query: Vec<(Box<str>, ValueMatch)>,
    cookies: Vec<(Box<str>, ValueMatch)>,
    client: Vec<IpNet>,
    certificate: Vec<Box<str>>,
}

impl Conditions {
    /// None where every request meets them.
    pub(super) fn new(conditions: &matching::Conditions) -> Option<Box<Self>> {
        if conditions.is_empty() {
            return None;
        }
        let named = |values: &[(String, ValueMatch)]| {
            values.iter().map(|(name, value)| (name.as_str().into(), value.clone())).collect()
        };
        // Names and methods that the file's check has passed can be read.
        let methods =
            conditions.methods.iter().filter_map(|method| Method::from_bytes(method.as_bytes()).ok());
        let headers = conditions.headers.iter();
        let headers = headers.filter_map(|(name, value)| Some((name.parse().ok()?, value.clone())));
        Some(Box::new(Self {
            methods: methods.collect(),
            headers: headers.collect(),
            query: named(&conditions.query),
            cookies: named(&conditions.cookies),
            client: conditions.client.clone(),
            certificate: conditions.client_certificate.iter().map(|name| name.as_str().into()).collect(),
        }))
    }

    /// Whether the request meets all of them; what is cheap to see first.
    pub(super) fn hold(&self, asked: &Asked<'_>, client: &OnceCell<IpAddr>) -> bool {
        let method = self.methods.is_empty() || self.methods.contains(asked.method);
        let headers = || {
            self.headers.iter().all(|(name, wanted)| {
                meets(wanted, asked.headers.get_all(name).iter().map(|value| value.as_bytes().into()))
            })
        };
        let address = || {
            let client = client.get_or_init(asked.client);
            self.client.is_empty() || self.client.iter().any(|network| network.contains(client))
        };
        let certificate = || {
            let known =
                |identity: &crate::ClientCert| self.certificate.iter().any(|name| identity.matches(name));
            self.certificate.is_empty() || asked.identity.is_some_and(known)
        };
        let cookies = || {
            let of = |name| cookie::values(asked.headers, name).map(Cow::Borrowed);
            self.cookies.iter().all(|(name, wanted)| meets(wanted, of(name)))
        };
        let query = || self.query.iter().all(|(name, wanted)| meets(wanted, parameters(asked.query, name)));
        method && headers() && (self.client.is_empty() || address()) && certificate() && cookies() && query()
    }
}

/// Whether one of the values is as wanted; or whether there are some, or none, where that is asked.
fn meets<'a>(wanted: &ValueMatch, mut values: impl Iterator<Item = Cow<'a, [u8]>>) -> bool {
    match wanted {
        ValueMatch::Present(present) => values.next().is_some() == *present,
        ValueMatch::Exact(exact) => values.any(|value| *value == *exact.as_bytes()),
        ValueMatch::Prefix(prefix) => values.any(|value| value.starts_with(prefix.as_bytes())),
        ValueMatch::Regex(pattern) => values.any(|value| pattern.matches(&value)),
    }
}

/// The values of a parameter, as forms encode them: `+` is a space, the rest percent-encoded. A parameter
/// without an equals sign has an empty value.
fn parameters<'a>(query: Option<&'a str>, name: &'a str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).filter_map(move |pair| {
        let (own, value) = pair.split_once('=').unwrap_or((pair, ""));
        (*decoded(own) == *name.as_bytes()).then(|| decoded(value))
    })
}

fn decoded(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(b) = bytes.get(at) {
        let code =
            text.get(at + 1..at + 3).filter(|hex| *b == b'%' && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match (b, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (_, Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', None) => out.push(b' '),
            (other, None) => out.push(*other),
        }
        at += 1;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_found_wherever_they_stand() {
        let values = |query, name| -> Vec<String> {
            parameters(Some(query), name).map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
        };
        assert_eq!(values("a=1&b=x%20y+z&a=2&c", "a"), ["1", "2"]);
        assert_eq!(values("a=1&b=x%20y+z", "b"), ["x y z"]);
        assert_eq!(values("%61=%zz%", "a"), ["%zz%"]);
        assert_eq!(values("c&d=", "c"), [""]);
        assert_eq!(values("", ""), Vec::<String>::new());
        assert_eq!(parameters(None, "a").count(), 0);
    }
}
