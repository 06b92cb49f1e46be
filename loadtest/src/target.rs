//! Where requests go, how, and from whom: an address, the way HTTP is spoken there, and the [`Ask`]s of which each
//! request is one.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};
use http_body_util::Full;
use rand::{Rng, rngs::SmallRng};
use serin_config::Address;

pub use crate::{
    ask::{Ask, AskError},
    wire::dial::{Tls, TlsError, Trust, authorities},
};
use crate::{
    bounds::ASKS_MAX,
    wire::{
        dial::Dial,
        http1::{field, head_bytes},
    },
};

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1: a connection carries one request at a time.
    #[default]
    Http1,
    /// HTTP/2: many at a time. In clear it is spoken at once, without asking (RFC 9113, 3.3).
    Http2,
}

/// What is asked of whom. Every part is valid once it is here.
#[derive(Clone)]
pub struct Target {
    address: Address,
    protocol: Protocol,
    tls: Option<Tls>,
    /// What a request names as its host, unless the ask says otherwise.
    host: HeaderValue,
    asks: Vec<Ask>,
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

/// Why a target can't be as given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Its mix is empty or too large.
    #[error("a mix has 1 to {ASKS_MAX} requests, this one {0}")]
    Asks(usize),
    /// All weights are zero.
    #[error("the weights of the mix are all 0: no request would ever be drawn")]
    Weights,
    /// Not a host.
    #[error("\"{0}\" is not a host that a request can name")]
    Host(String),
}

impl Target {
    /// `GET /` at an address, in clear; versions are told apart by `x-serin-version`.
    pub fn new(address: Address) -> Self {
        let host = match &address {
            Address::Tcp(address) => HeaderValue::from_str(&address.to_string()).ok(),
            Address::Unix(_) => None,
        };
        Self {
            address,
            protocol: Protocol::default(),
            tls: None,
            host: host.unwrap_or(HeaderValue::from_static("localhost")),
            asks: vec![Ask::get()],
            users: None,
            version_header: HeaderName::from_static("x-serin-version"),
            check: None,
        }
    }

    /// Speaks this protocol.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Speaks within TLS.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Names this host (`HOST` or `HOST:PORT`) in each request that does not name its own.
    ///
    /// # Errors
    /// It is none.
    pub fn host(mut self, host: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Host(host.chars().take(80).collect());
        let authority: Authority = host.parse().map_err(|_| wrong())?;
        self.host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?;
        Ok(self)
    }

    /// Draws each request from these, by their weights.
    ///
    /// # Errors
    /// There is none, or too many, or none that would ever be drawn.
    pub fn asks(mut self, asks: Vec<Ask>) -> Result<Self, TargetError> {
        if asks.is_empty() || asks.len() > ASKS_MAX {
            return Err(TargetError::Asks(asks.len()));
        }
        if asks.iter().all(|ask| ask.weight == 0) {
            return Err(TargetError::Weights);
        }
        self.asks = asks;
        Ok(self)
    }

    /// Asks for this path and query, with GET, and nothing else.
    ///
    /// # Errors
    /// It is no path.
    pub fn path(self, path: &str) -> Result<Self, AskError> {
        let ask = Ask::get().path(path)?;
        Ok(Self { asks: vec![ask], ..self })
    }

    /// Sends this header with all requests, in place of an earlier one of that name.
    ///
    /// # Errors
    /// HTTP does not allow it.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, AskError> {
        self.asks = self.asks.into_iter().map(|ask| ask.header(name, value)).collect::<Result<_, _>>()?;
        Ok(self)
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

    /// Which HTTP is spoken.
    pub fn speaks(&self) -> Protocol {
        self.protocol
    }

    /// What requests are called, in their order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.asks.iter().map(|ask| &ask.name)
    }

    pub(crate) fn dial(&self) -> Result<Dial, TlsError> {
        Dial::new(self.address.clone(), self.tls.as_ref(), self.protocol)
    }

    /// Everything about requests that does not change from one to the next.
    pub(crate) fn prepare(&self) -> Vec<Prepared> {
        self.asks.iter().map(|ask| Prepared::new(self, ask)).collect()
    }

    /// Which ask the next request is.
    pub(crate) fn draw(&self, random: &mut SmallRng) -> usize {
        if self.asks.len() == 1 {
            return 0;
        }
        let sum: u64 = self.asks.iter().map(|ask| u64::from(ask.weight)).sum();
        let mut at = random.random_range(0..sum.max(1));
        for (number, ask) in self.asks.iter().enumerate() {
            match at.checked_sub(u64::from(ask.weight)) {
                Some(rest) => at = rest,
                None => return number,
            }
        }
        0
    }

    /// The field that says which user the next request is from.
    pub(crate) fn user(&self, random: &mut SmallRng) -> Option<(HeaderName, HeaderValue)> {
        self.users.as_ref().and_then(|users| users.draw(random))
    }
}

/// An ask, ready to leave.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// HTTP/1.1: the head without a user, its end, and the body.
    whole: Vec<u8>,
    /// How much of that is before the end of the head.
    head: usize,
    request: Request<Full<Bytes>>,
    pub(crate) is_head: bool,
    pub(crate) is_idempotent: bool,
    /// Whether it asks for the end of its connection.
    pub(crate) is_last: bool,
}

impl Prepared {
    fn new(target: &Target, ask: &Ask) -> Self {
        let mut headers = HeaderMap::new();
        if target.protocol == Protocol::Http1 || ask.headers.contains_key(header::HOST) {
            headers.insert(header::HOST, target.host.clone());
        }
        headers.extend(ask.headers.clone());
        let asks_to_close = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
        let is_last = headers.get(header::CONNECTION).is_some_and(asks_to_close);
        // The user's own field stands in place of one that all requests have.
        if let Some(users) = &target.users {
            headers.remove(users.name());
        }
        let mut whole = head_bytes(&ask.method, &ask.path, &headers, ask.body.len());
        let head = whole.len();
        whole.extend_from_slice(b"\r\n");
        whole.extend_from_slice(&ask.body);
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = target.uri(ask);
        *request.headers_mut() = headers;
        // HTTP/2 has a place of its own for the one, and no room for the other (RFC 9113, 8.2.2).
        request.headers_mut().remove(header::HOST);
        request.headers_mut().remove(header::CONNECTION);
        Self {
            whole,
            head,
            request,
            is_head: ask.method == Method::HEAD,
            is_idempotent: ask.method.is_idempotent(),
            is_last,
        }
    }

    /// The bytes of an HTTP/1.1 request; `scratch` holds them where a user is named.
    pub(crate) fn bytes<'a>(
        &'a self,
        user: Option<&(HeaderName, HeaderValue)>,
        scratch: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        let Some((name, value)) = user else { return &self.whole };
        scratch.clear();
        scratch.extend_from_slice(&self.whole[..self.head]);
        field(scratch, name, value.as_bytes());
        scratch.extend_from_slice(&self.whole[self.head..]);
        scratch
    }

    /// The same for HTTP/2.
    pub(crate) fn request(&self, user: Option<&(HeaderName, HeaderValue)>) -> Request<Full<Bytes>> {
        let mut request = self.request.clone();
        if let Some((name, value)) = user {
            request.headers_mut().insert(name, value.clone());
        }
        request
    }
}

impl Target {
    /// With scheme and host, as HTTP/2 sends them.
    fn uri(&self, ask: &Ask) -> Uri {
        let host = ask.headers.get(header::HOST).unwrap_or(&self.host);
        let authority = Authority::try_from(host.as_bytes());
        let mut parts = Parts::default();
        parts.scheme = Some(if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(authority.unwrap_or_else(|_| Authority::from_static("localhost")));
        parts.path_and_query = ask.path.path_and_query().cloned().or(Some(PathAndQuery::from_static("/")));
        Uri::from_parts(parts).unwrap_or_else(|_| ask.path.clone())
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

    fn name(&self) -> HeaderName {
        match &self.place {
            UserPlace::Cookie(_) => header::COOKIE,
            UserPlace::Header(name) => name.clone(),
        }
    }

    fn draw(&self, random: &mut SmallRng) -> Option<(HeaderName, HeaderValue)> {
        if self.numbers.is_empty() {
            return None;
        }
        let user = self.numbers[random.random_range(0..self.numbers.len())];
        let value = match &self.place {
            UserPlace::Cookie(cookie) => format!("{cookie}=user-{user}"),
            UserPlace::Header(_) => format!("user-{user}"),
        };
        // A cookie name that no header can carry leaves the request without a user.
        HeaderValue::try_from(value).ok().map(|value| (self.name(), value))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.asks, self.address)
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
