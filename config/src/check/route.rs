//! Routes: what they match, and that they lead somewhere.

use std::collections::{BTreeSet, HashMap};

use super::{all, made, naming::Naming};
use crate::{
    name::{RouteName, ServiceName},
    problem::{Place, Problems, Reported, Suggestion, shown},
    raw::{
        self,
        decode::{Element, Field, List, Spanned},
    },
    route::Route,
};

const RIGHT: &str = "write which requests go where, such as \"routes: [{ service: shop }]\"";

/// All routes; at least one. `services` are the names of the services that the file has, or a report of why
/// they are not known.
pub(super) fn check_all(
    field: Field<List<raw::Route>>,
    services: &Result<BTreeSet<String>, Reported>,
    top: &Place,
    problems: &mut Problems,
) -> Result<Vec<Route>, Reported> {
    let Spanned { place, value: List(items) } = field.required("routes", top, problems, RIGHT)?;
    if items.is_empty() {
        return Err(problems.add(&place, "there is no route", RIGHT));
    }
    let given = items.iter().filter_map(|item| item.as_ref().ok()?.value.name.given());
    let mut naming = Naming::new(given, "route", problems);
    let each = items.into_iter().enumerate().map(|(i, item)| {
        let Spanned { place, value: raw } = item?;
        let preferred = raw.service.given().map(|service| service.value.as_str());
        let name = naming.name(&raw.name, preferred, i + 1);
        let name = name.and_then(|name| made(RouteName::try_new(&name), &place, problems));
        let (host, path_prefix) = (host(raw.host, problems), path_prefix(raw.path_prefix, problems));
        let right = "write \"service: NAME\" with the name of one of the services";
        let service = raw.service.required("service", &place, problems, right);
        let service = service.and_then(|service| known(service, services, problems));
        let value = Route { name: name?, host: host?, path_prefix: path_prefix?, service: service? };
        Ok(Spanned { place, value })
    });
    let routes: Vec<Element<Route>> = each.collect();
    check_matches(&routes, problems)?;
    all(routes).map(|routes| routes.into_iter().map(|route| route.value).collect())
}

fn known(
    service: Spanned<ServiceName>,
    services: &Result<BTreeSet<String>, Reported>,
    problems: &mut Problems,
) -> Result<ServiceName, Reported> {
    let services = services.as_ref().map_err(|reported| *reported)?;
    let text = service.value.as_str();
    if services.contains(text) {
        return Ok(service.value);
    }
    let candidates = services.iter().map(String::as_str);
    let right = Suggestion { text, kind: "services", candidates };
    Err(problems.add(&service.place, format!("there is no service \"{text}\""), right))
}

fn check_matches(routes: &[Element<Route>], problems: &mut Problems) -> Result<(), Reported> {
    let (mut matches, mut result) = (HashMap::new(), Ok(()));
    for Spanned { place, value: route } in routes.iter().flatten() {
        let lines = matches.entry((&route.host, &route.path_prefix)).or_insert((place.at.line, route));
        let (line, first) = *lines;
        if !std::ptr::eq(first, route) {
            result = Err(problems.add(
                place,
                format!("route \"{}\" of line {line} matches the same requests", first.name),
                "give the two different hosts or prefixes, or remove one",
            ));
        }
    }
    result
}

/// Lower-case; names and IP addresses, without a port or final dot, as hosts are compared.
fn host(field: Field<String>, problems: &mut Problems) -> Result<Option<String>, Reported> {
    const LABEL_MAX: usize = 63; // RFC 1035, 2.3.4
    const HOST_MAX: usize = 253;
    let Some(Spanned { place, value }) = field.optional()? else { return Ok(None) };
    let host = value.strip_suffix('.').unwrap_or(&value).to_ascii_lowercase();
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let is_ip_6 = bracketed.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    if is_ip_6 || host.len() <= HOST_MAX && host.split('.').all(label) {
        return Ok(Some(host));
    }
    let (wrong, right) = if host.is_empty() || host == "*" {
        ("is no host", "leave \"host\" out to match any host")
    } else if host.contains('*') {
        ("has a wildcard", "a host is matched exactly: write a route for each, or leave \"host\" out for any")
    } else if host.contains("://") || host.contains('/') {
        ("is a URL", "write the host alone, such as shop.example.com, and the path as path_prefix")
    } else if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        ("has a port", "write the host alone: its port is not compared")
    } else if !host.is_ascii() {
        ("has letters beyond ASCII", "write its ASCII form (xn--…), as clients send it")
    } else {
        ("is not a host", "write a name such as shop.example.com, or an IP address")
    };
    Err(problems.add(&place, format!("\"{}\" {wrong}", shown(&value)), right))
}

/// Whole segments: a slash at the end says nothing, and is taken off so that equal prefixes are equal.
fn path_prefix(field: Field<String>, problems: &mut Problems) -> Result<String, Reported> {
    let Some(Spanned { place, value }) = field.optional()? else { return Ok("/".into()) };
    let text = shown(&value);
    if !value.starts_with('/') {
        let right = format!("begin it with \"/\": \"/{}\"", text.trim_start_matches('/'));
        return Err(problems.add(&place, format!("\"{text}\" does not begin with \"/\""), right));
    }
    if let Some(c) = value.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '*')) {
        let wrong = format!("\"{text}\" has the character '{}'", shown(&c.to_string()));
        let right = "write a path alone, without query or wildcard; other characters percent-encoded";
        return Err(problems.add(&place, wrong, right));
    }
    let trimmed = value.trim_end_matches('/');
    // Requests are compared in normal form (RFC 3986, 6.2.2): another form would never match.
    if trimmed.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        let wrong = format!("\"{text}\" has an empty segment, \".\" or \"..\"");
        return Err(problems.add(&place, wrong, "write the path that they lead to"));
    }
    if let Some(escape) = needless_escape(trimmed) {
        let wrong = format!("\"{text}\" has the escape {}", shown(escape));
        let right =
            "write letters, digits, '-', '.', '_' and '~' as they are, and others as % and two hex digits";
        return Err(problems.add(&place, wrong, right));
    }
    Ok(if trimmed.is_empty() { "/".into() } else { trimmed.into() })
}

/// An escape that is broken, or that stands for a character which needs none.
fn needless_escape(path: &str) -> Option<&str> {
    path.match_indices('%').find_map(|(at, _)| {
        let Some(escape) = path.get(at..at + 3) else { return Some(&path[at..]) };
        let hex = escape.bytes().skip(1).all(|b| b.is_ascii_hexdigit());
        let byte = u8::from_str_radix(&escape[1..], 16).ok().filter(|_| hex);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        byte.is_none_or(plain).then_some(escape)
    })
}
