//! HTTP in, typed command out; JSON and problem details (RFC 9457) back.
//!
//! Reads are answered from the published snapshot and from the journal in memory, so they work whatever the
//! disk does. Everything that is refused is refused before a command is made of it: callers without the role,
//! unknown fields, a missing generation, a host name that a browser was tricked into.
//!
//! All operations stand in [`routes`], each with the role that it takes; the router, the check of roles and the OpenAPI
//! document are made from that one list.

mod audit;
mod change;
mod clear;
mod events;
mod export;
mod freezes;
mod groups;
mod guard;
mod identity;
mod lines;
mod listener;
mod name;
mod openapi;
mod operation;
mod peer;
mod peers;
mod problem;
mod proxies;
mod rate;
mod read;
mod replica;
mod rollouts;
mod routes;
mod schema;
mod serve;
mod there;
mod tokens;
mod verdict;
mod watch;
mod whole;
mod write;

use std::sync::Arc;

use axum::{Router, error_handling::HandleErrorLayer, extract::DefaultBodyLimit, middleware};
use http::{HeaderMap, StatusCode, header};
use serin_config::{
    Grant,
    limits::{API_BODY_BYTES_MAX, API_CONCURRENCY_MAX, API_TIMEOUT, API_WATCHERS_MAX},
    settings::Control,
};
use tokio::sync::{Semaphore, watch as signal};
use tower::{BoxError, ServiceBuilder, limit::GlobalConcurrencyLimitLayer};

pub use listener::BindError;
pub(crate) use listener::{Connection, Listener};
pub(crate) use serve::serve;

use crate::{access::Access, sight::Sight, status::Status};
use identity::Known;
use operation::{Operations, Pace};
use problem::Problem;
use rate::Rates;

/// What every handler may use.
#[derive(Clone)]
pub(crate) struct Context {
    access: Access,
    known: Arc<Known>,
    operations: Arc<Operations>,
    rates: Arc<Rates>,
    watchers: Arc<Semaphore>,
    heard: peers::Heard,
    stop: signal::Receiver<bool>,
    /// Whether the `host` header must not be a name: over TCP, where nobody must say who it is.
    names_refused: bool,
}

impl Context {
    pub(crate) fn new(
        access: Access,
        control: &Control,
        listener: &Listener,
        stop: signal::Receiver<bool>,
    ) -> Self {
        let known = Known { token: control.token.clone(), certificates: control.identities.clone() };
        Self {
            access,
            names_refused: listener.is_tcp() && !known.ask(),
            known: Arc::new(known),
            operations: Arc::new(Operations::of(&routes::routes())),
            rates: Arc::default(),
            watchers: Arc::new(Semaphore::new(API_WATCHERS_MAX)),
            heard: peers::Heard::default(),
            stop,
        }
    }
}

impl Context {
    /// How things are, as far as whoever has this grant may see it.
    fn seen(&self, grant: &Grant) -> Arc<Status> {
        let status = self.access.status();
        Sight::new(grant, &status.terms).status(&status)
    }
}

fn router(context: Context) -> Router {
    let (mut prompt, mut waits) = (Router::new(), Router::new());
    for route in routes::routes() {
        let into = match route.operation.pace {
            Pace::Prompt => &mut prompt,
            Pace::Waits => &mut waits,
        };
        *into = std::mem::take(into).route(route.operation.path, route.handler);
    }
    let bounds = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(out_of_bounds))
        .load_shed()
        .layer(GlobalConcurrencyLimitLayer::new(API_CONCURRENCY_MAX))
        .timeout(API_TIMEOUT);
    prompt
        .layer(bounds)
        .merge(waits)
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(context.clone(), replica::stand))
        .layer(middleware::from_fn_with_state(context.clone(), guard::guard))
        .layer(middleware::from_fn_with_state(context.clone(), replica::know))
        .layer(middleware::from_fn_with_state(context.clone(), peers::hear))
        .layer(DefaultBodyLimit::max(API_BODY_BYTES_MAX))
        .with_state(context)
}

/// Whether a client prefers this form of answer: it names it.
fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let named = |value: &http::HeaderValue| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains(media))
    };
    headers.get_all(header::ACCEPT).iter().any(named)
}

async fn no_such_path(uri: http::Uri) -> Problem {
    let detail = format!("there is nothing at {}: /v1/openapi.json says what there is", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "no-such-path", detail)
}

async fn wrong_method(method: http::Method, uri: http::Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", detail)
}

async fn out_of_bounds(error: BoxError) -> Problem {
    if error.is::<tower::timeout::error::Elapsed>() {
        let detail = format!("no answer within {} s", API_TIMEOUT.as_secs());
        return Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail);
    }
    let detail = format!("more than {API_CONCURRENCY_MAX} requests at once: try again");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-requests", detail)
}
