//! What holds for one version on one worker, looked up once for each catalogue: bounds, what to answer beyond
//! them, and what watches it.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use metrics::Counter;
use serin_config::{
    Service, Sticky, Version,
    limits::Limits,
    policy::BlastRadius,
    resilience::{Fallback, Tripwire},
};

use serin_split::events::Events;

use super::body::ResponseBody;
use crate::{
    observe::metrics as counted,
    shared::{Shared, VersionKey},
};

/// The rules of one version.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) key: VersionKey,
    /// Requests in flight, all workers together.
    pub(crate) max_requests: usize,
    /// Requests that may wait for a place.
    pub(crate) max_pending: usize,
    pub(crate) pending_timeout: Duration,
    /// What a refused request is answered with; none is Serin's own words.
    pub(crate) fallback: Option<Rc<Prepared>>,
    /// The wire that this version can trip: only the canary has one.
    pub(crate) wire: Option<Tripwire>,
    /// The slot of this worker in the version's pulse, where somebody looks at it.
    pub(crate) pulse: Option<usize>,
    /// Whether it is one of the two versions that are compared.
    pub(crate) compared: bool,
    /// Whether the split keeps users on their version, so that it is users who are compared.
    pub(crate) sticky: bool,
    /// The business events that are counted.
    pub(crate) events: Option<Events>,
    /// Where requests in flight are counted, if they are bounded in all.
    pub(crate) load: Option<Arc<Shared>>,
    /// Second tries at this version.
    pub(crate) retried: Counter,
    /// Second tries that the budget did not allow.
    pub(crate) spared: Counter,
    /// Requests that this version took over from a failed canary.
    pub(crate) shielded: Counter,
}

/// An answer that is ready to be copied.
#[derive(Debug)]
pub(crate) struct Prepared {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Rules {
    /// The rules of `version`, on worker `worker`.
    pub(crate) fn new(
        service: &Service,
        version: &Version,
        limits: &Limits,
        worker: usize,
        shared: &Arc<Shared>,
    ) -> Self {
        let resilience = &service.resilience;
        let breaker = &resilience.breaker;
        let is_canary = service.canary.as_ref() == Some(&version.name);
        let has_part = service.canary.is_some() && (is_canary || version.name == service.stable);
        let watched = resilience.adaptive_concurrency.is_some() || has_part;
        let key = (service.name.clone(), version.name.clone());
        Self {
            max_requests: breaker.max_requests.unwrap_or(limits.max_requests_per_version),
            max_pending: breaker.max_pending,
            pending_timeout: breaker.pending_timeout,
            fallback: breaker.fallback.as_ref().map(|fallback| Rc::new(Prepared::new(fallback))),
            wire: wire(service).filter(|_| is_canary),
            pulse: watched.then_some(worker),
            compared: has_part,
            sticky: service.sticky != Sticky::Random,
            events: service.events.as_ref().filter(|_| has_part).and_then(Events::new),
            load: limits.max_requests.map(|_| shared.clone()),
            retried: counted::retried(&key),
            spared: counted::retries_spared(&key),
            shielded: counted::shielded(&key),
            key,
        }
    }
}

/// What takes the canary of a service out at once, the bounds of its rollout among it; none where nothing does.
pub(crate) fn wire(service: &Service) -> Option<Tripwire> {
    let bounds = service.rollout.blast_radius;
    let off = Tripwire { connect_failures: None, timeouts: None, failed_requests: None, hang: None };
    let wire = service.resilience.tripwire.or((bounds != BlastRadius::default()).then_some(off))?;
    Some(Tripwire {
        failed_requests: wire.failed_requests.into_iter().chain(bounds.failed_requests).min(),
        ..wire
    })
}

impl Prepared {
    fn new(fallback: &Fallback) -> Self {
        // The check of the file has seen to it that all of this can be sent.
        let field = |(name, value): &(String, String)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
        };
        Self {
            status: StatusCode::from_u16(fallback.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            headers: fallback.headers.iter().filter_map(field).collect(),
            body: Bytes::copy_from_slice(fallback.body.as_bytes()),
        }
    }

    /// A copy to send.
    pub(crate) fn response(&self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::ready(self.body.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().clone_from(&self.headers);
        response
    }
}
