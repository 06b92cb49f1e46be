//! A client's socket that looks at every byte before the HTTP library does.
//!
//! Over HTTP/1 a [`Framer`] lets nothing pass but whole, sound heads and the bodies that they announce. In
//! place of what it refuses, the library gets a request of Serin's own making, and its answer is the refusal:
//! so that comes in its turn behind the answers to earlier requests, and closes the connection. Over HTTP/2 a
//! [`Meter`] counts frames and breaks off what floods.
//!
//! Almost always a head comes in one piece, is looked at where the library wanted it, and stays there. Only
//! what does not pass at once is copied.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use serin_config::limits::HEAD_BYTES_MAX;
use serin_split::{
    abuse::Meter,
    frames::{Frame, kind},
    framing::{Framer, Then},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{stream::Stream, watch::Activity};
use crate::clock;

/// What the library is asked instead of what was refused.
const IN_PLACE: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
const IN_PLACE_OF_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nconnection: close\r\n\r\n";
/// RFC 9113, 7.
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A client's socket. Bytes that were read to tell the protocol come first.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: Stream,
    first: Vec<u8>,
    activity: Rc<Activity>,
    protocol: Protocol,
}

#[derive(Debug)]
enum Protocol {
    Http1(Framed),
    Http2(Box<Meter>),
}

#[derive(Debug)]
struct Framed {
    framer: Framer,
    /// Requests of the connection before this framer's first.
    before: u64,
    /// What has come and was not handed on; the first `ready` bytes may be.
    kept: Vec<u8>,
    ready: usize,
}

impl Watched {
    /// Over HTTP/1.
    pub(crate) fn http1(stream: Stream, first: Vec<u8>, activity: Rc<Activity>) -> Self {
        let before = activity.requests.get();
        let framed = Framed { framer: Framer::default(), before, kept: Vec::new(), ready: 0 };
        Self { stream, first, activity, protocol: Protocol::Http1(framed) }
    }

    /// Over HTTP/2.
    pub(crate) fn http2(stream: Stream, first: Vec<u8>, activity: Rc<Activity>) -> Self {
        let meter = Box::new(Meter::new(clock::now()));
        Self { stream, first, activity, protocol: Protocol::Http2(meter) }
    }

    /// Whether the client was still sending a body when it was last read.
    pub(crate) fn is_within_body(&self) -> bool {
        matches!(&self.protocol, Protocol::Http1(framed) if framed.framer.is_within_body())
    }

    /// The socket, and what was read from it and not handed on.
    pub(crate) fn into_parts(self) -> (Stream, Vec<u8>) {
        let mut rest = match self.protocol {
            Protocol::Http1(framed) => framed.kept,
            Protocol::Http2(_) => Vec::new(),
        };
        rest.extend_from_slice(&self.first);
        (self.stream, rest)
    }

    fn poll_read_socket(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = into.filled().len();
        if !self.first.is_empty() {
            let fits = self.first.len().min(into.remaining());
            into.put_slice(&self.first[..fits]);
            self.first.drain(..fits);
            if self.first.is_empty() {
                self.first = Vec::new();
            }
            return Poll::Ready(Ok(fits));
        }
        match Pin::new(&mut self.stream).poll_read(cx, into) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(into.filled().len() - before)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_read_http1(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let Protocol::Http1(framed) = &mut self.protocol else { return Poll::Ready(Ok(())) };
            match framed.before_reading(&self.activity, into) {
                Next::Read => {}
                Next::Return(polled) => return polled,
            }
            let before = into.filled().len();
            match self.poll_read_socket(cx, into) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {}
            }
            self.activity.came();
            let Protocol::Http1(framed) = &mut self.protocol else { return Poll::Ready(Ok(())) };
            framed.look(&self.activity, into, before);
            if into.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_read_http2(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        match self.poll_read_socket(cx, into) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(_)) => {}
        }
        let Protocol::Http2(meter) = &mut self.protocol else { return Poll::Ready(Ok(())) };
        let given_up = self.activity.given_up.get();
        let Err(abuse) = meter.received(&into.filled()[before..], given_up, clock::now) else {
            return Poll::Ready(Ok(()));
        };
        self.activity.abuse.set(Some(abuse));
        let last_stream = meter.last_stream();
        self.calm(last_stream, cx);
        Poll::Ready(Err(io::Error::other(abuse.label())))
    }

    /// Says why, unless a frame of ours is half out. Whether it arrives is not waited for.
    fn calm(&mut self, last_stream: u32, cx: &mut Context<'_>) {
        if self.activity.write_blocked.get() {
            return;
        }
        let mut goaway = Frame { length: 8, kind: kind::GOAWAY, flags: 0, stream: 0 }.header().to_vec();
        goaway.extend_from_slice(&last_stream.to_be_bytes());
        goaway.extend_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
        let _ = Pin::new(&mut self.stream).poll_write(cx, &goaway);
    }

    fn wrote(&mut self, result: &Poll<io::Result<usize>>, slices: &[IoSlice<'_>]) {
        self.activity.write_blocked.set(result.is_pending());
        let Poll::Ready(Ok(bytes)) = result else { return };
        self.activity.written.set(self.activity.written.get().wrapping_add(*bytes as u64));
        if let Protocol::Http2(meter) = &mut self.protocol {
            let mut left = *bytes;
            for slice in slices {
                let of_this = slice.len().min(left);
                meter.sent(&slice[..of_this]);
                left -= of_this;
            }
        }
    }
}

enum Next {
    Read,
    Return(Poll<io::Result<()>>),
}

impl Framed {
    /// Hands on what may be, or tells why nothing can be read now.
    fn before_reading(&mut self, activity: &Activity, into: &mut ReadBuf<'_>) -> Next {
        if self.ready > 0 {
            let fits = self.ready.min(into.remaining());
            into.put_slice(&self.kept[..fits]);
            self.kept.drain(..fits);
            self.ready -= fits;
            if self.kept.is_empty() {
                self.kept = Vec::new();
            }
            return Next::Return(Poll::Ready(Ok(())));
        }
        if activity.is_refused() {
            // The refusal is written without waiting, and the connection ends with it.
            return Next::Return(Poll::Pending);
        }
        if self.framer.is_broken() {
            activity.broken.set(true);
            return Next::Return(Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a chunk of the body is malformed",
            ))));
        }
        if self.framer.holds() {
            let is_answered =
                activity.in_flight.get() == 0 && activity.requests.get() == self.before + self.framer.heads();
            match (is_answered, self.kept.is_empty()) {
                (true, true) => self.framer.stay(),
                // RFC 9931: what was meant for another protocol must not be read as requests.
                (true, false) => return Next::Return(Poll::Ready(Ok(()))),
                (false, _) if self.kept.len() >= HEAD_BYTES_MAX => return Next::Return(Poll::Pending),
                (false, _) => {}
            }
        }
        Next::Read
    }

    /// Judges what came behind `before`, and leaves there what may pass.
    fn look(&mut self, activity: &Activity, into: &mut ReadBuf<'_>, before: usize) {
        let then = if self.kept.is_empty() {
            let bytes = &into.filled()[before..];
            let taken = self.framer.take(bytes);
            if taken.passed < bytes.len() {
                self.kept.extend_from_slice(&bytes[taken.passed..]);
                into.set_filled(before + taken.passed);
            }
            taken.then
        } else {
            self.kept.extend_from_slice(&into.filled()[before..]);
            into.set_filled(before);
            let taken = self.framer.take(&self.kept);
            self.ready = taken.passed;
            taken.then
        };
        if let Then::Refuse(refusal) = then {
            activity.refuse(self.before + self.framer.heads(), refusal);
            self.kept.truncate(self.ready);
            let of_head = self.framer.refused_head_request();
            self.kept.extend_from_slice(if of_head { IN_PLACE_OF_HEAD } else { IN_PLACE });
            self.ready = self.kept.len();
        }
        if into.filled().len() == before && self.ready > 0 {
            let _ = self.before_reading(activity, into);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.protocol {
            Protocol::Http1(_) => this.poll_read_http1(cx, into),
            Protocol::Http2(_) => this.poll_read_http2(cx, into),
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(&polled, &[IoSlice::new(bytes)]);
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.wrote(&polled, slices);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        if this.stream.is_buffered() {
            // What the client has not taken yet waits in TLS's buffer, not in the HTTP library's: the connection
            // is neither idle nor quiet before it is out.
            this.activity.write_blocked.set(polled.is_pending());
        }
        polled
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
