//! Who may ask for what: the caller's identity, its role, its rate, and the defence against browsers.
//!
//! The API listens on loopback by default, and every web page that the operator opens can send requests
//! there. Two checks keep it out. A page on another origin can send a form but not JSON without a preflight,
//! which is never answered; so a change must come as JSON. And a page whose host name was rebound to
//! 127.0.0.1 is of the same origin, but its requests still carry that name; so where nobody must say who it is the
//! `host` header must be an IP address or `localhost`.
//!
//! Nobody is answered when a fault has ended the keeper: the snapshot would go on to tell of rollouts in
//! progress that nobody watches.
//!
//! What is refused of changes, here or further in, is told to the audit log, unless the keeper has told it already.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use serin_config::{
    GroupName,
    limits::{API_BODY_BYTES_MAX, API_REFUSED_BODY_WAIT},
};

use super::{
    Context, freezes,
    identity::Identity,
    operation::{Operation, Reach},
    peer::Peer,
    problem::{Problem, Told},
    rate::Key,
    tokens,
    write::{self, Glance},
};
use crate::{
    access::CommandError,
    audit::{Fate, Note},
    command::{Actor, Caller},
    sight::Sight,
    tokens::STRANGER,
};

pub(super) async fn guard(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    let mut asked = Asked::of(&context, &request);
    let now_ms = context.access.clock.now_ms();
    let (who, response) = match identify(&context, &request, &asked.peer, now_ms) {
        Ok(identity) => {
            let who = identity.caller.clone();
            let response = match refusal(&context, &request, asked.operation.as_ref(), &identity, now_ms) {
                Some(problem) => {
                    if problem.kind == FORBIDDEN && !asked.reads {
                        asked.look_into(request.into_body()).await;
                    }
                    problem.into_response()
                }
                None => {
                    request.extensions_mut().insert(identity);
                    // Further in it is the same one who asks.
                    request.extensions_mut().insert(asked.peer.clone());
                    if asked.reads {
                        next.run(request).await
                    } else {
                        let (request, overheard) = overhear(request);
                        let response = next.run(request).await;
                        if response.extensions().get::<Told>().is_some_and(|told| !told.in_audit_log) {
                            asked.glance(&overheard.concat());
                        }
                        response
                    }
                }
            };
            (who, response)
        }
        Err(problem) => {
            // Whatever a stranger names, it is one kind of refusal: the audit log sums it up.
            (asked.service, asked.group) = (None, None);
            (asked.peer.caller(STRANGER), problem.into_response())
        }
    };
    if let Some(told) = response.extensions().get::<Told>().filter(|told| !told.in_audit_log) {
        asked.note(&context, who, told);
    }
    response
}

/// What the audit log is told of a request that is refused.
struct Asked {
    operation: Option<Operation>,
    peer: Peer,
    reads: bool,
    line: String,
    service: Option<String>,
    group: Option<String>,
    /// The action that the body names, where somebody has looked into it.
    action: Option<&'static str>,
    /// What it wants to have made or set, in words.
    wanted: Option<String>,
    reason: String,
    urgent: bool,
}

impl Asked {
    fn of(context: &Context, request: &Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let operation = matched.and_then(|path| context.operations.find(request.method(), path.as_str()));
        let peer = request.extensions().get::<Peer>().cloned();
        let peer = peer.unwrap_or_else(|| Peer::at("unknown".into()));
        let peer = match context.access.standing.claim(request) {
            Some(claim) => peer.asking_for(claim),
            None => peer,
        };
        let path = request.uri().path();
        let limited = |to: &str| operation.is_some_and(|operation| operation.path.starts_with(to));
        // A name that no service has is the caller's own, and there is no end of those.
        let status = context.access.status();
        let known = |name: &String| status.services.contains_key(name.as_str());
        let known_group = |name: &String| status.terms.groups.iter().any(|group| group.name.as_str() == name);
        Self {
            operation: operation.cloned(),
            peer,
            reads: reads(request.method()),
            line: format!("{} {path}", request.method()).chars().take(LINE_CHARS_MAX).collect(),
            service: below(SERVICES, path).filter(|name| limited(SERVICE) && known(name)),
            group: below(GROUPS, path).filter(|name| limited(GROUP) && known_group(name)),
            action: None,
            wanted: None,
            reason: String::new(),
            urgent: false,
        }
    }

    /// Reads what somebody who may not ask for it wanted, and why. A body that is long, or slow, or no form, says nothing.
    async fn look_into(&mut self, body: Body) {
        let body = tokio::time::timeout(API_REFUSED_BODY_WAIT, to_bytes(body, API_BODY_BYTES_MAX));
        if let Ok(Ok(bytes)) = body.await {
            self.glance(&bytes);
        }
    }

    fn glance(&mut self, body: &[u8]) {
        let Glance { action, reason, urgent } = write::glance(body);
        (self.action, self.reason, self.urgent) = (action, reason, urgent);
        self.wanted = match self.operation.as_ref().map(|operation| operation.id) {
            Some("freeze") => freezes::wanted(body),
            Some("create_token") => tokens::wanted(body),
            Some("set_weights") => write::wanted(body),
            _ => None,
        };
    }

    fn note(&self, context: &Context, who: Caller, told: &Told) {
        if self.reads {
            return;
        }
        context.access.refuse(Note {
            who: Some(who),
            actor: Actor::Api,
            what: self.what().to_owned(),
            detail: match &self.wanted {
                Some(wanted) => format!("{}: {wanted}", self.line),
                None => self.line.clone(),
            },
            service: self.service.clone(),
            group: told.group.clone().or_else(|| self.group.clone()),
            reason: self.reason.clone(),
            urgent: self.urgent,
            fate: if told.fate_unknown { Fate::Unknown } else { Fate::Refused },
            refusal: Some((told.kind.to_owned(), told.detail.clone())),
            generation: None,
        });
    }
}

impl Asked {
    fn what(&self) -> &'static str {
        self.action.or(self.operation.as_ref().map(|operation| operation.id)).unwrap_or("unknown")
    }
}

/// What was read of a request's body, by whomever.
#[derive(Default, Clone)]
struct Overheard(Arc<Mutex<Vec<Bytes>>>);

impl Overheard {
    fn concat(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).concat()
    }
}

/// Lets what is read of the body be known afterwards, too. Nothing is copied, and no more is kept than a body may have.
fn overhear(request: Request) -> (Request, Overheard) {
    let overheard = Overheard::default();
    let (kept, mut room) = (overheard.clone(), API_BODY_BYTES_MAX);
    let request = request.map(|body| {
        Body::new(body.map_frame(move |frame| {
            if let Some(bytes) = frame.data_ref()
                && let Some(left) = room.checked_sub(bytes.len())
            {
                room = left;
                kept.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.clone());
            }
            frame
        }))
    });
    (request, overheard)
}

const SERVICE: &str = "/v1/services/{service}";
const SERVICES: &str = "/v1/services/";
const GROUP: &str = "/v1/groups/{group}";
const GROUPS: &str = "/v1/groups/";
const FORBIDDEN: &str = "forbidden";
/// Of a request's method and path in the audit log.
const LINE_CHARS_MAX: usize = 200;

/// The service or group in a path below this one; what can't be read names none.
fn below(prefix: &str, path: &str) -> Option<String> {
    let name = path.strip_prefix(prefix)?.split('/').next()?;
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).ok()
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whoever asks, or the problem that nobody knows.
fn identify(context: &Context, request: &Request, peer: &Peer, now_ms: u64) -> Result<Identity, Problem> {
    let authorization = request.headers().get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let tokens = &context.access.status().tokens;
    context.known.identify(authorization, peer, tokens, now_ms).map_err(|stranger| {
        let detail = stranger.to_string();
        match context.rates.take(Key::Address(peer.from.clone()), now_ms) {
            true => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail),
            false => Problem::too_many(detail),
        }
    })
}

/// The problem with a request of somebody who is known, if there is one.
fn refusal(
    context: &Context,
    request: &Request,
    operation: Option<&Operation>,
    identity: &Identity,
    now_ms: u64,
) -> Option<Problem> {
    if !identity.local && !context.rates.take(Key::Name(identity.caller.name.clone()), now_ms) {
        let detail = format!("{} asks for more than it may: wait a second", identity.caller.name);
        return Some(Problem::too_many(detail));
    }
    if context.names_refused
        && let Some(host) = host(request).filter(|host| !is_own_name(host))
    {
        let detail = format!(
            "the host \"{}\" is a name: without a token, use the IP address or localhost",
            host.chars().take(80).collect::<String>()
        );
        return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host-refused", detail));
    }
    if context.access.has_stopped() {
        return Some(CommandError::Stopped.into());
    }
    if let Some(problem) = operation.and_then(|operation| forbidden(context, operation, identity, request)) {
        return Some(problem);
    }
    // To delete takes a preflight from a page in any case, and where there is no operation nothing happens.
    let takes_json =
        operation.is_some_and(|operation| !operation.reads() && operation.method != Method::DELETE);
    if takes_json && !is_json(request) {
        let detail = "a change must be sent with \"content-type: application/json\"";
        return Some(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", detail));
    }
    None
}

/// The problem where the caller may not ask for this.
fn forbidden(
    context: &Context,
    operation: &Operation,
    identity: &Identity,
    request: &Request,
) -> Option<Problem> {
    let Identity { caller, grant, .. } = identity;
    let detail = if grant.role < operation.role {
        format!("this takes the role {}, and {} is {}", operation.role, caller.name, grant.role)
    } else {
        let covered = match operation.reach {
            Reach::Service => below(SERVICES, request.uri().path()).is_some_and(|name| grant.covers(&name)),
            Reach::Group => below(GROUPS, request.uri().path()).is_some_and(|name| {
                let status = context.access.status();
                let sight = Sight::new(grant, &status.terms);
                GroupName::try_new(&name).is_ok_and(|name| sight.group(&name))
            }),
            Reach::Whole => !grant.is_limited(),
            Reach::Filtered | Reach::Open => true,
        };
        if covered || !grant.is_limited() {
            return None;
        }
        format!("{} is limited: {grant}; ask for what concerns these services only", caller.name)
    };
    Some(Problem::new(StatusCode::FORBIDDEN, FORBIDDEN, detail))
}

/// The host that the client named; none in HTTP/1.0 without one, which no browser sends.
fn host(request: &Request) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str().to_owned());
    }
    let value = request.headers().get(header::HOST)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn is_own_name(host: &str) -> bool {
    let bare = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

fn is_json(request: &Request) -> bool {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    media.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_own_names() {
        for own in
            ["127.0.0.1:9000", "127.0.0.1", "[::1]:9000", "[::1]", "localhost:1", "LOCALHOST", "10.0.0.7:80"]
        {
            assert!(is_own_name(own), "{own}");
        }
        for foreign in
            ["evil.example", "evil.example:9000", "localhost.evil.example", "127.0.0.1.evil.example:80", ""]
        {
            assert!(!is_own_name(foreign), "{foreign}");
        }
    }

    #[test]
    fn the_service_in_a_path_is_read_as_the_router_reads_it() {
        let service = |path| below(SERVICES, path);
        assert_eq!(service("/v1/services/shop/weights").as_deref(), Some("shop"));
        assert_eq!(service("/v1/services/%73hop").as_deref(), Some("shop"));
        for odd in ["/v1/plan", "/v1/services/%7", "/v1/services/%zz", "/v1/services/%ff", "/v1/services/%+1"]
        {
            assert_eq!(service(odd), None, "{odd}");
        }
    }
}
