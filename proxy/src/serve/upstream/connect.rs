//! Opens connections to an endpoint, and says as what a failure counts.
//!
//! Where an endpoint may speak HTTP/2, one request opens the connection and the others wait for it: a burst
//! of requests would otherwise open as many connections, each good for a hundred requests.

use std::{io, time::Instant};

use serin_config::{Outcome, limits::H2_CONNECTIONS_PER_ENDPOINT_MAX, tls::HttpProtocol};

use super::{Http1, Http2, Patience, Place, Pool, Upstream};
use crate::{serve::stream::Stream, tls::server::Alpn};

/// The part of the time for a connection that the wait for a place may take.
const PLACE_WAIT: f64 = 0.9;

impl Pool {
    /// A new connection, or room on a shared one, within the limits of `patience` from `now`.
    pub(crate) async fn connect(&self, patience: &Patience<'_>, now: Instant) -> Result<Upstream, Outcome> {
        let own = now + patience.connect;
        let (deadline, late) = match patience.total {
            Some(total) if total < own => (total, Outcome::TotalTimeout),
            _ => (own, Outcome::ConnectTimeout),
        };
        // Who found no place is refused, and not late: so that wait ends first.
        let place_by = now + patience.connect.mul_f64(PLACE_WAIT);
        let opened = async {
            if self.target().protocol == HttpProtocol::Http1 {
                self.open(place_by).await
            } else {
                self.await_room(now, place_by).await
            }
        };
        match tokio::time::timeout_at(deadline.into(), opened).await {
            Ok(Ok(upstream)) => Ok(upstream),
            Ok(Err((outcome, error))) => {
                tracing::debug!(endpoint = %self.address(), %error, "no connection");
                Err(outcome)
            }
            // Every connection that there may be is open, and full.
            Err(_) if !self.opening.get() && self.is_full() => Err(Outcome::OverloadLocal),
            Err(_) => Err(late),
        }
    }

    fn is_full(&self) -> bool {
        self.shared.borrow().len() >= H2_CONNECTIONS_PER_ENDPOINT_MAX
    }

    async fn await_room(&self, now: Instant, place_by: Instant) -> Result<Upstream, (Outcome, io::Error)> {
        while self.opening.get() || self.is_full() {
            self.room.notified().await;
            if let Some(upstream) = self.checkout(now) {
                return Ok(upstream);
            }
        }
        let _opening = Opening::begin(self);
        self.open(place_by).await
    }

    async fn open(&self, place_by: Instant) -> Result<Upstream, (Outcome, io::Error)> {
        let refused = |error| (Outcome::ConnectFail, error);
        let place = match self.version().max_connections() {
            None => None,
            Some(most) => {
                let place = Place::take(self.version(), most, place_by).await;
                let full = || io::Error::other("the version has as many connections as it may");
                Some(place.ok_or_else(|| (Outcome::OverloadLocal, full()))?)
            }
        };
        let stream = Stream::connect(self.address()).await.map_err(refused)?;
        let stream = match place {
            Some(place) => Stream::Placed(Box::new((stream, place))),
            None => stream,
        };
        let (stream, alpn) = match (self.connector(), &self.target().tls) {
            (Some(tls), _) => {
                let secured = tls.connect(stream, self.address()).await;
                secured.map_err(|error| (Outcome::TlsFail, error))?
            }
            (None, None) => (stream, Alpn::Unsaid),
            // Never in clear where the file says TLS.
            (None, Some(_)) => {
                return Err((Outcome::TlsFail, io::Error::other("TLS to the endpoint is not set up")));
            }
        };
        let http2 = match self.target().protocol {
            HttpProtocol::Http1 => false,
            HttpProtocol::Http2 => true,
            HttpProtocol::Auto => alpn == Alpn::Http2,
        };
        if http2 {
            let secure = self.connector().is_some();
            let connection = Http2::begin(stream, secure, self.room.clone()).await.map_err(refused)?;
            self.shared.borrow_mut().push(connection.clone());
            Ok(Upstream::Http2(connection.share()))
        } else {
            Http1::begin(stream).await.map(Upstream::Http1).map_err(refused)
        }
    }
}

/// Keeps others from opening a connection meanwhile; its end wakes them, however it comes.
struct Opening<'a>(&'a Pool);

impl<'a> Opening<'a> {
    fn begin(pool: &'a Pool) -> Self {
        pool.opening.set(true);
        Self(pool)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.opening.set(false);
        self.0.room.notify_waiters();
    }
}
