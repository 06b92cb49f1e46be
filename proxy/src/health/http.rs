//! `GET` a path: the status decides, and nothing is read beyond it.

use ::http::{
    HeaderValue, Request, Response, header,
    uri::{Authority, PathAndQuery, Scheme, Uri},
};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serin_config::{
    endpoint::StatusRange,
    limits::{HEAD_BYTES_MAX, HEADER_FIELDS_MAX},
};

use crate::serve::stream::Stream;

/// What checks call themselves.
pub(super) const AGENT: HeaderValue = HeaderValue::from_static("serin-health-check");

/// What is asked, and what passes.
pub(super) struct Question<'a> {
    pub(super) scheme: &'a str,
    pub(super) authority: &'a str,
    pub(super) path: &'a str,
    pub(super) status: StatusRange,
}

impl Question<'_> {
    pub(super) async fn over_http1(self, stream: Stream) -> Result<(), String> {
        let mut builder = http1::Builder::new();
        builder.max_headers(HEADER_FIELDS_MAX).max_buf_size(HEAD_BYTES_MAX);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(shown)?;
        let mut request = self.request()?;
        let host = HeaderValue::from_str(self.authority).map_err(|error| error.to_string())?;
        request.headers_mut().insert(header::HOST, host);
        *request.uri_mut() = Uri::try_from(self.path).map_err(|error| error.to_string())?;
        tokio::select! {
            biased;
            answer = sender.send_request(request) => self.judge(answer),
            ended = connection => Err(ended_early(ended)),
        }
    }

    pub(super) async fn over_http2(self, stream: Stream) -> Result<(), String> {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(shown)?;
        let request = self.request()?;
        tokio::select! {
            biased;
            answer = sender.send_request(request) => self.judge(answer),
            ended = connection => Err(ended_early(ended)),
        }
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, String> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri(self.scheme, self.authority, self.path)?;
        request.headers_mut().insert(header::USER_AGENT, AGENT);
        Ok(request)
    }

    fn judge(&self, answer: Result<Response<Incoming>, hyper::Error>) -> Result<(), String> {
        let status = answer.map_err(shown)?.status();
        if self.status.holds(status.as_u16()) {
            return Ok(());
        }
        Err(format!("status {}, which is not in {}", status.as_u16(), self.status))
    }
}

pub(super) fn uri(scheme: &str, authority: &str, path: &str) -> Result<Uri, String> {
    let parts = || {
        let scheme = Scheme::try_from(scheme).ok()?;
        let authority = Authority::try_from(authority).ok()?;
        let path = PathAndQuery::try_from(path).ok()?;
        Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
    };
    parts().ok_or_else(|| format!("{authority}{path} can't be asked for"))
}

/// The connection was over before the answer.
pub(super) fn ended_early(ended: hyper::Result<()>) -> String {
    ended.err().map_or_else(|| "the connection ended without an answer".into(), shown)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(super) fn shown(error: hyper::Error) -> String {
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
