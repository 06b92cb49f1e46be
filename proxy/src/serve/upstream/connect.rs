//! Opens connections to an endpoint, and says as what a failure counts.

use std::{io, time::Instant};

use serin_config::Outcome;

use super::{Http1, Patience, Pool, Upstream};
use crate::serve::stream::Stream;

impl Pool {
    /// A new connection, ready for a request, within the limits of `patience` from `now`.
    pub(crate) async fn connect(&self, patience: &Patience<'_>, now: Instant) -> Result<Upstream, Outcome> {
        let own = now + patience.connect;
        let (deadline, late) = match patience.total {
            Some(total) if total < own => (total, Outcome::TotalTimeout),
            _ => (own, Outcome::ConnectTimeout),
        };
        match tokio::time::timeout_at(deadline.into(), self.open()).await {
            Ok(Ok(upstream)) => Ok(upstream),
            Ok(Err(error)) => {
                tracing::debug!(endpoint = %self.address(), %error, "connection refused");
                Err(Outcome::ConnectFail)
            }
            Err(_) => Err(late),
        }
    }

    async fn open(&self) -> io::Result<Upstream> {
        let stream = Stream::connect(self.address()).await?;
        Http1::begin(stream).await.map(Upstream::Http1)
    }
}
