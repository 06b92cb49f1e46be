//! Which route a request belongs to.
//!
//! Routes come in the order in which they are tried ([`serin_config::Route::rank`]), and a request belongs to the
//! first that takes it. To find that one without trying them all, routes are grouped by host once for each
//! catalogue: a request costs one hash of its host, one for each wildcard that could hold it, and a look into each
//! of those groups ([`paths`]). Of what the groups find, the first in the order wins; a group whose first route
//! comes after what was found already is not looked into, so that without explicit priorities the most special
//! group that has an answer ends the search. A property compares all this with trying every route in turn.

mod conditions;
mod paths;

use std::{borrow::Cow, cell::OnceCell, collections::HashMap, net::IpAddr};

use http::{HeaderMap, Method};
use serin_config::{Route, matching::Host};

use self::{conditions::Conditions, paths::Paths};
use crate::ClientCert;

/// The longest host that a wildcard is looked up for (RFC 1035, 2.3.4).
const HOST_MAX: usize = 253;

/// What routes look at in a request.
pub struct Asked<'a> {
    /// The host, perhaps with a port, in any case.
    pub host: &'a str,
    /// The path in normal form.
    pub path: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
    /// The headers, as the client sent them.
    pub headers: &'a HeaderMap,
    /// The client's address; asked for once, and only where a route depends on it.
    pub client: &'a dyn Fn() -> IpAddr,
    /// Who the client is, where it has shown a certificate.
    pub identity: Option<&'a ClientCert>,
}

/// Finds the route of a request.
#[derive(Debug, Clone)]
pub struct Matcher {
    exact: HashMap<Box<str>, Paths>,
    below: HashMap<Box<str>, Paths>,
    any: Paths,
    /// For each route, what it asks for besides host and path.
    conditions: Vec<Option<Box<Conditions>>>,
}

impl Matcher {
    /// Takes routes in priority order, as [`serin_config::Catalogue::routes`] keeps them.
    pub fn new(routes: &[Route]) -> Self {
        let mut groups: HashMap<&Host, Vec<usize>> = HashMap::new();
        for (at, route) in routes.iter().enumerate() {
            groups.entry(&route.host).or_default().push(at);
        }
        let conditions = routes.iter().map(|route| Conditions::new(&route.conditions)).collect();
        let mut matcher =
            Self { exact: HashMap::new(), below: HashMap::new(), any: Paths::default(), conditions };
        for (host, positions) in groups {
            let paths = Paths::new(positions.iter().map(|at| (*at, &routes[*at].path)));
            match host {
                Host::Exact(host) => drop(matcher.exact.insert(host.as_str().into(), paths)),
                Host::Below(name) => drop(matcher.below.insert(name.as_str().into(), paths)),
                Host::Any => matcher.any = paths,
            }
        }
        matcher
    }

    /// The position of the first route that takes the request.
    pub fn find(&self, asked: &Asked<'_>) -> Option<usize> {
        let client = OnceCell::new();
        let takes = |at: usize| match &self.conditions[at] {
            None => true,
            Some(conditions) => conditions.hold(asked, &client),
        };
        let mut best = usize::MAX;
        let mut look = |paths: &Paths| best = paths.first_before(best, asked.path, &takes).unwrap_or(best);
        if !self.exact.is_empty() || !self.below.is_empty() {
            let host = bare(asked.host);
            if let Some(paths) = self.exact.get(host.as_ref()) {
                look(paths);
            }
            if !self.below.is_empty() && host.len() <= HOST_MAX {
                let names = host.match_indices('.').map(|(dot, _)| &host[dot + 1..]);
                names.filter_map(|name| self.below.get(name)).for_each(&mut look);
            }
        }
        look(&self.any);
        (best != usize::MAX).then_some(best)
    }
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

#[cfg(test)]
mod tests;
