//! What becomes of a request by its head alone: the route that takes it, whether the route's limit lets it in, and
//! whether Serin answers itself.
//!
//! A route is compiled once for each catalogue and worker; whatever it does to a request is then a branch and a
//! few handles.

use std::{borrow::Cow, net::IpAddr, rc::Rc, time::Instant};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, HOST, LOCATION, RETRY_AFTER},
    request,
    uri::PathAndQuery,
};
use serin_config::{Catalogue, Route, Timeouts, filter::Respond, route::Action};
use serin_split::{
    Matcher,
    filter::{self, Edits, Elsewhere, Rewriter},
    forwarded,
    matcher::Asked,
    path,
    vet::Refusal,
};

use super::{
    body::ResponseBody,
    fault,
    lane::Lane,
    worker::{Peer, State},
};
use crate::rate_limits::Limit;

/// A route on one worker.
#[derive(Debug)]
pub(crate) struct RoutePlan {
    pub(crate) does: Does,
    pub(crate) limit: Option<Limit>,
    /// What changes in the head of an answer.
    pub(crate) answer_edits: Option<Rc<Edits>>,
}

/// What a route does with a request.
#[derive(Debug)]
pub(crate) enum Does {
    /// It leads to a service.
    Lead(Way),
    /// Serin answers.
    Respond(Ready),
    /// Serin sends the client elsewhere.
    Redirect(StatusCode, Elsewhere),
}

/// The way to a service.
#[derive(Debug)]
pub(crate) struct Way {
    /// The position of the service in the catalogue.
    pub(crate) service: usize,
    /// For each of its versions.
    pub(crate) lanes: Vec<Rc<Lane>>,
    pub(crate) timeouts: Timeouts,
    rewriter: Option<Box<Rewriter>>,
    request_edits: Option<Box<Edits>>,
}

/// An answer that stands in the file.
#[derive(Debug)]
pub(crate) struct Ready {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

/// Where a request belongs.
#[derive(Debug)]
pub(crate) struct Found {
    /// The position of the route.
    pub(crate) route: usize,
    /// The `Host` for the endpoint, where the request named it in its target.
    pub(crate) authority: Option<HeaderValue>,
    /// The path in normal form, where that is another than the one that was sent.
    normal: Option<String>,
}

/// No route takes the request.
pub(crate) const NO_ROUTE: Refusal =
    Refusal { status: StatusCode::NOT_FOUND, detail: "no route leads from this host and path to a service" };

/// Finds the route of a request that has been vetted and asks for `authority`.
pub(crate) fn find(
    matcher: &Matcher,
    head: &request::Parts,
    authority: &str,
    peer: &Peer,
) -> Result<Found, Refusal> {
    let path = path::normalise(head.uri.path())?;
    let asked = Asked {
        host: authority,
        path: &path,
        method: &head.method,
        query: head.uri.query(),
        headers: &head.headers,
        client: &|| client(peer, &head.headers),
        identity: peer.identity.as_ref().map(|identity| &*identity.cert),
    };
    let route = matcher.find(&asked).ok_or(NO_ROUTE)?;
    let in_target = head.uri.authority().is_some() || !head.headers.contains_key(HOST);
    let authority = if in_target { HeaderValue::from_str(authority).ok() } else { None };
    let normal = if let Cow::Owned(normal) = path { Some(normal) } else { None };
    Ok(Found { route, authority, normal })
}

impl Found {
    fn path<'a>(&'a self, uri: &'a Uri) -> &'a str {
        self.normal.as_deref().unwrap_or_else(|| uri.path())
    }
}

/// The client's address: the peer's own, or what a trusted peer says of it.
pub(crate) fn client(peer: &Peer, headers: &HeaderMap) -> IpAddr {
    if !peer.trusted {
        return peer.address;
    }
    // A trusted peer on a Unix socket has no address, and so is in no network.
    let network = |address| peer.trusted_proxies.iter().any(|net| net.contains(&address));
    let trusted = |address| address == peer.address || network(address);
    forwarded::client(headers, peer.address, trusted)
}

/// The answer to a question about the server itself, `OPTIONS *`: it is here, and that is all there is to say
/// (RFC 9110, 9.3.7).
pub(crate) fn of_server(head: &request::Parts) -> Result<(), Box<Response<ResponseBody>>> {
    if head.uri.path() == "*" { Err(Box::new(Response::new(ResponseBody::none()))) } else { Ok(()) }
}

impl RoutePlan {
    /// Compiles a route; `lanes` makes a lane for each version of the service at a position of the catalogue.
    pub(crate) fn new(
        route: &Route,
        catalogue: &Catalogue,
        state: &mut State,
        lanes: impl FnOnce(&mut State, usize) -> Vec<Rc<Lane>>,
    ) -> Self {
        let does = match &route.action {
            Action::Service(name) => {
                // The catalogue has checked that the service is there.
                let service = catalogue.position(name.as_str()).unwrap_or_default();
                let timeouts = route.timeouts(&catalogue.services()[service].timeouts);
                let rewriter = Rewriter::new(&route.rewrite, &route.path);
                let request_edits = Edits::new(&route.request_headers);
                Does::Lead(Way { service, lanes: lanes(state, service), timeouts, rewriter, request_edits })
            }
            Action::Respond(respond) => Does::Respond(Ready::new(respond)),
            Action::Redirect(redirect) => {
                let status = StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::TEMPORARY_REDIRECT);
                Does::Redirect(status, Elsewhere::new(redirect, &route.path))
            }
        };
        let limit = route.rate_limit.as_ref().map(|limit| state.limit(&route.name, limit));
        Self { does, limit, answer_edits: Edits::new(&route.response_headers).map(Rc::from) }
    }

    /// Whether the limit lets the request in, if there is one; the answer if it does not.
    pub(crate) fn within_limit(
        &self,
        head: &request::Parts,
        peer: &Peer,
        now: Instant,
    ) -> Result<(), Box<Response<ResponseBody>>> {
        let Some(limit) = &self.limit else { return Ok(()) };
        let Some(wait) = limit.over(&head.headers, || client(peer, &head.headers), now) else {
            return Ok(());
        };
        let sentence = "the limit of requests is reached, try again later";
        let mut response = fault::local(StatusCode::TOO_MANY_REQUESTS, "rate_limited", sentence);
        // Whole seconds (RFC 9110, 10.2.3), and never too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        Err(Box::new(response))
    }

    /// The way to the service, or the answer where there is none.
    pub(crate) fn way(
        &self,
        head: &request::Parts,
        found: &Found,
        peer: &Peer,
    ) -> Result<&Way, Box<Response<ResponseBody>>> {
        match &self.does {
            Does::Lead(way) => Ok(way),
            Does::Respond(ready) => Err(Box::new(ready.response())),
            Does::Redirect(status, elsewhere) => {
                let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
                let authority = head.uri.authority().map_or(host, http::uri::Authority::as_str);
                let scheme = scheme(peer, &head.headers);
                let location = elsewhere.location(scheme, authority, &head.uri, found.path(&head.uri));
                Err(Box::new(match location {
                    Some(location) => redirect(*status, location),
                    None => fault::local(
                        StatusCode::BAD_REQUEST,
                        "bad_request",
                        "the request names no host that it could be redirected on",
                    ),
                }))
            }
        }
    }
}

impl Way {
    /// The target for the endpoint, where that is another than the client's.
    pub(crate) fn target(&self, uri: &Uri, found: &Found) -> Option<PathAndQuery> {
        self.rewriter.as_ref()?.target(uri, found.path(uri))
    }

    /// Changes a request that is ready for the endpoint as the route says.
    pub(crate) fn change<B>(&self, request: &mut Request<B>, target: Option<PathAndQuery>) {
        if let Some(target) = target {
            *request.uri_mut() = Uri::from(target);
        }
        if let Some(host) = self.rewriter.as_ref().and_then(|rewriter| rewriter.host()) {
            request.headers_mut().insert(HOST, host.clone());
        }
        if let Some(edits) = &self.request_edits {
            edits.apply(request.headers_mut());
        }
    }
}

impl Ready {
    fn new(respond: &Respond) -> Self {
        let mut headers = filter::fields(&respond.headers);
        if !respond.body.is_empty() && !headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")));
        }
        let status = StatusCode::from_u16(respond.status).unwrap_or(StatusCode::OK);
        Self { status, headers, body: respond.body.clone().into() }
    }

    fn response(&self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::ready(self.body.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers.iter().cloned());
        response
    }
}

fn redirect(status: StatusCode, location: HeaderValue) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::none());
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, location);
    response
}

/// The scheme that the client speaks, by whoever may say so.
fn scheme(peer: &Peer, headers: &HeaderMap) -> &'static str {
    let said = headers.get("x-forwarded-proto").filter(|_| peer.trusted);
    match said.map(HeaderValue::as_bytes) {
        Some(said) if said.eq_ignore_ascii_case(b"https") => "https",
        Some(_) => "http",
        None if peer.secure => "https",
        None => "http",
    }
}
