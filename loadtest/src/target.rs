//! Where requests go and what they look like.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use rand::{Rng, rngs::SmallRng};
use serin_config::Address;

/// What is asked of whom. Every part is valid once it is here.
#[derive(Clone)]
pub struct Target {
    pub(crate) address: Address,
    pub(crate) method: Method,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
    users: Option<Users>,
    pub(crate) version_header: HeaderName,
    pub(crate) check: Option<Check>,
}

/// Looks at an answer, head and whole body, and says whether it is as it should be.
pub type Check = Arc<dyn Fn(&http::response::Parts, &[u8]) -> bool + Send + Sync>;

/// Sticky users: each request comes from one of them, drawn evenly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    numbers: Arc<[u32]>,
    place: UserPlace,
}

/// Where a request says which user it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserPlace {
    /// In a cookie of this name.
    Cookie(String),
    /// In this header.
    Header(HeaderName),
}

/// Why a part of a request can't be as given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a path.
    #[error("\"{0}\" is not a path: it begins with \"/\" and has no spaces, such as \"/items?page=2\"")]
    Path(String),
    /// Not a header.
    #[error("\"{0}\" is not a header name and value that HTTP allows")]
    Header(String),
}

impl Target {
    /// `GET /` at an address; versions are told apart by `x-serin-version`.
    pub fn new(address: Address) -> Self {
        let host = match &address {
            Address::Tcp(address) => HeaderValue::from_str(&address.to_string()).ok(),
            Address::Unix(_) => None,
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.unwrap_or(HeaderValue::from_static("localhost")));
        Self {
            address,
            method: Method::GET,
            path: Uri::from_static("/"),
            headers,
            body: Bytes::new(),
            users: None,
            version_header: HeaderName::from_static("x-serin-version"),
            check: None,
        }
    }

    /// Asks with this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Asks for this path and query.
    pub fn path(mut self, path: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Path(path.chars().take(80).collect());
        self.path =
            if path.starts_with('/') { path.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
        Ok(self)
    }

    /// Sends this header, in place of an earlier one of that name.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Header(format!("{name}: {value}").chars().take(80).collect());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        self.headers.insert(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
        Ok(self)
    }

    /// Sends this body.
    #[must_use]
    pub fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Lets each request come from one of these users.
    #[must_use]
    pub fn users(mut self, users: Users) -> Self {
        self.users = Some(users);
        self
    }

    /// Tells versions apart by this response header.
    #[must_use]
    pub fn version_header(mut self, name: HeaderName) -> Self {
        self.version_header = name;
        self
    }

    /// Looks at each answer; one that is refused counts as an error of its own kind.
    #[must_use]
    pub fn check(
        mut self,
        check: impl Fn(&http::response::Parts, &[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.check = Some(Arc::new(check));
        self
    }

    /// The next request.
    pub(crate) fn request(&self, random: &mut SmallRng) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(users) = &self.users {
            users.sign(random, request.headers_mut());
        }
        request
    }
}

impl Users {
    /// So many users, from 0; their names (`user-17`) stand at `place`.
    pub fn first(count: u32, place: UserPlace) -> Self {
        Self { numbers: (0..count).collect(), place }
    }

    /// The users of these numbers; without any, requests are from nobody.
    pub fn numbered(numbers: &[u32], place: UserPlace) -> Self {
        Self { numbers: numbers.into(), place }
    }

    fn sign(&self, random: &mut SmallRng, headers: &mut HeaderMap) {
        if self.numbers.is_empty() {
            return;
        }
        let user = self.numbers[random.random_range(0..self.numbers.len())];
        let (name, value) = match &self.place {
            UserPlace::Cookie(cookie) => (header::COOKIE, format!("{cookie}=user-{user}")),
            UserPlace::Header(name) => (name.clone(), format!("user-{user}")),
        };
        // A cookie name that no header can carry leaves the request without a user.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.method, self.path, self.address)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn target() -> Target {
        Target::new("127.0.0.1:80".parse().unwrap())
    }

    #[test]
    fn a_request_carries_what_was_asked_for() {
        let target = target().path("/a?b=c").unwrap().header("x-colour", "blue").unwrap();
        let request = target.request(&mut SmallRng::seed_from_u64(1));
        assert_eq!(request.uri(), "/a?b=c");
        assert_eq!(request.headers()["host"], "127.0.0.1:80");
        assert_eq!(request.headers()["x-colour"], "blue");
    }

    #[test]
    fn a_path_or_header_that_http_does_not_allow_is_refused() {
        assert!(matches!(target().path("no-slash"), Err(TargetError::Path(_))));
        assert!(matches!(target().path("/a b"), Err(TargetError::Path(_))));
        assert!(matches!(target().header("a b", "c"), Err(TargetError::Header(_))));
        assert!(matches!(target().header("a", "c\nd"), Err(TargetError::Header(_))));
    }

    #[test]
    fn users_are_drawn_from_all_of_them() {
        let users = Users::numbered(&[0, 7, 2], UserPlace::Cookie("uid".into()));
        let target = target().users(users);
        let mut random = SmallRng::seed_from_u64(1);
        let mut seen: Vec<String> = (0..100)
            .map(|_| target.request(&mut random).headers()["cookie"].to_str().unwrap().into())
            .collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["uid=user-0", "uid=user-2", "uid=user-7"]);
    }
}
