//! Which route a request belongs to.
//!
//! Routes are grouped by host once for each catalogue; a request costs one hash of its host and a scan of
//! that host's prefixes, longest first. Prefixes are compared with a normalised copy of the path (RFC 3986,
//! 6.2.2: unreserved characters decoded, dot segments removed; runs of slashes merged), so that
//! `/public/../admin` is judged as `/admin`, while the endpoint gets the path as it was sent.

use std::{borrow::Cow, collections::HashMap};

use serin_config::Route;

/// Prefixes in the order in which they are tried, with positions in the list of routes.
type Prefixes = Vec<(Box<str>, usize)>;

/// Finds the route of a request.
#[derive(Debug, Clone)]
pub struct Matcher {
    hosts: HashMap<Box<str>, Prefixes>,
    any_host: Prefixes,
}

impl Matcher {
    /// Takes routes in priority order, as [`serin_config::Catalogue::routes`] keeps them.
    pub fn new(routes: &[Route]) -> Self {
        let (mut hosts, mut any_host) = (HashMap::<Box<str>, Prefixes>::new(), Vec::new());
        for (at, route) in routes.iter().enumerate() {
            let prefixes = match &route.host {
                Some(host) => hosts.entry(host.as_str().into()).or_default(),
                None => &mut any_host,
            };
            prefixes.push((route.path_prefix.trim_end_matches('/').into(), at));
        }
        Self { hosts, any_host }
    }

    /// The position of the first route that matches. `host` may have a port and any case; `path` begins
    /// with a slash and has no query, or is the `*` of a question about the server itself, which goes where
    /// `/` goes.
    pub fn find(&self, host: &str, path: &str) -> Option<usize> {
        let path = if path == "*" { Cow::Borrowed("/") } else { normalise(path) };
        let of_host = if self.hosts.is_empty() { None } else { self.hosts.get(bare(host).as_ref()) };
        of_host.and_then(|prefixes| first(prefixes, &path)).or_else(|| first(&self.any_host, &path))
    }
}

fn first(prefixes: &Prefixes, path: &str) -> Option<usize> {
    let whole_segments =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    prefixes.iter().find(|(prefix, _)| whole_segments(prefix)).map(|(_, at)| *at)
}

/// The host without its port and final dot, in lower case.
fn bare(host: &str) -> Cow<'_, str> {
    let name = match host.rfind(':') {
        // The colons of an IPv6 address stand within brackets.
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|b| b.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

fn normalise(path: &str) -> Cow<'_, str> {
    let plain = !path.contains('%') && !path.contains("//") && !path.contains("/.");
    if plain { Cow::Borrowed(path) } else { Cow::Owned(normalised(path)) }
}

fn normalised(path: &str) -> String {
    let decoded = decode_unreserved(path);
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() || decoded.ends_with('/') {
        out.push('/');
    }
    out
}

/// Decodes `%XX` of unreserved characters only, so that an encoded slash stays data.
fn decode_unreserved(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => {
                out.push(char::from(b));
                rest = &rest[at + 3..];
            }
            _ => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serin_config::{RouteName, ServiceName};

    use super::*;

    fn matcher(routes: &[(Option<&str>, &str)]) -> Matcher {
        let mut list: Vec<Route> = routes
            .iter()
            .enumerate()
            .map(|(i, (host, prefix))| Route {
                name: RouteName::try_new(&format!("r{i}")).unwrap(),
                host: host.map(Into::into),
                path_prefix: (*prefix).into(),
                service: ServiceName::try_new("s").unwrap(),
            })
            .collect();
        list.sort_by_key(Route::priority);
        Matcher::new(&list)
    }

    #[test]
    fn an_exact_host_comes_before_any_host_and_the_longer_prefix_first() {
        let m =
            matcher(&[(None, "/"), (Some("a.example"), "/"), (Some("a.example"), "/api"), (None, "/api/v2")]);
        // In priority order: a.example/api, a.example/, any/api/v2, any/
        assert_eq!(m.find("a.example", "/api/v2"), Some(0));
        assert_eq!(m.find("A.EXAMPLE.:8080", "/x"), Some(1));
        assert_eq!(m.find("b.example", "/api/v2/x"), Some(2));
        assert_eq!(m.find("[::1]:80", "/"), Some(3));
    }

    #[test]
    fn a_host_without_a_matching_prefix_falls_back_to_any_host() {
        let m = matcher(&[(Some("a.example"), "/api"), (None, "/")]);
        assert_eq!(m.find("a.example", "/other"), Some(1));
    }

    #[test]
    fn a_prefix_takes_whole_segments() {
        let m = matcher(&[(None, "/api/")]);
        for (path, found) in
            [("/api", true), ("/api/", true), ("/api/x", true), ("/apiary", false), ("/", false)]
        {
            assert_eq!(m.find("h", path).is_some(), found, "{path}");
        }
    }

    #[test]
    fn dots_slashes_and_needless_escapes_do_not_hide_a_path() {
        for (raw, clean) in [
            ("/public/../admin", "/admin"),
            ("/%2e%2E/admin", "/admin"),
            ("//admin", "/admin"),
            ("/./admin/./", "/admin/"),
            ("/%61dmin", "/admin"),
            ("/a%2Fb", "/a%2Fb"),
            ("/%", "/%"),
            ("/%é", "/%é"),
            ("/..", "/"),
        ] {
            assert_eq!(normalise(raw), clean, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn a_normalised_path_has_nothing_left_to_normalise(
            segments in proptest::collection::vec("(\\.{1,2}|%2[eE]|%61|[a-z]{0,3}|%2F)", 0..8),
        ) {
            let once = normalise(&format!("/{}", segments.join("/"))).into_owned();
            prop_assert!(once.starts_with('/') && !once.contains("//"), "{}", once);
            prop_assert!(once.split('/').all(|segment| segment != "." && segment != ".."), "{}", once);
            prop_assert_eq!(normalise(&once).into_owned(), once);
        }

        #[test]
        fn no_path_makes_it_panic(path in "/\\PC{0,30}") {
            normalise(&path);
        }
    }
}
