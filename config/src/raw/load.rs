//! The files of the load generator, as they are written.

use std::time::Duration;

use super::{
    decode::{List, Named},
    record::record,
    size::ByteSize,
};
use crate::{
    address::Address,
    name::{RouteName, ServiceName, VersionName},
    weight::Weight,
};

record! {
    /// What a load asks: requests, of which each one sent is drawn by its weight, and the users they come from.
    pub struct Mix {
        /// The requests; at least one.
        required @ requests: List<Ask>,
        /// Users that a sticky split keeps to their version. Default: requests are from nobody.
        @ users: Users,
    }

    /// One kind of request.
    pub struct Ask {
        /// What it is called in reports. Default: its method and path.
        @ name: String,
        /// GET, POST or another. Default: GET.
        @ method: String,
        /// Its path, with its query, such as "/items?page=2". Default: "/".
        @ path: String,
        /// Its header fields.
        @ headers: Named<String, String>,
        /// Its body, as text.
        @ body: String,
        /// Its body, as the content of a file; a relative path belongs to the directory of this file.
        @ body_file: String,
        /// How often it is drawn, compared to the others. Default: 1.
        @ weight: u64,
    }

    /// Users, each as likely as the other.
    pub struct Users {
        /// How many.
        required @ count: u64,
        /// The cookie that says which one a request is from ("user-17"). Either this or header.
        @ cookie: String,
        /// The header that says it.
        @ header: String,
    }
}

record! {
    /// What a release may cost: budgets, and how much worse than the baseline counts.
    pub struct Budgets {
        /// The accepted chance that equal releases are told apart, for all metrics together. Default: 0.005.
        @ significance: f64,
        /// From which part of a budget on its use is a warning. Default: 90%.
        @ warn_at: Weight,
        /// By metric: p50, p90, p95, p99, p99.9, error_rate or throughput. Those that are not named are compared with
        /// the baseline all the same, with the defaults.
        @ metrics: Named<String, MetricBudget>,
        /// By the names that --watch gave.
        @ components: Named<String, ComponentBudget>,
    }

    /// What one metric may be.
    pub struct MetricBudget {
        /// No more than this: a duration for latencies, a percentage for error_rate.
        @ max: String,
        /// No less than this: requests a second, for throughput.
        @ min: String,
        /// A change for the worse that is smaller than this does not count, however certain it is. Default: 2% of the
        /// baseline's value; for error_rate 0.01% of all requests.
        @ min_effect: Weight,
        /// What it means that the budget is spent, or that it has become worse: warn or block. Default: block.
        @ severity: String,
    }

    /// What one process may use.
    pub struct ComponentBudget {
        /// CPU time for each request, in microseconds.
        @ cpu_us_per_request: f64,
        /// Memory in RAM, such as 64MiB.
        @ memory: ByteSize,
        /// From its start to the first answer.
        @ start_up: Duration,
        /// How much more than in the baseline's record, of each of them, counts. Default: 10%.
        @ growth: Weight,
        /// What it means that a budget is spent, or that it has grown: warn or block. Default: block.
        @ severity: String,
    }
}

record! {
    /// A game day: a load, what holds while all is well, and the faults that are injected meanwhile.
    pub struct Experiment {
        /// The load under which all of it happens.
        required @ load: ExperimentLoad,
        /// Admin listeners of the proxies in which faults are injected. Default: ["127.0.0.1:9901"].
        @ proxies: List<Address>,
        /// What holds while all is well, by metric: p50, p90, p95, p99 or p99.9 (at most such a duration), error_rate
        /// (at most such a percentage of the requests, those that could not be sent included) and throughput (at least
        /// so many requests a second).
        required @ hypothesis: Named<String, String>,
        /// Limits beyond which all faults are undone at once and the experiment is over, by metric. Default: none.
        @ abort: Named<String, String>,
        /// How long the hypothesis must hold before the first fault; whole seconds. Default: 10s.
        @ steady: Duration,
        /// How long the seconds are that are judged together, to abort and to have recovered; whole seconds. Default: 3s.
        @ window: Duration,
        /// What is broken, one after the other; at least one.
        required @ faults: List<ExperimentFault>,
    }

    /// The load of an experiment.
    pub struct ExperimentLoad {
        /// Whom it asks, such as "http://127.0.0.1:8080/items".
        required @ url: String,
        /// Requests a second, whether or not earlier ones were answered. Default: 100.
        @ rate: f64,
        /// Whether arrivals are independent, as users' are, and not evenly spaced. Default: true.
        @ poisson: bool,
        /// The most connections. Default: 512.
        @ connections: u64,
        /// For each request, connecting included. Default: 10s.
        @ timeout: Duration,
        /// How long it runs before anything is counted; whole seconds. Default: 1s.
        @ warm_up: Duration,
        /// Whether HTTP/2 is spoken. Default: false.
        @ http2: bool,
        /// The authorities whose certificates are believed (PEM), and no others; a relative path belongs to the
        /// directory of this file. Default: those of the system.
        @ ca: String,
        /// What is asked. Default: GET of the URL's path.
        @ requests: List<Ask>,
        /// Users that a sticky split keeps to their version. Default: requests are from nobody.
        @ users: Users,
    }

    /// A fault: whom it hits, what it does, and for how long.
    pub struct ExperimentFault {
        /// What it is called in reports. Default: what it does, and to whom.
        @ name: String,
        /// Hits requests to this service. Default: to any.
        @ service: ServiceName,
        /// Hits requests to this version. Default: to any.
        @ version: VersionName,
        /// Hits requests that came by this route. Default: by any.
        @ route: RouteName,
        /// Hits requests with this header. Default: with any.
        @ header: FaultHeader,
        /// The share of them that it hits. Default: 100%.
        @ percent: Weight,
        /// They wait so long; at most 1m.
        @ delay: Duration,
        /// They are answered with this status, from 400 to 599.
        @ abort: u64,
        /// The bodies of their answers come at so many bytes a second.
        @ throttle: ByteSize,
        /// No connection to an endpoint can be had. Default: false.
        @ down: bool,
        /// How long it lasts; whole seconds. The proxy ends it by itself a little later, whatever becomes of this process.
        required @ lasts: Duration,
        /// How long it may take, once it is undone, until the hypothesis holds again; whole seconds. Default: 30s.
        @ recovers_within: Duration,
    }

    /// A header that a request must have.
    pub struct FaultHeader {
        /// Its name.
        required @ name: String,
        /// Its value. Default: any.
        @ value: String,
    }
}
