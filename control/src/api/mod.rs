//! HTTP in, typed command out; JSON and problem details (RFC 9457) back.
//!
//! Reads are answered from the published snapshot and from the journal in memory, so they work whatever the
//! disk does. Everything that is refused is refused before a command is made of it: unknown fields, a
//! missing generation, a host name that a browser was tricked into.

mod body;
mod export;
mod guard;
mod listener;
mod name;
mod problem;
mod read;
mod rollouts;
mod serve;
mod write;

use std::sync::Arc;

use axum::{
    Router,
    error_handling::HandleErrorLayer,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, put},
};
use http::StatusCode;
use serin_config::{
    limits::{API_BODY_BYTES_MAX, API_CONCURRENCY_MAX, API_TIMEOUT},
    secret::Secret,
};
use tower::{BoxError, ServiceBuilder, limit::GlobalConcurrencyLimitLayer};

pub use listener::BindError;
pub(crate) use listener::Listener;
pub(crate) use serve::serve;

use crate::access::Access;
use problem::Problem;

/// What every handler may use.
#[derive(Clone)]
struct Context {
    access: Access,
    token: Option<Arc<Secret>>,
    /// Whether the `host` header must not be a name: over TCP and without a token.
    names_refused: bool,
}

fn router(context: Context) -> Router {
    let bounds = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(out_of_bounds))
        .load_shed()
        .layer(GlobalConcurrencyLimitLayer::new(API_CONCURRENCY_MAX))
        .timeout(API_TIMEOUT);
    Router::new()
        .route("/v1/plan", get(read::plan))
        .route("/v1/services", get(read::services))
        .route("/v1/services/{service}", get(read::service))
        .route("/v1/services/{service}/weights", put(write::set_weights))
        .route("/v1/services/{service}/rollout", get(read::rollout).post(write::steer))
        .route("/v1/services/{service}/rollout/explain", get(read::explain))
        .route("/v1/services/{service}/rollouts/{id}/windows", get(export::of_service))
        .route("/v1/rollouts", get(rollouts::list))
        .route("/v1/rollouts/{id}/windows", get(export::of_any))
        .route("/v1/journal", get(read::journal))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(context.clone(), guard::guard))
        .layer(DefaultBodyLimit::max(API_BODY_BYTES_MAX))
        .layer(bounds)
        .with_state(context)
}

async fn no_such_path(uri: http::Uri) -> Problem {
    let detail = format!("there is nothing at {}: the API begins at /v1/services", uri.path());
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
