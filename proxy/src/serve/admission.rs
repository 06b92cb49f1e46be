//! Whether a version takes one more request: its breaker, its bulkhead, and the wait for a place in it.

use std::{rc::Rc, time::Instant};

use serin_config::Outcome;

use super::{lane::Lane, record::Exchange, story::Trail};
use crate::clock;

/// Takes a place for an attempt that `began`; none if there is none, which is counted. Whoever had to wait
/// begins when it has its place: the wait is not the version's time.
pub(crate) async fn admit(
    lane: &Rc<Lane>,
    trail: &Trail,
    began: Instant,
    total: Option<Instant>,
) -> Option<Exchange> {
    let backend = &lane.backend;
    let (rules, shared) = (&backend.rules, &backend.shared);
    if shared.breaker.is_open(clock::unix_ms) {
        return refused(lane, trail, began);
    }
    if shared.requests.try_enter(shared.limit(rules.max_requests)) {
        return Some(Exchange::admitted(lane.clone(), began).follow(trail));
    }
    if rules.max_pending == 0 {
        return refused(lane, trail, began);
    }
    let own = clock::now() + rules.pending_timeout;
    let deadline = total.map_or(own, |total| total.min(own));
    let entered =
        shared.requests.wait(|| shared.limit(rules.max_requests), rules.max_pending, deadline).await;
    if entered {
        Some(Exchange::admitted(lane.clone(), clock::now()).follow(trail))
    } else {
        refused(lane, trail, began)
    }
}

#[cold]
fn refused(lane: &Rc<Lane>, trail: &Trail, began: Instant) -> Option<Exchange> {
    Exchange::begin(lane.clone(), began).follow(trail).finish(Outcome::OverloadLocal, clock::now());
    None
}
