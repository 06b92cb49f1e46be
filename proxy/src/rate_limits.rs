//! The buckets of rate limits: one set for the process, so that a limit holds for all workers together.
//!
//! A worker fetches its handles once for each catalogue. A limit that a new catalogue leaves as it was keeps its
//! buckets; one that it changes begins anew.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName};
use metrics::Counter;
use rand::RngCore;
use serin_config::{
    RouteName,
    rate_limit::{LimitKey, RateLimit},
};
use serin_split::rate::{Buckets, Rate};

use crate::{clock, observe::metrics::rate_limited};

/// The buckets of every limit.
#[derive(Debug)]
pub(crate) struct RateLimits {
    /// From when on buckets count.
    began: Instant,
    buckets: Mutex<HashMap<RouteName, (RateLimit, Arc<Buckets>)>>,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { began: clock::now(), buckets: Mutex::default() }
    }
}

impl RateLimits {
    /// A worker's handle of a route's limit.
    pub(crate) fn limit(&self, route: &RouteName, limit: &RateLimit) -> Limit {
        let mut all = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let rate = Rate::new(limit);
            Arc::new(match limit.key {
                LimitKey::Route => Buckets::one(rate),
                LimitKey::ClientAddress | LimitKey::Header(_) => {
                    Buckets::many(rate, clock::entropy().next_u64())
                }
            })
        };
        let entry = all.entry(route.clone()).or_insert_with(|| (limit.clone(), made()));
        if entry.0 != *limit {
            *entry = (limit.clone(), made());
        }
        let key = match &limit.key {
            LimitKey::Route => Key::Route,
            LimitKey::ClientAddress => Key::Client,
            // A name that the file's check has passed can be read.
            LimitKey::Header(name) => name.parse().map_or(Key::Route, Key::Header),
        };
        Limit { key, buckets: entry.1.clone(), began: self.began, refused: rate_limited(route) }
    }

    /// Lets go of the buckets that no worker holds any more.
    pub(crate) fn forget_unused(&self) {
        let mut all = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, buckets)| Arc::strong_count(buckets) > 1);
    }
}

/// A route's limit as one worker asks it.
pub(crate) struct Limit {
    key: Key,
    buckets: Arc<Buckets>,
    began: Instant,
    refused: Counter,
}

impl std::fmt::Debug for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limit").field("key", &self.key).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Key {
    Route,
    Client,
    Header(HeaderName),
}

impl Limit {
    /// How long until a request would be let in; none if this one is.
    pub(crate) fn over(
        &self,
        headers: &HeaderMap,
        client: impl FnOnce() -> IpAddr,
        now: Instant,
    ) -> Option<Duration> {
        // Half a millennium fits.
        let now = u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        let taken = match &self.key {
            Key::Route => self.buckets.take(b"", now),
            Key::Client => self.buckets.take_for(client(), now),
            Key::Header(name) => {
                let value = headers.get(name).map(http::HeaderValue::as_bytes);
                self.buckets.take(value.unwrap_or_default(), now)
            }
        };
        let wait = taken.err()?;
        self.refused.increment(1);
        Some(wait)
    }
}
