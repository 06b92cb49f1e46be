//! `grpc.health.v1.Health/Check`, the standard health protocol of gRPC.
//!
//! Question and answer have one field each, so the two are written and read here by hand.

use ::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serin_config::limits::PROBE_ANSWER_BYTES_MAX;

use super::http::{AGENT, ended_early, shown, uri};
use crate::serve::stream::Stream;

const PATH: &str = "/grpc.health.v1.Health/Check";

/// Asks about a service; the empty name is the server as a whole.
pub(super) async fn ask(stream: Stream, scheme: &str, authority: &str, service: &str) -> Result<(), String> {
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(shown)?;
    let mut request = Request::post(uri(scheme, authority, PATH)?)
        .body(Full::new(question(service)))
        .map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::USER_AGENT, AGENT);
    let asked = async {
        let response = sender.send_request(request).await.map_err(shown)?;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status().as_u16()));
        }
        let (head, body) = response.into_parts();
        let body = Limited::new(body, PROBE_ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| error.to_string())?;
        // An answer without a message has its status among the headers.
        let trailers = body.trailers().filter(|trailers| trailers.contains_key("grpc-status")).cloned();
        judge(&trailers.unwrap_or(head.headers), &body.to_bytes())
    };
    tokio::select! {
        biased;
        result = asked => result,
        ended = connection => Err(ended_early(ended)),
    }
}

/// `HealthCheckRequest { service = 1 }` as a message of gRPC: no compression, length, protobuf.
fn question(service: &str) -> Bytes {
    let mut message = Vec::with_capacity(service.len() + 4);
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push((length & 0x7f) as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
    framed.extend_from_slice(&message);
    framed.into()
}

fn judge(status: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let said = |name| status.get(name).map(|value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()));
    match said("grpc-status").as_deref() {
        Some("0") => {}
        Some(code) => {
            let message = said("grpc-message").unwrap_or_default();
            return Err(format!("grpc-status {code} {message}").trim_end().to_owned());
        }
        None => return Err("there is no grpc-status".into()),
    }
    match serving(body) {
        Some(1) => Ok(()),
        Some(0) => Err("UNKNOWN".into()),
        Some(2) => Err("NOT_SERVING".into()),
        Some(3) => Err("SERVICE_UNKNOWN".into()),
        Some(other) => Err(format!("serving status {other}")),
        None => Err("the answer is not a HealthCheckResponse".into()),
    }
}

/// The field `status = 1` of a `HealthCheckResponse`; zero where it is left out, as protobuf has it.
fn serving(body: &[u8]) -> Option<u8> {
    let (head, rest) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let message = rest.get(..usize::try_from(length).ok()?)?;
    match (head[0], message) {
        (0, []) => Some(0),
        (0, [0x08, status, ..]) if *status < 0x80 => Some(*status),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_framed_as_grpc_does() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("a.B")[..], [0, 0, 0, 0, 5, 0x0a, 3, b'a', b'.', b'B']);
        let long = question(&"x".repeat(300));
        assert_eq!(&long[..9], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02, b'x']);
    }

    #[test]
    fn only_serving_passes() {
        let ok = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        assert_eq!(judge(&ok, &[0, 0, 0, 0, 2, 8, 1]), Ok(()));
        assert_eq!(judge(&ok, &[0, 0, 0, 0, 2, 8, 2]), Err("NOT_SERVING".into()));
        assert_eq!(judge(&ok, &[0, 0, 0, 0, 0]), Err("UNKNOWN".into()));
        assert!(judge(&ok, &[0, 0, 0, 0, 9, 8, 1]).is_err());
        assert!(judge(&ok, b"").is_err());
        assert!(judge(&HeaderMap::new(), &[0, 0, 0, 0, 2, 8, 1]).is_err());
        let unimplemented = HeaderMap::from_iter([
            ("grpc-status".parse().unwrap(), "12".parse().unwrap()),
            ("grpc-message".parse().unwrap(), "no such method".parse().unwrap()),
        ]);
        assert_eq!(judge(&unimplemented, b""), Err("grpc-status 12 no such method".into()));
    }
}
