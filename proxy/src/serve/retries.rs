//! What a second attempt needs: the request as it was, and a place in the budget.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use http::{HeaderMap, Method, Request, Uri};
use serin_config::{limits::REPLAY_BYTES_DEFAULT, resilience::Retries};
use serin_split::resilience::retry;

use super::{
    backend::Backend,
    body::{ClientSide, RequestBody},
    forward::Task,
    replay::Kept,
};
use crate::shared::VersionShared;

/// A copy of a request's head, and what is kept of its body. Most requests need none: what no endpoint has
/// seen is still at hand, and by default nothing else is sent again.
#[derive(Debug)]
pub(crate) struct Spare {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Option<Rc<Kept>>,
}

impl Spare {
    /// A spare of a request that may have to go out again after an endpoint has seen it.
    pub(crate) fn of(task: &Task<'_>, request: &mut Request<RequestBody>) -> Option<Self> {
        let retries = task.service.resilience.retries.as_ref();
        let resends = retries.is_some_and(|retries| retries.on.resends()) || task.rescue.is_some();
        if !resends || !request.method().is_idempotent() || task.wish.is_some() {
            return None;
        }
        let most = retries.map_or(REPLAY_BYTES_DEFAULT, |retries| retries.max_body);
        Some(Self {
            body: request.body_mut().keep(most),
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        })
    }

    /// Whether all of it is there.
    pub(crate) fn is_whole(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_whole())
    }

    /// The request once more.
    pub(crate) fn request(&self, client: Option<&Rc<ClientSide>>) -> Request<RequestBody> {
        let body = match (&self.body, client) {
            (Some(kept), Some(client)) => RequestBody::again(kept, client.clone()),
            _ => RequestBody::none(),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// It won't be needed: an answer is on its way to the client.
    pub(crate) fn let_go(&self) {
        if let Some(body) = &self.body {
            body.let_go();
        }
    }
}

/// A retry in flight; it counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Retrying(Arc<VersionShared>);

impl Retrying {
    /// A place for one more, if the budget of the version has one.
    pub(crate) fn begin(backend: &Backend, policy: &Retries) -> Option<Self> {
        let shared = &backend.shared;
        let active = shared.requests.held();
        let others = shared.retrying.fetch_add(1, Ordering::Relaxed);
        let retrying = Self(shared.clone());
        if retry::within_budget(policy.budget, policy.budget_floor, active, others) {
            backend.rules.retried.increment(1);
            return Some(retrying);
        }
        backend.rules.spared.increment(1);
        None
    }
}

impl Drop for Retrying {
    fn drop(&mut self) {
        self.0.retrying.fetch_sub(1, Ordering::Relaxed);
    }
}
