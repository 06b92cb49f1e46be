//! Whose fault it was, and what the client gets to read.

use http::{HeaderValue, Response, StatusCode, header};
use serin_config::Outcome;
use serin_split::{grpc, vet::Refusal};

use super::{body::ResponseBody, story::OwnAnswer};
use crate::{observe::Counters, shared::shed::Shed};

/// The status for an attempt that brought no response.
pub(crate) fn status(outcome: Outcome) -> StatusCode {
    match outcome {
        Outcome::ConnectTimeout | Outcome::HeaderTimeout | Outcome::IdleTimeout | Outcome::TotalTimeout => {
            StatusCode::GATEWAY_TIMEOUT
        }
        Outcome::OverloadLocal | Outcome::NoEndpoint => StatusCode::SERVICE_UNAVAILABLE,
        Outcome::ClientCancel => StatusCode::BAD_REQUEST,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// What happened, for the client; it names no address.
fn sentence(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::ConnectFail => "the service could not be reached",
        Outcome::ConnectTimeout => "the service did not accept the connection in time",
        Outcome::TlsFail => "no secure connection to the service could be made",
        Outcome::ResetBeforeHeaders => "the service closed the connection without an answer",
        Outcome::HeaderTimeout => "the service did not answer in time",
        Outcome::IdleTimeout | Outcome::TotalTimeout => "the exchange took too long",
        Outcome::ClientCancel => "the request's body was cut short or malformed",
        Outcome::OverloadLocal => "too many requests are in flight, try again later",
        Outcome::NoEndpoint => "no endpoint of the service is available",
        Outcome::ProtocolError => "the service's answer was not valid HTTP",
        Outcome::Ok | Outcome::Http4xx | Outcome::Http5xx | Outcome::GrpcError | Outcome::ResetMidBody => {
            "the service failed"
        }
    }
}

/// The answer for an attempt that brought no response.
pub(crate) fn response(outcome: Outcome) -> Response<ResponseBody> {
    let mut response = local(status(outcome), outcome.label(), sentence(outcome));
    if outcome == Outcome::OverloadLocal {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The same for a caller of gRPC, which reads no status but its own: a response of trailers only.
pub(crate) fn for_grpc(response: Response<ResponseBody>) -> Response<ResponseBody> {
    let status = response.status();
    if status == StatusCode::OK {
        return response;
    }
    let Some(text) = response.body().local_text() else { return response };
    let text = grpc::message(&String::from_utf8_lossy(text));
    let mut trailers_only = Response::new(ResponseBody::none());
    let headers = trailers_only.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(grpc::status(status))));
    if let Ok(text) = HeaderValue::from_str(&text) {
        headers.insert("grpc-message", text);
    }
    for kept in [header::RETRY_AFTER, header::CONNECTION] {
        if let Some(value) = response.headers().get(&kept) {
            headers.insert(kept, value.clone());
        }
    }
    *trailers_only.extensions_mut() = response.extensions().clone();
    trailers_only
}

/// The answer to a request that is refused because the process has too much in hand. The connection ends with
/// it, so that its client goes elsewhere and its memory comes back; in HTTP/2 there is no such field.
#[cold]
pub(crate) fn shed(counters: &Counters, why: Shed, is_http1: bool) -> Response<ResponseBody> {
    match why {
        Shed::Memory => counters.shed_memory.increment(1),
        Shed::Requests => counters.shed_requests.increment(1),
    }
    let sentence = "the proxy has too much in hand, try again later";
    let mut response = local(StatusCode::SERVICE_UNAVAILABLE, "overload_local", sentence);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    if is_http1 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The refusal of a body that is longer than the limit.
pub(crate) const TOO_LONG: Refusal = Refusal {
    status: StatusCode::PAYLOAD_TOO_LARGE,
    detail: "the request's body is longer than is served here",
};

/// The same, found out while the body came.
pub(crate) fn too_long() -> Response<ResponseBody> {
    local(TOO_LONG.status, "bad_request", TOO_LONG.detail)
}

/// An answer by Serin itself: `serin: <label>: <sentence>`.
pub(crate) fn local(status: StatusCode, label: &'static str, sentence: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::local(format!("serin: {label}: {sentence}\n")));
    *response.status_mut() = status;
    response.extensions_mut().insert(OwnAnswer(label));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
