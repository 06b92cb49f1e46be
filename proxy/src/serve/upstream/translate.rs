//! A request's head in the words of HTTP/1.1 and of HTTP/2.
//!
//! Heads are prepared as HTTP/1.1 writes them: a path as target, a `Host`, the framing in fields. HTTP/2 has
//! pseudo-fields for the first two and frames for the last, and knows no fields of one hop (RFC 9113, 8.2.2).
//! A request that was not sent over one protocol may go out over the other, so both ways are here.

use http::{
    HeaderValue, Method, Request, Uri, Version,
    header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body;
use hyper::ext::Protocol;

/// What an upgrade of HTTP/1.1 says beyond its name in HTTP/2.
#[derive(Debug, Clone)]
struct Asked {
    protocol: HeaderValue,
    key: Option<HeaderValue>,
}

/// In the words of HTTP/2.
pub(super) fn to_http2<B>(request: &mut Request<B>, scheme: &Scheme) {
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(CONNECTION);
    if let Some(protocol) = request.headers_mut().remove(UPGRADE) {
        // RFC 8441, 4 and 5: what HTTP/1.1 asks by a field, and with a key where it is WebSocket.
        *request.method_mut() = Method::CONNECT;
        let key = request.headers_mut().remove(SEC_WEBSOCKET_KEY);
        let name = String::from_utf8_lossy(protocol.as_bytes()).into_owned();
        request.extensions_mut().insert(Protocol::from(name.as_str()));
        request.extensions_mut().insert(Asked { protocol, key });
    }
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
    request.extensions_mut().remove::<Protocol>();
    if let Some(Asked { protocol, key }) = request.extensions_mut().remove() {
        *request.method_mut() = Method::GET;
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(UPGRADE, protocol);
        if let Some(key) = key {
            request.headers_mut().insert(SEC_WEBSOCKET_KEY, key);
        }
    }
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
    fn an_upgrade_becomes_an_extended_connect_and_an_upgrade_again() {
        let request = Request::get("/chat").header("host", "a.example").header("connection", "upgrade");
        let request = request.header("upgrade", "websocket").header("sec-websocket-key", "k");
        let mut request = request.body(Empty::<Bytes>::new()).unwrap();
        let before = request.headers().clone();
        to_http2(&mut request, &Scheme::HTTPS);
        assert_eq!((request.method(), request.uri().path()), (&Method::CONNECT, "/chat"));
        assert_eq!(request.extensions().get::<Protocol>().unwrap().as_str(), "websocket");
        assert!(request.headers().is_empty());
        to_http1(&mut request);
        assert_eq!((request.method(), request.headers()), (&Method::GET, &before));
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
