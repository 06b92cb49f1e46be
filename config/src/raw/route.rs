//! Routes, as they are written.

use super::record::record;
use crate::name::{RouteName, ServiceName};

record! {
    /// A match on host and path that leads to a service. An exact host goes before any host, then the longer
    /// prefix first.
    pub struct Route {
        /// Its name in metrics and verdicts. Default: the service's name if no other route has it, else
        /// route-1, route-2, …
        @ name: RouteName,
        /// The host it serves, exactly, without a port. Default: any host.
        @ host: String,
        /// The path prefix it serves, in whole segments: /api takes /api and /api/x but not /apiary.
        /// Default: /
        @ path_prefix: String,
        /// The service it leads to.
        required @ service: ServiceName,
    }
}
