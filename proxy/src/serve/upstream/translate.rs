//! A request's head in the words of HTTP/1.1 and of HTTP/2.
//!
//! Heads are prepared as HTTP/1.1 writes them: a path as target, a `Host`, the framing in fields. HTTP/2 has
//! pseudo-fields for the first two and frames for the last, and knows no fields of one hop (RFC 9113, 8.2.2).
//! A request that was not sent over one protocol may go out over the other, so both ways are here.

use http::{
    HeaderValue, Request, Uri, Version,
    header::{CONNECTION, HOST, TRANSFER_ENCODING},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body;

/// In the words of HTTP/2.
pub(super) fn to_http2<B>(request: &mut Request<B>, scheme: &Scheme) {
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(CONNECTION);
    request.headers_mut().remove(TRANSFER_ENCODING);
    let host = request.headers_mut().remove(HOST);
    let host = host.as_ref().and_then(|host| Authority::try_from(host.as_bytes()).ok());
    // HTTP/1.0 may come without a host; an authority there must be (RFC 9113, 8.3.1).
    let authority = host.unwrap_or(Authority::from_static("localhost"));
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let uri = Uri::builder().scheme(scheme.clone()).authority(authority).path_and_query(path).build();
    if let Ok(uri) = uri {
        *request.uri_mut() = uri;
    }
}

/// In the words of HTTP/1.1.
pub(super) fn to_http1<B: Body>(request: &mut Request<B>) {
    *request.version_mut() = Version::HTTP_11;
    if let Some(host) = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
        request.headers_mut().insert(HOST, host);
        let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
    }
    if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Empty;

    use super::*;

    /// A body of a length that nobody knows.
    struct Unknown;

    impl Body for Unknown {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Ready(None)
        }
    }

    #[test]
    fn a_request_survives_the_way_there_and_back() {
        let mut request =
            Request::get("/a?b=c").header("host", "a.example:80").body(Empty::<Bytes>::new()).unwrap();
        to_http2(&mut request, &Scheme::HTTP);
        assert_eq!(request.uri(), "http://a.example:80/a?b=c");
        assert!(request.headers().is_empty());
        to_http1(&mut request);
        assert_eq!((request.uri().to_string().as_str(), request.version()), ("/a?b=c", Version::HTTP_11));
        assert_eq!(request.headers()[HOST], "a.example:80");
    }

    #[test]
    fn chunks_are_named_in_one_protocol_only() {
        let mut request = Request::post("/").header("transfer-encoding", "chunked").body(Unknown).unwrap();
        to_http2(&mut request, &Scheme::HTTP);
        assert!(!request.headers().contains_key(TRANSFER_ENCODING));
        to_http1(&mut request);
        assert_eq!(request.headers()[TRANSFER_ENCODING], "chunked");
    }
}
