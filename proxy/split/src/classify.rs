//! What a response says about the attempt.

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serin_config::Outcome;

/// The outcome of a complete response, by its status. gRPC answers 200 and says the rest in `grpc-status`:
/// see [`grpc`].
pub fn status(status: StatusCode) -> Outcome {
    match status.as_u16() {
        0..400 => Outcome::Ok,
        400..500 => Outcome::Http4xx,
        _ => Outcome::Http5xx,
    }
}

/// Whether a response is gRPC (`application/grpc`, with or without a suffix).
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let rest = value.as_bytes().strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| rest.is_empty() || matches!(rest[0], b'+' | b';'))
    })
}

/// The outcome of a gRPC status in headers or trailers; none where there is none.
///
/// The server's faults are those that Linkerd and the gRPC status document count so: UNKNOWN (2),
/// DEADLINE_EXCEEDED (4), RESOURCE_EXHAUSTED (8), UNIMPLEMENTED (12), INTERNAL (13), UNAVAILABLE (14) and
/// DATA_LOSS (15). CANCELLED (1) is the client's doing; the others answer a wrong request.
pub fn grpc(headers: &HeaderMap) -> Option<Outcome> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse::<u8>();
    Some(match code {
        Ok(0) => Outcome::Ok,
        Ok(1) => Outcome::ClientCancel,
        Ok(3 | 5 | 6 | 7 | 9 | 10 | 11 | 16) => Outcome::Http4xx,
        _ => Outcome::GrpcError,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_classed_by_its_hundred() {
        for (code, outcome) in [
            (200, Outcome::Ok),
            (304, Outcome::Ok),
            (404, Outcome::Http4xx),
            (503, Outcome::Http5xx),
            (599, Outcome::Http5xx),
        ] {
            assert_eq!(status(StatusCode::from_u16(code).unwrap()), outcome);
        }
    }

    #[test]
    fn a_grpc_status_names_whose_fault_it_is() {
        let with =
            |code: &str| HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())]);
        assert_eq!(grpc(&with("0")), Some(Outcome::Ok));
        assert_eq!(grpc(&with("5")), Some(Outcome::Http4xx));
        assert_eq!(grpc(&with("14")), Some(Outcome::GrpcError));
        assert_eq!(grpc(&with("nonsense")), Some(Outcome::GrpcError));
        assert_eq!(grpc(&HeaderMap::new()), None);
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        let with = |kind: &str| HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
        assert!(is_grpc(&with("application/grpc")) && is_grpc(&with("application/grpc+proto")));
        assert!(!is_grpc(&with("application/grpc-web")) && !is_grpc(&with("text/html")));
    }
}
