//! A byte stream: a socket, TCP or Unix, or TLS on one.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use serin_config::Address;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsStream;

use super::upstream::Place;

/// Up to this many bytes, a head and its body are copied together and sent: that costs less than the kernel's
/// way through a list of buffers.
const GATHERED_MAX: usize = 4096;

thread_local! {
    /// Where they are copied together. One for each worker: an array on the stack would have to be zeroed for each
    /// write, which costs more than the copy.
    static GATHER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Boxed, for its state is several hundred bytes that others need not carry.
    Tls(Box<TlsStream<Stream>>),
    /// One that holds a place among the connections of a version.
    Placed(Box<(Stream, Place)>),
}

impl Stream {
    /// Connects to an endpoint; the caller sets the time limit.
    pub(crate) async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Address::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
        }
    }
}

impl Stream {
    /// Whether bytes that were written may not have gone to the kernel yet: those of TLS, which has a buffer.
    pub(crate) fn is_buffered(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) => false,
            Self::Tls(_) => true,
            Self::Placed(placed) => placed.0.is_buffered(),
        }
    }
}

macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($stream) => $call,
            Stream::Unix($stream) => $call,
            Stream::Tls($stream) => $call,
            Stream::Placed(placed) => {
                let $stream = &mut placed.0;
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, into))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        // TLS gathers by itself: all slices go into one record.
        if total > GATHERED_MAX || self.is_buffered() {
            return either!(self, stream => Pin::new(stream).poll_write_vectored(cx, slices));
        }
        // Taken, not borrowed: TLS writes through a stream of its own below this one.
        let mut gathered = GATHER.take();
        gathered.clear();
        slices.iter().for_each(|slice| gathered.extend_from_slice(slice));
        let polled = either!(self, stream => Pin::new(stream).poll_write(cx, &gathered));
        GATHER.set(gathered);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // Sockets have no buffer of their own in user space.
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Placed(placed) => Pin::new(&mut placed.0).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
