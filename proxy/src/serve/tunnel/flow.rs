//! Two sockets joined: bytes move both ways until both sides have ended, one of them fails, or neither has
//! said anything for too long.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serin_config::{Outcome, limits::TUNNEL_BUFFER};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use super::{Wish, grant};
use crate::{
    clock,
    serve::{record::Exchange, timer::LazyTimer, upstream::Upstream, watch::Activity},
};

/// The endpoint's side, granted and waiting for the client's.
#[derive(Debug)]
pub(crate) struct Tunnel {
    endpoint: EndpointSide,
    exchange: Exchange,
    idle: Option<Duration>,
}

#[derive(Debug)]
enum EndpointSide {
    Connection(Upstream),
    /// A stream, and the share of the connection that it is a part of.
    Stream(OnUpgrade, Upstream),
}

impl Tunnel {
    /// A tunnel that `upstream` has granted; `stream` is its side where that is not the connection itself.
    pub(crate) fn new(
        upstream: Upstream,
        stream: Option<OnUpgrade>,
        exchange: Exchange,
        idle: Option<Duration>,
    ) -> Self {
        let endpoint = match stream {
            Some(stream) => EndpointSide::Stream(stream, upstream),
            None => EndpointSide::Connection(upstream),
        };
        Self { endpoint, exchange, idle }
    }

    /// Tells the client, and joins the sides once its own is there: for HTTP/2 in a task of its own, for
    /// HTTP/1.1 when the connection's task comes for it.
    pub(crate) fn open(self, wish: Wish, head: &mut response::Parts, activity: &Rc<Activity>) {
        let shared = matches!(self.endpoint, EndpointSide::Stream(..));
        grant::head_for_client(&wish, shared, head);
        let Some(stream) = wish.stream else { return activity.leave_tunnel(self) };
        // The client's connection is not idle while the tunnel lasts.
        activity.begin();
        let activity = activity.clone();
        tokio::task::spawn_local(async move {
            match stream.await {
                Ok(client) => self.run(TokioIo::new(client), Bytes::new()).await,
                Err(_) => self.exchange.finish(Outcome::ClientCancel, clock::now()),
            }
            activity.end();
        });
    }

    /// Joins the client's side; `early` is what was read from it already.
    pub(crate) async fn run(self, client: impl AsyncRead + AsyncWrite + Unpin, early: Bytes) {
        let Self { endpoint, mut exchange, idle } = self;
        let Joined { outcome, sent, received } = match endpoint {
            EndpointSide::Connection(upstream) => match upstream.into_stream() {
                Some((stream, first)) => join((client, early), (stream, first), idle).await,
                None => Joined::broken(),
            },
            EndpointSide::Stream(stream, _share) => match stream.await {
                Ok(stream) => join((client, early), (TokioIo::new(stream), Bytes::new()), idle).await,
                Err(_) => Joined::broken(),
            },
        };
        exchange.carried(sent, received);
        exchange.finish(outcome, clock::now());
    }
}

/// How two sides parted.
#[derive(Debug, PartialEq, Eq)]
struct Joined {
    outcome: Outcome,
    /// Bytes from the client to the endpoint.
    sent: u64,
    /// Bytes from the endpoint to the client.
    received: u64,
}

impl Joined {
    /// They never met.
    fn broken() -> Self {
        Self { outcome: Outcome::ResetMidBody, sent: 0, received: 0 }
    }
}

/// Joins two sides, each with what was read of it already.
async fn join<C, E>(client: (C, Bytes), endpoint: (E, Bytes), idle: Option<Duration>) -> Joined
where
    C: AsyncRead + AsyncWrite + Unpin,
    E: AsyncRead + AsyncWrite + Unpin,
{
    let moved_at = Rc::new(Cell::new(clock::now()));
    let mut client =
        Side { io: client.0, first: client.1, moved_at: moved_at.clone(), written: 0, failed: false };
    let mut endpoint =
        Side { io: endpoint.0, first: endpoint.1, moved_at: moved_at.clone(), written: 0, failed: false };
    let mut timer = LazyTimer::default();
    let ended = {
        let mut copying =
            pin!(copy_bidirectional_with_sizes(&mut client, &mut endpoint, TUNNEL_BUFFER, TUNNEL_BUFFER));
        poll_fn(|cx| {
            if let Poll::Ready(ended) = copying.as_mut().poll(cx) {
                return Poll::Ready(Some(ended));
            }
            match idle {
                Some(idle) => timer.poll(moved_at.get() + idle, cx).map(|()| None),
                None => Poll::Pending,
            }
        })
        .await
    };
    let outcome = match ended {
        None => Outcome::IdleTimeout,
        Some(Ok(_)) => Outcome::Ok,
        Some(Err(_)) if endpoint.failed => Outcome::ResetMidBody,
        Some(Err(_)) => Outcome::ClientCancel,
    };
    Joined { outcome, sent: endpoint.written, received: client.written }
}

/// One side: what was read of it early comes first, and it notes when it moved and whether it failed.
struct Side<S> {
    io: S,
    first: Bytes,
    moved_at: Rc<Cell<Instant>>,
    /// Bytes that went out here.
    written: u64,
    failed: bool,
}

impl<S> Side<S> {
    fn note<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &polled {
            Poll::Ready(Ok(_)) => self.moved_at.set(clock::now()),
            Poll::Ready(Err(_)) => self.failed = true,
            Poll::Pending => {}
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Side<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            let fits = this.first.len().min(into.remaining());
            into.put_slice(&this.first.split_to(fits));
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut this.io).poll_read(cx, into);
        this.note(polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Side<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            this.written += *written as u64;
        }
        this.note(polled)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_flush(cx);
        if let Poll::Ready(Err(_)) = &polled {
            this.failed = true;
        }
        polled
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_read_early_comes_first_and_both_ends_end_it() {
        let ((mut client, ours), (theirs, mut endpoint)) = (duplex(64), duplex(64));
        let joined = join((ours, "early ".into()), (theirs, "first ".into()), None);
        let talk = async {
            client.write_all(b"late").await.unwrap();
            client.shutdown().await.unwrap();
            endpoint.write_all(b"second").await.unwrap();
            endpoint.shutdown().await.unwrap();
            let (mut up, mut down) = (String::new(), String::new());
            endpoint.read_to_string(&mut up).await.unwrap();
            client.read_to_string(&mut down).await.unwrap();
            (up, down)
        };
        let (joined, texts) = tokio::join!(joined, talk);
        assert_eq!(texts, ("early late".into(), "first second".into()));
        assert_eq!(joined, Joined { outcome: Outcome::Ok, sent: 10, received: 12 });
    }

    #[tokio::test(start_paused = true)]
    async fn silence_on_both_sides_ends_it() {
        let ((_client, ours), (theirs, _endpoint)) = (duplex(64), duplex(64));
        let limit = Some(Duration::from_secs(5));
        let joined = join((ours, Bytes::new()), (theirs, Bytes::new()), limit).await;
        assert_eq!(joined.outcome, Outcome::IdleTimeout);
    }
}
