//! Passing on what is not for a follower: a request that changes something goes to the leader as it came, and the
//! leader's answer goes back as it came. Whoever asks need not know who leads.
//!
//! It is passed on once: a control plane that is asked to do what it can't pass on further says so, so two that each
//! take the other for the leader don't send it back and forth. The leader checks who asks by itself, by what came
//! with the request; from where, it is told in a way that it believes of control planes alone ([`super::pass`]).

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serin_config::limits::{API_BODY_BYTES_MAX, FORWARD_BYTES_MAX, FORWARD_READ_WAIT, FORWARD_WAIT};
use tokio::{task::JoinHandle, time::timeout};

use super::{
    LeaderAddress,
    dial::Place,
    pass::{About, Claim},
    standing::Standing,
};

/// Says that a request was passed on already, by whom, and from where it first came.
pub(crate) const FORWARDED: HeaderName = HeaderName::from_static("x-serin-forwarded");
/// What says who asks, and how.
const PASSED: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::ACCEPT,
    header::IF_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
];

/// Why a request was not passed on. Whether the leader did it is only doubtful where it says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    #[error("nobody leads at the moment: try again in a few seconds")]
    NoLeader,
    #[error("it was passed on already, to a control plane that no longer leads: try again")]
    Again,
    #[error(
        "the leader {name} is not reached from here ({why}): ask it itself, or set control.etcd.advertise.api there"
    )]
    Unreachable { name: String, why: String },
    #[error("the leader {0} did not answer: it may have been done; read before trying again")]
    NoAnswer(String),
    #[error("the body is larger than {API_BODY_BYTES_MAX} bytes")]
    TooLarge,
}

/// Passes a request on to the leader, from a control plane that stands so; `from` is where it came from.
pub(crate) async fn forward(
    request: Request<Body>,
    from: &str,
    leader: &LeaderAddress,
    standing: &Standing,
) -> Result<Response<Body>, ForwardError> {
    let Call { passed, mut sender, connection } = call(request, from, leader, standing).await?;
    let answered = timeout(FORWARD_WAIT, async {
        let (parts, body) = sender.send_request(passed).await.ok()?.into_parts();
        let body = Limited::new(body, FORWARD_BYTES_MAX).collect().await.ok()?;
        Some((parts, body.to_bytes()))
    });
    let answered = answered.await;
    connection.abort();
    let Ok(Some((parts, body))) = answered else { return Err(ForwardError::NoAnswer(leader.name.clone())) };
    Ok(answer(parts.status, &parts.headers, Body::from(body)))
}

/// Passes a read on to the leader, and gives its answer as it comes. Its head may take as long as `patience`; the connection
/// ends with its body.
pub(crate) async fn ask(
    request: Request<Body>,
    from: &str,
    leader: &LeaderAddress,
    standing: &Standing,
    patience: Duration,
) -> Result<Response<Incoming>, ForwardError> {
    let late = || ForwardError::NoAnswer(leader.name.clone());
    let called = timeout(FORWARD_READ_WAIT, call(request, from, leader, standing)).await;
    let Call { passed, mut sender, .. } = called.map_err(|_| late())??;
    match timeout(patience, sender.send_request(passed)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(_)) | Err(_) => Err(late()),
    }
}

/// A request on its way, and the connection for it.
struct Call {
    passed: Request<Full<Bytes>>,
    sender: http1::SendRequest<Full<Bytes>>,
    connection: JoinHandle<hyper::Result<()>>,
}

async fn call(
    request: Request<Body>,
    from: &str,
    leader: &LeaderAddress,
    standing: &Standing,
) -> Result<Call, ForwardError> {
    if standing.was_passed_on(&request) {
        return Err(ForwardError::Again);
    }
    let unreachable = |why: String| ForwardError::Unreachable { name: leader.name.clone(), why };
    let api = leader.api.as_deref().ok_or_else(|| unreachable("it listens on a Unix socket".into()))?;
    let place = Place::of(api).ok_or_else(|| unreachable(format!("{api} is no place to connect to")))?;
    let claim = Claim { by: standing.name().to_owned(), from: from.to_owned(), body: None };
    let signed = leader.pass.as_ref().and_then(|pass| pass.sign(&claim, About::of(&request)));
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, API_BODY_BYTES_MAX).collect().await.map_err(|_| ForwardError::TooLarge)?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut passed = Request::builder().method(parts.method).uri(path).header(header::HOST, place.authority);
    if let Some(headers) = passed.headers_mut() {
        pass(&parts.headers, headers);
        // One of an older release takes the word of nobody: it need only know that it was passed on.
        headers.insert(FORWARDED, signed.unwrap_or(HeaderValue::from_static("1")));
    }
    let passed = passed.body(Full::new(body.to_bytes())).map_err(|error| unreachable(error.to_string()))?;

    let stream = place.dial(standing.ca()).await.map_err(unreachable)?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
    Ok(Call { passed, sender, connection: tokio::spawn(connection) })
}

fn pass(from: &HeaderMap, to: &mut HeaderMap) {
    for name in PASSED {
        for value in from.get_all(&name) {
            to.append(name.clone(), value.clone());
        }
    }
}

/// The leader's answer; what its connection needed stays behind.
pub(crate) fn answer(status: http::StatusCode, headers: &HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let own = [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::DATE];
    for (name, value) in headers.iter().filter(|(name, _)| !own.contains(name)) {
        response.headers_mut().append(name.clone(), value.clone());
    }
    response
}
