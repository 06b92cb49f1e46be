//! The host of a route.

use crate::{
    matching::Host,
    problem::{Problems, Reported, shown},
    raw::decode::{Field, Spanned},
};

const LABEL_MAX: usize = 63; // RFC 1035, 2.3.4
const HOST_MAX: usize = 253;

/// Lower-case; names and IP addresses, without a port or final dot, as hosts are compared.
pub(super) fn check(field: Field<String>, problems: &mut Problems) -> Result<Host, Reported> {
    let Some(Spanned { place, value }) = field.optional()? else { return Ok(Host::Any) };
    let host = value.strip_suffix('.').unwrap_or(&value).to_ascii_lowercase();
    if let Some(name) = host.strip_prefix("*.").filter(|name| is_host(name) && !name.starts_with('[')) {
        return Ok(Host::Below(name.into()));
    }
    if is_host(&host) {
        return Ok(Host::Exact(host));
    }
    let (wrong, right) = reason(&value, &host);
    Err(problems.add(&place, format!("\"{}\" {wrong}", shown(&value)), right))
}

/// A name or IP address, in lower case.
pub(super) fn is_host(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let is_ip_6 = bracketed.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    is_ip_6 || host.len() <= HOST_MAX && host.split('.').all(label)
}

fn reason(value: &str, host: &str) -> (&'static str, &'static str) {
    if host.is_empty() || host == "*" {
        ("is no host", "leave \"host\" out to match any host")
    } else if host.contains("://") || host.contains('/') {
        ("is a URL", "write the host alone, such as shop.example.com, and the path as path_prefix")
    } else if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        ("has a port", "write the host alone: its port is not compared")
    } else if host.contains('*') {
        (
            "has a wildcard that is not its first label",
            "write *.example.com, a route for each host, or no host",
        )
    } else if !value.is_ascii() {
        ("has letters beyond ASCII", "write its ASCII form (xn--…), as clients send it")
    } else {
        ("is not a host", "write a name such as shop.example.com, or an IP address")
    }
}
