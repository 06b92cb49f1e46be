//! HTTP/1.1 over one connection, one exchange after the other.
//!
//! An answer may come while the request is still being written (a server that refuses a large body): then the rest
//! is not sent, and the connection is not used again. The head of an answer is parsed in the buffer where it was
//! read; bodies are counted, not kept, unless somebody looks at them.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Asked, Broken, Reading, chunked::Chunked, io::Io};
use crate::{
    bounds::{ANSWER_HEAD_BYTES_MAX, ANSWER_HEADERS_MAX, READ_BUFFER_BYTES},
    measure::ErrorKind,
};

/// A connection that speaks HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Connection {
    io: Io,
    buffer: Buffer,
    reusable: bool,
}

/// How the body of an answer ends.
#[derive(Debug)]
enum Body {
    Length(u64),
    Chunked(Chunked),
    UntilClosed,
}

/// What the head of an answer says.
#[derive(Debug)]
struct Head {
    status: u16,
    body: Body,
    keeps_open: bool,
    bytes: usize,
}

impl Connection {
    pub(crate) fn new(io: Io) -> Self {
        Self { io, buffer: Buffer::new(), reusable: true }
    }

    /// Whether another request may be sent: the peer has neither closed it nor said anything unasked.
    pub(crate) async fn is_idle(&mut self) -> bool {
        if !self.reusable || !self.buffer.is_empty() {
            return false;
        }
        // Without news from the kernel this asks nobody.
        poll_fn(|cx| Poll::Ready(self.buffer.poll_fill(&mut self.io, cx).is_pending())).await
    }

    /// Sends a request and reads the answer to its end; gives the status.
    pub(crate) async fn exchange(&mut self, asked: Asked<'_>, reading: &mut Reading) -> Result<u16, Broken> {
        self.reusable = false;
        let sent = self.send(asked.bytes).await;
        let head = loop {
            let head = match self.head(asked, reading, sent.is_ok()).await {
                Ok(head) => head,
                // The failure to send says more than that no answer came.
                Err(broken) => return Err(sent.err().unwrap_or(broken)),
            };
            self.buffer.consume(head.bytes);
            // 100 and 103 come before the answer; after 101 it is no longer HTTP.
            if !(100..200).contains(&head.status) || head.status == 101 {
                break head;
            }
        };
        self.body(head.body, reading).await?;
        self.reusable = head.keeps_open && !asked.is_last && sent.is_ok() && head.status != 101;
        Ok(head.status)
    }

    /// Writes until all is written, or the peer answers before that.
    async fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut written = 0;
        poll_fn(|cx| {
            while written < bytes.len() {
                match Pin::new(&mut self.io).poll_write(cx, &bytes[written..]) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(cut(written))),
                    Poll::Ready(Ok(more)) => written += more,
                    // It may have answered before it closed.
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(cut(written))),
                    Poll::Pending => {
                        return match self.buffer.poll_fill(&mut self.io, cx) {
                            Poll::Ready(_) => Poll::Ready(Err(cut(written))),
                            Poll::Pending => Poll::Pending,
                        };
                    }
                }
            }
            // Only TLS keeps something back.
            Pin::new(&mut self.io).poll_flush(cx).map_err(|_| cut(written))
        })
        .await
    }

    /// Reads the head of the next answer; it stays in the buffer.
    async fn head(&mut self, asked: Asked<'_>, reading: &mut Reading, sent: bool) -> Result<Head, Broken> {
        loop {
            if !self.buffer.is_empty()
                && let Some(head) = parse(self.buffer.filled(), asked, reading)?
            {
                return Ok(head);
            }
            if self.buffer.filled().len() >= ANSWER_HEAD_BYTES_MAX {
                return Err(ErrorKind::Protocol.into());
            }
            let nothing_yet = self.buffer.is_empty();
            match self.fill().await {
                Ok(0) | Err(_) => {
                    let kind = if nothing_yet { ErrorKind::Closed } else { ErrorKind::Protocol };
                    return Err(Broken { kind, unsent: nothing_yet && !sent });
                }
                Ok(_) => {}
            }
        }
    }

    async fn body(&mut self, body: Body, reading: &mut Reading) -> Result<(), Broken> {
        match body {
            Body::Length(mut left) => loop {
                let here = self.buffer.filled();
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(here.len());
                reading.data(&here[..take]);
                self.buffer.consume(take);
                left -= take as u64;
                if left == 0 {
                    return Ok(());
                }
                self.more().await?;
            },
            Body::Chunked(mut chunked) => loop {
                let here = self.buffer.filled();
                let read = chunked.read(here, |data| reading.data(data));
                let used = read.map_err(|_| ErrorKind::Protocol)?;
                self.buffer.consume(used);
                if chunked.is_done() {
                    return Ok(());
                }
                self.more().await?;
            },
            Body::UntilClosed => loop {
                reading.data(self.buffer.filled());
                self.buffer.consume(self.buffer.filled().len());
                match self.fill().await {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(_) => return Err(ErrorKind::BodyCut.into()),
                }
            },
        }
    }

    /// More of a body that has not ended.
    async fn more(&mut self) -> Result<(), Broken> {
        match self.fill().await {
            Ok(0) | Err(_) => Err(ErrorKind::BodyCut.into()),
            Ok(_) => Ok(()),
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.buffer.poll_fill(&mut self.io, cx)).await
    }
}

fn cut(written: usize) -> Broken {
    Broken { kind: ErrorKind::Closed, unsent: written == 0 }
}

/// What stands at the beginning of `bytes`; none where more is needed.
fn parse(bytes: &[u8], asked: Asked<'_>, reading: &mut Reading) -> Result<Option<Head>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; ANSWER_HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = answer.parse(bytes).map_err(|_| ErrorKind::Protocol)? else {
        return Ok(None);
    };
    let status = answer.code.ok_or(ErrorKind::Protocol)?;
    let mut keeps_open = answer.version == Some(1);
    let (mut content_length, mut chunked) = (None, false);
    for field in answer.headers.iter() {
        // The names that matter are told apart by their lengths before any letter is read.
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).map_err(|_| ErrorKind::Protocol)?;
            let value: u64 = text.trim().parse().map_err(|_| ErrorKind::Protocol)?;
            if content_length.is_some_and(|before| before != value) {
                return Err(ErrorKind::Protocol.into());
            }
            content_length = Some(value);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked |= ends_with_chunked(field.value);
        } else if field.name.eq_ignore_ascii_case("connection") {
            keeps_open = keeps_open_after(field.value, keeps_open);
        } else if field.name.eq_ignore_ascii_case(asked.version_header.as_str()) {
            reading.is_of(field.value);
        }
    }
    let bodyless = asked.is_head || matches!(status, 100..200 | 204 | 304);
    let body = match content_length {
        _ if bodyless => Body::Length(0),
        _ if chunked => Body::Chunked(Chunked::new()),
        Some(length) => Body::Length(length),
        None => Body::UntilClosed,
    };
    keeps_open &= !matches!(body, Body::UntilClosed);
    if reading.wants_all() {
        reading.head(parts(status, answer.headers)?);
    }
    Ok(Some(Head { status, body, keeps_open, bytes: length }))
}

fn ends_with_chunked(value: &[u8]) -> bool {
    let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
    last.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

fn keeps_open_after(value: &[u8], before: bool) -> bool {
    let has = |word: &[u8]| {
        value.split(|byte| *byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(word))
    };
    if has(b"close") { false } else { before || has(b"keep-alive") }
}

fn parts(status: u16, fields: &[httparse::Header<'_>]) -> Result<http::response::Parts, Broken> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| ErrorKind::Protocol)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| ErrorKind::Protocol)?;
        headers.append(name, value);
    }
    let status = StatusCode::from_u16(status).map_err(|_| ErrorKind::Protocol)?;
    let mut answer = Response::new(());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer.into_parts().0)
}

/// Bytes that were read and not yet used.
#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: vec![0; READ_BUFFER_BYTES], start: 0, end: 0 }
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads once; gives how many bytes came, 0 at the end.
    fn poll_fill(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.end == self.bytes.len() {
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                // Only a head is longer than the buffer; its bound is checked where it is read.
                self.bytes.resize(self.bytes.len() * 2, 0);
            }
        }
        let mut free = ReadBuf::new(&mut self.bytes[self.end..]);
        let read = Pin::new(io).poll_read(cx, &mut free).map_ok(|()| free.filled().len());
        if let Poll::Ready(Ok(bytes)) = &read {
            self.end += bytes;
        }
        read
    }
}

/// The bytes of a request's head up to its last field; the empty line is not there yet.
pub(crate) fn head_bytes(
    method: &http::Method,
    path: &http::Uri,
    headers: &HeaderMap,
    body: usize,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(method.as_str().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(path.path_and_query().map_or("/", |path| path.as_str()).as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        field(&mut bytes, name, value.as_bytes());
    }
    let may_have_body = matches!(method.as_str(), "POST" | "PUT" | "PATCH");
    if (body > 0 || may_have_body) && !headers.contains_key(header::CONTENT_LENGTH) {
        field(&mut bytes, &header::CONTENT_LENGTH, body.to_string().as_bytes());
    }
    bytes
}

/// Adds a field.
pub(crate) fn field(bytes: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    bytes.extend_from_slice(name.as_str().as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}
