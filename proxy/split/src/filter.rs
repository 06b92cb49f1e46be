//! What a route changes in heads and targets, and where it sends clients.
//!
//! Everything is read into the forms of HTTP once for each catalogue; a request copies handles. Paths are rewritten
//! on the normalised copy: what a prefix is cut from is then what the route has matched.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    uri::{PathAndQuery, Uri},
};
use serin_config::{
    filter::{HeaderEdits, PathEdit, Redirect, Rewrite},
    matching::PathMatch,
};

/// Changes of header fields.
#[derive(Debug, Clone)]
pub struct Edits {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

impl Edits {
    /// None where nothing changes.
    pub fn new(edits: &HeaderEdits) -> Option<Box<Self>> {
        if edits.is_empty() {
            return None;
        }
        let remove = edits.remove.iter().filter_map(|name| name.parse().ok()).collect();
        Some(Box::new(Self { remove, set: fields(&edits.set), add: fields(&edits.add) }))
    }

    /// Removes, then sets, then adds.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }
}

/// Fields as HTTP knows them; the file's check has passed them, so none is lost.
pub fn fields(fields: &[(String, String)]) -> Vec<(HeaderName, HeaderValue)> {
    let each = fields.iter();
    each.filter_map(|(name, value)| Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?))).collect()
}

/// A change of the target.
#[derive(Debug, Clone)]
pub struct Rewriter {
    path: Option<Replacement>,
    host: Option<HeaderValue>,
}

impl Rewriter {
    /// The rewrite of a route that matches `path`; none where nothing changes.
    pub fn new(rewrite: &Rewrite, path: &PathMatch) -> Option<Box<Self>> {
        if rewrite.is_empty() {
            return None;
        }
        let host = rewrite.host.as_ref().and_then(|host| HeaderValue::from_str(host).ok());
        let path = rewrite.path.as_ref().map(|edit| Replacement::new(edit, path));
        Some(Box::new(Self { path, host }))
    }

    /// The target instead of `uri`, whose path in normal form is `path`; none where it stays.
    pub fn target(&self, uri: &Uri, path: &str) -> Option<PathAndQuery> {
        let path = self.path.as_ref()?.apply(path);
        // Both parts came out of targets or of the file, so they make one.
        PathAndQuery::try_from(with_query(path, uri)).ok()
    }

    /// The host instead of the client's; none where it stays.
    pub fn host(&self) -> Option<&HeaderValue> {
        self.host.as_ref()
    }
}

/// A path instead of another.
#[derive(Debug, Clone)]
struct Replacement {
    /// What is cut off; none where the whole path goes.
    matched: Option<Box<str>>,
    new: Box<str>,
}

impl Replacement {
    fn new(edit: &PathEdit, matched: &PathMatch) -> Self {
        match (edit, matched) {
            (PathEdit::Prefix(new), PathMatch::Prefix(matched)) => Self {
                matched: Some(matched.trim_end_matches('/').into()),
                new: new.trim_end_matches('/').into(),
            },
            (PathEdit::Whole(new) | PathEdit::Prefix(new), _) => {
                Self { matched: None, new: new.as_str().into() }
            }
        }
    }

    fn apply(&self, path: &str) -> String {
        let Some(matched) = &self.matched else { return self.new.as_ref().into() };
        let rest = path.strip_prefix(&**matched).unwrap_or(path);
        match (&*self.new, rest) {
            ("", "") => "/".into(),
            (new, rest) => [new, rest].concat(),
        }
    }
}

fn with_query(mut path: String, uri: &Uri) -> String {
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    path
}

/// Where a route sends clients.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    scheme: Option<Box<str>>,
    host: Option<Box<str>>,
    port: Option<u16>,
    path: Option<Replacement>,
}

impl Elsewhere {
    /// The redirect of a route that matches `path`.
    pub fn new(redirect: &Redirect, path: &PathMatch) -> Self {
        Self {
            scheme: redirect.scheme.as_deref().map(Into::into),
            host: redirect.host.as_deref().map(Into::into),
            port: redirect.port,
            path: redirect.path.as_ref().map(|edit| Replacement::new(edit, path)),
        }
    }

    /// The `location` for a client that asked for `uri`, whose path in normal form is `path`, of `authority` over
    /// `scheme`. It is always absolute, so that a path of two slashes can't name a host; none if the client named
    /// no host and the route has none.
    pub fn location(&self, scheme: &str, authority: &str, uri: &Uri, path: &str) -> Option<HeaderValue> {
        let (host, port) = split_port(authority);
        let moved = self.scheme.is_some() || self.host.is_some();
        let scheme = self.scheme.as_deref().unwrap_or(scheme);
        let host = self.host.as_deref().unwrap_or(host);
        if host.is_empty() {
            return None;
        }
        let port = match self.port {
            Some(port) => Some(port.to_string()),
            None if moved => None,
            None => port.map(str::to_owned),
        };
        let standard = if scheme == "https" { "443" } else { "80" };
        let port = port.filter(|port| port != standard).map(|port| format!(":{port}")).unwrap_or_default();
        let path = match &self.path {
            Some(replacement) => replacement.apply(path),
            None => uri.path().to_owned(),
        };
        HeaderValue::try_from(format!("{scheme}://{host}{port}{}", with_query(path, uri))).ok()
    }
}

/// The host and, where there is one, the port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port).filter(|port| !port.is_empty())),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(path: &str) -> PathMatch {
        PathMatch::Prefix(path.into())
    }

    #[test]
    fn edits_remove_then_set_then_add() {
        let edits = HeaderEdits {
            remove: vec!["cookie".into(), "x-a".into()],
            set: vec![("x-a".into(), "new".into()), ("x-b".into(), "only".into())],
            add: vec![("x-b".into(), "more".into())],
        };
        let edits = Edits::new(&edits).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [("cookie", "a"), ("x-a", "old"), ("x-b", "1"), ("x-b", "2"), ("x-c", "3")] {
            headers.append(name, value.parse().unwrap());
        }
        edits.apply(&mut headers);
        let values = |name| headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(values("cookie"), Vec::<&str>::new());
        assert_eq!(
            (values("x-a"), values("x-b"), values("x-c")),
            (vec!["new"], vec!["only", "more"], vec!["3"])
        );
        assert!(Edits::new(&HeaderEdits::default()).is_none());
    }

    #[test]
    fn a_rewrite_keeps_the_rest_and_the_query() {
        let rewritten = |edit: PathEdit, matched: &str, target: &str| {
            let uri: Uri = target.parse().unwrap();
            let rewrite = Rewrite { path: Some(edit), host: None };
            let path = crate::path::normalise(uri.path()).unwrap();
            Rewriter::new(&rewrite, &prefix(matched)).unwrap().target(&uri, &path).unwrap().to_string()
        };
        let new_prefix =
            |new: &str, matched, target| rewritten(PathEdit::Prefix(new.into()), matched, target);
        assert_eq!(new_prefix("/v2", "/api", "/api/x?a=b"), "/v2/x?a=b");
        assert_eq!(new_prefix("/v2", "/api", "/api"), "/v2");
        assert_eq!(new_prefix("/", "/api", "/api?a"), "/?a");
        assert_eq!(new_prefix("/", "/api", "/api/x/"), "/x/");
        assert_eq!(new_prefix("/v2/", "/", "/x"), "/v2/x");
        assert_eq!(new_prefix("/v2", "/", "/"), "/v2/");
        // The raw path does not begin with the prefix; the one that was matched does.
        assert_eq!(new_prefix("/v2", "/api", "/a/..//api/%78?q"), "/v2/x?q");
        assert_eq!(rewritten(PathEdit::Whole("/only".into()), "/api", "/api/x?a=b"), "/only?a=b");
    }

    #[test]
    fn a_redirect_changes_what_it_names_and_keeps_the_rest() {
        let location = |redirect: Redirect, authority: &str, target: &str| {
            let uri: Uri = target.parse().unwrap();
            let path = crate::path::normalise(uri.path()).unwrap();
            let to = Elsewhere::new(&redirect, &prefix("/old"));
            to.location("http", authority, &uri, &path).map(|value| value.to_str().unwrap().to_owned())
        };
        let none = Redirect { status: 307, scheme: None, host: None, port: None, path: None };
        let https = || Redirect { scheme: Some("https".into()), ..none.clone() };
        let host = || Redirect { host: Some("www.example".into()), ..none.clone() };
        let old = || Redirect { path: Some(PathEdit::Prefix("/new".into())), ..none.clone() };
        for (redirect, authority, target, expected) in [
            (https(), "a.example:8080", "/x?y=z", "https://a.example/x?y=z"),
            (https(), "[::1]:8080", "/", "https://[::1]/"),
            (Redirect { port: Some(8443), ..https() }, "a.example", "/", "https://a.example:8443/"),
            (Redirect { port: Some(443), ..https() }, "a.example", "/", "https://a.example/"),
            (host(), "a.example:8080", "//evil.example/x", "http://www.example//evil.example/x"),
            (old(), "a.example:8080", "/old/x?q", "http://a.example:8080/new/x?q"),
            (old(), "a.example:80", "/./old", "http://a.example/new"),
            (https(), "a.example", "http://a.example/x", "https://a.example/x"),
        ] {
            assert_eq!(location(redirect, authority, target).as_deref(), Some(expected), "{target}");
        }
        assert_eq!(location(https(), "", "/"), None);
    }
}
