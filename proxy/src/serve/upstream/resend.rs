//! A request that may go out a second time.
//!
//! An endpoint may close an idle connection just as a request is written to it (RFC 9112, 9.3.1). The request
//! is gone then, without an answer, and through nobody's fault. A proxy may send it again if its method is
//! idempotent; it can if there was no body. A copy of the head for every request would cost the hot path two
//! allocations and a counter for each field, so what is kept are the bytes as they were written, in a buffer
//! that the connection owns; they are read back in the rare case that they are needed.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use serin_config::limits::HEAD_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::{body::RequestBody, stream::Stream};

/// What an unused connection keeps of its buffer.
const KEPT_BYTES: usize = 4096;

/// What went over a connection since its last request began.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    recording: Cell<bool>,
    sent: RefCell<Vec<u8>>,
    /// Some of the request has gone out.
    begun: Cell<bool>,
    answered: Cell<bool>,
}

impl Traffic {
    /// A request begins; `repeatable` ones are recorded.
    pub(crate) fn begin(&self, repeatable: bool) {
        self.answered.set(false);
        self.begun.set(false);
        self.recording.set(repeatable);
        let mut sent = self.sent.borrow_mut();
        sent.clear();
        sent.shrink_to(KEPT_BYTES);
    }

    /// The request once more, if it was recorded whole and not one byte of an answer came.
    pub(crate) fn request(&self) -> Option<Request<RequestBody>> {
        if self.answered.get() || !self.recording.get() { None } else { parse(&self.sent.borrow()) }
    }

    fn wrote<'a>(&self, mut bytes: usize, slices: impl Iterator<Item = &'a [u8]>) {
        self.begun.set(true);
        if !self.recording.get() {
            return;
        }
        let mut sent = self.sent.borrow_mut();
        if sent.len() + bytes > HEAD_BYTES_MAX {
            return self.recording.set(false);
        }
        for slice in slices {
            let part = &slice[..slice.len().min(bytes)];
            sent.extend_from_slice(part);
            bytes -= part.len();
        }
    }
}

/// Reads back a head that the HTTP library wrote; none if it did not come to write all of it.
fn parse(sent: &[u8]) -> Option<Request<RequestBody>> {
    let head = sent.strip_suffix(b"\r\n\r\n")?;
    let mut lines = head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut words = lines.next()?.split(|b| *b == b' ');
    let mut request = Request::new(RequestBody::none());
    *request.method_mut() = Method::from_bytes(words.next()?).ok()?;
    *request.uri_mut() = Uri::try_from(words.next()?).ok()?;
    for line in lines {
        let colon = line.iter().position(|b| *b == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

/// An endpoint's socket that notes its traffic.
///
/// An endpoint may answer before it has read the whole request, and close: "that is too large". What is written then
/// fails, but the answer is there to be read. The HTTP library gives up at a failed write; so the rest of such a
/// request goes nowhere, as if it had been sent, and it is the reading side that tells how the exchange ended.
#[derive(Debug)]
pub(crate) struct Noted {
    stream: Stream,
    traffic: Rc<Traffic>,
    /// The endpoint takes no more bytes.
    deaf: bool,
}

impl Noted {
    pub(crate) fn new(stream: Stream, traffic: Rc<Traffic>) -> Self {
        Self { stream, traffic, deaf: false }
    }

    /// What the library is to hear of a write that would do so much.
    fn heard<T>(&mut self, polled: Poll<io::Result<T>>, bytes: T) -> Poll<io::Result<T>> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        match polled {
            Poll::Ready(Err(error)) if matches!(error.kind(), BrokenPipe | ConnectionReset) => {
                self.deaf = true;
                // Of a request that has not begun nobody can have answered anything.
                Poll::Ready(if self.traffic.begun.get() { Ok(bytes) } else { Err(error) })
            }
            polled => polled,
        }
    }

    pub(super) fn into_inner(self) -> Stream {
        self.stream
    }
}

impl AsyncRead for Noted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, into);
        if into.filled().len() > before {
            this.traffic.answered.set(true);
        }
        polled
    }
}

impl AsyncWrite for Noted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match this.deaf {
            false => Pin::new(&mut this.stream).poll_write(cx, bytes),
            true => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        if let Poll::Ready(Ok(written)) = &polled {
            this.traffic.wrote(*written, std::iter::once(bytes));
        }
        this.heard(polled, bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match this.deaf {
            false => Pin::new(&mut this.stream).poll_write_vectored(cx, slices),
            true => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        if let Poll::Ready(Ok(written)) = &polled {
            this.traffic.wrote(*written, slices.iter().map(|slice| &**slice));
        }
        this.heard(polled, slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.deaf {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.heard(polled, ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"PUT /a?b=c HTTP/1.1\r\nhost: a.example\r\nx: 1\r\nx: \xff : 2\r\nempty: \r\n\r\n";

    fn traffic(repeatable: bool, written: &[&[u8]]) -> Traffic {
        let traffic = Traffic::default();
        traffic.begin(repeatable);
        for bytes in written {
            traffic.wrote(bytes.len(), std::iter::once(*bytes));
        }
        traffic
    }

    #[test]
    fn a_head_reads_back_as_it_was_written() {
        let request = traffic(true, &[&HEAD[..10], &HEAD[10..]]).request().unwrap();
        assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::PUT, "/a?b=c"));
        let fields: Vec<_> = request.headers().iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        let expected: [(&str, &[u8]); 4] =
            [("host", b"a.example"), ("x", b"1"), ("x", b"\xff : 2"), ("empty", b"")];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_was_not_written_whole_or_was_answered_is_not_repeated() {
        assert!(traffic(true, &[&HEAD[..HEAD.len() - 1]]).request().is_none());
        assert!(traffic(false, &[HEAD]).request().is_none());
        let answered = traffic(true, &[HEAD]);
        answered.answered.set(true);
        assert!(answered.request().is_none());
        assert!(traffic(true, &[HEAD, &[b'x'; HEAD_BYTES_MAX]]).request().is_none());
    }

    #[tokio::test]
    async fn an_answer_that_came_before_the_request_was_whole_is_read_though_writing_fails() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let (own, mut endpoint) = tokio::net::UnixStream::pair().unwrap();
        let traffic = Rc::<Traffic>::default();
        traffic.begin(false);
        let mut noted = Noted::new(Stream::Unix(own), traffic.clone());
        noted.write_all(HEAD).await.unwrap();
        endpoint.write_all(b"too large").await.unwrap();
        drop(endpoint);
        noted.write_all(&[b'x'; HEAD_BYTES_MAX]).await.expect("it goes nowhere");
        noted.write_all(b"the end").await.expect("it goes nowhere");
        let mut answer = [0; 9];
        noted.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"too large");
        // Nothing can be asked over this connection any more.
        traffic.begin(false);
        assert!(noted.write_all(HEAD).await.is_err());
    }

    #[test]
    fn the_next_request_starts_from_nothing() {
        let traffic = traffic(true, &[HEAD]);
        traffic.begin(true);
        assert!(traffic.request().is_none());
        traffic.wrote(16, [&b"OPTIONS * "[..], b"HTTP/1.1\r\n\r\n"].into_iter());
        assert!(traffic.request().is_none());
        traffic.wrote(6, std::iter::once(&b".1\r\n\r\n"[..]));
        let request = traffic.request().unwrap();
        assert_eq!((request.method(), request.uri().path()), (&Method::OPTIONS, "*"));
    }
}
