//! The files of the load generator, as they are written.

use std::time::Duration;

use super::{
    decode::{List, Named},
    record::record,
    size::ByteSize,
};
use crate::weight::Weight;

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
