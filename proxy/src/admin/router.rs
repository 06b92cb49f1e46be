//! Which question or change a request to the admin listener is. Questions are GET; every change is POST.

use std::{
    io,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::ACCEPT};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{View, body, breakers, faults, problem::Problem, reply};
use crate::{
    clock,
    endpoints::report,
    observe::{export::Page, openmetrics},
};

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers one request.
pub(super) async fn answer(view: Arc<View>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let way: Vec<&str> = path.trim_matches('/').split('/').collect();
    let answered = if matches!(*request.method(), Method::GET | Method::HEAD) {
        let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
        question(&view, &way, accept.is_some_and(openmetrics::is_wanted))
    } else {
        change(&view, &way, request).await
    };
    answered.unwrap_or_else(Problem::response)
}

fn question(view: &View, way: &[&str], openmetrics: bool) -> Result<Response<Full<Bytes>>, Problem> {
    Ok(match way {
        ["livez"] => reply(StatusCode::OK, TEXT, "alive\n".into()),
        ["readyz"] if view.ready.load(Ordering::Relaxed) => reply(StatusCode::OK, TEXT, "ready\n".into()),
        ["readyz"] => reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".into()),
        ["metrics"] => match page(view, openmetrics) {
            Ok(text) if openmetrics => {
                reply(StatusCode::OK, openmetrics::CONTENT_TYPE, openmetrics::from_text(&text))
            }
            Ok(text) => reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
            Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        },
        ["plan"] => done(&plan(view)),
        ["endpoints"] => done(&report::json(&view.shared, &view.plans.load())),
        ["faults"] => done(&faults::list(&view.shared.faults, clock::now())),
        ["breakers"] => done(&breakers::list(&view.shared, clock::unix_ms())),
        ["trips"] => done(&breakers::trips(&view.shared)),
        ["faults", _, "remove"] | ["breakers", _, _, "open" | "close"] | ["trips", _, "reset"] => {
            return Err(Problem::method("POST"));
        }
        ["faults", _] => return Err(Problem::method("DELETE")),
        _ => return Err(unknown()),
    })
}

async fn change(
    view: &View,
    way: &[&str],
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Problem> {
    let allowed = match way {
        ["livez" | "readyz" | "metrics" | "plan" | "endpoints" | "breakers" | "trips"] => "GET, HEAD",
        ["faults"] => "GET, HEAD, POST",
        ["faults", _] => "DELETE",
        ["faults", _, "remove"] | ["breakers", _, _, "open" | "close"] | ["trips", _, "reset"] => "POST",
        _ => return Err(unknown()),
    };
    if !allowed.split(", ").any(|method| request.method() == method) {
        return Err(Problem::method(allowed));
    }
    body::check(request.headers(), request.uri())?;
    let (shared, now, now_ms) = (&view.shared, clock::now(), clock::unix_ms());
    let result = match way {
        ["faults"] => {
            let wanted = body::read(request).await?;
            faults::add(&shared.faults, &view.plans.load(), wanted, now)?
        }
        ["faults", id] | ["faults", id, _] => faults::remove(&shared.faults, id, now)?,
        ["breakers", service, version, "open"] => {
            let opening = body::read(request).await?;
            breakers::open(shared, (service, version), &opening, now_ms)?
        }
        ["breakers", service, version, _] => breakers::close(shared, (service, version), now_ms)?,
        ["trips", service, _] => breakers::reset(shared, &view.plans.load(), service)?,
        _ => return Err(unknown()),
    };
    Ok(done(&result))
}

fn unknown() -> Problem {
    Problem::missing("try /livez, /readyz, /metrics, /plan, /endpoints, /faults, /breakers or /trips")
}

fn done(value: &Value) -> Response<Full<Bytes>> {
    reply(StatusCode::OK, "application/json", value.to_string())
}

fn page(view: &View, exemplars: bool) -> Result<String, io::Error> {
    let mut text = view.rare.render();
    let plan = view.plans.load();
    let totals = view.totals.lock().unwrap_or_else(PoisonError::into_inner);
    let reload = view.reload.lock().unwrap_or_else(PoisonError::into_inner);
    let connections = view.connections.load(Ordering::Relaxed);
    let page = Page {
        totals: &totals,
        plan: &plan,
        reload: &reload,
        connections,
        by_worker: view.spread.open().collect(),
        shared: &view.shared,
        version: view.version,
        exemplars,
    };
    page.write(&mut text).map_err(io::Error::other)?;
    view.tls.write_metrics(&mut text, clock::unix_seconds()).map_err(io::Error::other)?;
    report::write_metrics(&view.shared, &plan, &mut text).map_err(io::Error::other)?;
    Ok(text)
}

/// The plan in force. Secrets are no part of a plan.
fn plan(view: &View) -> serde_json::Value {
    let plan = view.plans.load();
    let services: Vec<_> = plan
        .services()
        .map(|(service, split)| {
            let weights: serde_json::Map<_, _> = split
                .iter()
                .map(|(version, weight)| (version.to_string(), weight.to_string().into()))
                .collect();
            json!({
                "name": service.name,
                "stable": service.stable,
                "canary": service.canary,
                "weights": weights,
                "mirror": plan.mirror(service.name.as_str()),
                "versions": service.versions,
                "sticky": service.sticky,
                "timeouts": service.timeouts,
                "resilience": service.resilience,
            })
        })
        .collect();
    let reload = view.reload.lock().unwrap_or_else(PoisonError::into_inner);
    json!({
        "generation": plan.generation(),
        "parent": plan.parent(),
        "routes": plan.catalogue().routes(),
        "services": services,
        "reload": &*reload,
    })
}
