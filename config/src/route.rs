//! What a request must look like to be taken by a route, and what the route does with it.
//!
//! Routes are tried in one order, whatever their order in the file ([`Route::rank`]): a higher `priority`
//! first; then an exact host, a wildcard with more labels, any host; then an exact path, a regular expression,
//! a longer prefix; then the one that asks for more; and what is still alike in the order of the file. A regular
//! expression goes before prefixes because the prefix `/` would otherwise hide it.

use serde::Serialize;

use crate::{
    filter::{HeaderEdits, Redirect, Respond, Rewrite},
    matching::{Conditions, Host, PathMatch},
    name::{RouteName, ServiceName},
    rate_limit::RateLimit,
    service::{TimeoutChanges, Timeouts},
};

/// A match that leads to a service, or is answered by Serin itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    /// Its name in metrics and verdicts.
    pub name: RouteName,
    /// Goes before every route with a lower one. 0 by default.
    pub priority: u64,
    /// The host that it serves.
    pub host: Host,
    /// The path that it serves, compared with the normalised path of the request.
    pub path: PathMatch,
    /// What else a request must have.
    #[serde(skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// What happens to a request.
    pub action: Action,
    /// What changes in the request's target on its way to the endpoint.
    #[serde(skip_serializing_if = "Rewrite::is_empty")]
    pub rewrite: Rewrite,
    /// What changes in the request's head on its way to the endpoint.
    #[serde(skip_serializing_if = "HeaderEdits::is_empty")]
    pub request_headers: HeaderEdits,
    /// What changes in the answer's head on its way to the client.
    #[serde(skip_serializing_if = "HeaderEdits::is_empty")]
    pub response_headers: HeaderEdits,
    /// Timeouts other than the service's.
    #[serde(skip_serializing_if = "TimeoutChanges::is_empty")]
    pub timeouts: TimeoutChanges,
    /// How many requests it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

/// What happens to a request that a route takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It goes to a version of this service.
    Service(ServiceName),
    /// Serin answers.
    Respond(Respond),
    /// Serin sends the client elsewhere.
    Redirect(Redirect),
}

impl Route {
    /// A route for everything, which leads to `service`, with every other setting at its default.
    pub fn new(name: RouteName, service: ServiceName) -> Self {
        Self {
            name,
            priority: 0,
            host: Host::Any,
            path: PathMatch::Prefix("/".into()),
            conditions: Conditions::default(),
            action: Action::Service(service),
            rewrite: Rewrite::default(),
            request_headers: HeaderEdits::default(),
            response_headers: HeaderEdits::default(),
            timeouts: TimeoutChanges::default(),
            rate_limit: None,
        }
    }

    /// The service that it leads to, if it leads to one.
    pub fn service(&self) -> Option<&ServiceName> {
        match &self.action {
            Action::Service(service) => Some(service),
            Action::Respond(_) | Action::Redirect(_) => None,
        }
    }

    /// Its place among routes; the lowest is tried first. Routes of equal rank keep their order.
    pub fn rank(&self) -> impl Ord + use<> {
        use std::cmp::Reverse;
        (Reverse(self.priority), self.host.rank(), self.path.rank(), Reverse(self.conditions.count()))
    }

    /// The service's timeouts with what this route says otherwise.
    pub fn timeouts(&self, of_service: &Timeouts) -> Timeouts {
        self.timeouts.applied_to(of_service)
    }
}
