//! An answer that is made while it is sent: what is exported may be large as text, and is never whole in memory.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context as Task, Poll},
};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use http::header;
use http_body::Frame;

/// JSON lines; each text is some of them, and goes out by itself.
pub(super) struct Lines<I>(pub(super) I);

impl<I: Iterator<Item = String> + Unpin> http_body::Body for Lines<I> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|text| Ok(Frame::data(Bytes::from(text)))))
    }
}

impl<I: Iterator<Item = String> + Unpin + Send + 'static> IntoResponse for Lines<I> {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::new(self)).into_response()
    }
}
