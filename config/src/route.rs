//! What a request must look like to reach a service.

use serde::Serialize;

use crate::name::{RouteName, ServiceName};

/// A match on host and path prefix that leads to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Its name in metrics and verdicts.
    pub name: RouteName,
    /// The host it serves, lower-case and without a port; any host where absent.
    pub host: Option<String>,
    /// The path prefix it serves, whole segments: `/api` takes `/api` and `/api/x` but not `/apiary`.
    pub path_prefix: String,
    /// Where it leads.
    pub service: ServiceName,
}

impl Route {
    /// The order in which routes are tried: an exact host before any host, then the longer prefix first.
    pub fn priority(&self) -> impl Ord + use<> {
        (self.host.is_none(), std::cmp::Reverse(self.path_prefix.trim_end_matches('/').len()))
    }
}
