//! What ran out: told by what was nearest to its end when the service broke.

use std::fmt;

use serde::Serialize;

use super::Level;

/// From this part on a core, a machine or a line is full.
const FULL: f64 = 0.9;
/// A failure of which more than this part is of one kind has that cause.
const CAUSE: f64 = 0.5;
/// So many of the requests have to fail before failures are the reason.
const FAILING: f64 = 0.001;

/// A resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "resource", rename_all = "snake_case")]
pub enum Limit {
    /// Connections were refused, or could not be opened.
    Connections,
    /// The service, or the proxy before it, answered 503: a limit of requests in flight, or of its queue.
    InFlight,
    /// A thread of a watched process used a whole core.
    ComponentCpu {
        /// Which process.
        name: String,
        /// Cores of all its threads.
        cores: f64,
        /// Cores of the busiest.
        thread: f64,
    },
    /// The generator itself used a whole core: more threads (`--threads`) may get more.
    Generator,
    /// All cores of the machine were busy.
    MachineCpu,
    /// A network interface was full.
    Bandwidth,
    /// Nothing that was measured: locks, backends, or limits of its own.
    Unknown,
    /// It did not break.
    Nothing,
}

/// What ran out at the first level that broke, or where none did at the one that got the most.
pub(super) fn of(broken: Option<&Level>, fullest: Option<&Level>) -> Limit {
    let Some(level) = broken.or(fullest) else { return Limit::Nothing };
    if level.failed_share() > FAILING {
        let part = |count: u64| count as f64 > CAUSE * level.failed as f64;
        if part(level.no_connection) {
            return Limit::Connections;
        }
        if part(level.refused) {
            return Limit::InFlight;
        }
    }
    // What broke an open loop shows best where the closed one was fullest: there nothing waits for its time.
    let used = [Some(level), fullest].into_iter().flatten().map(|level| &level.used);
    let busiest = used
        .clone()
        .flat_map(|used| &used.components)
        .max_by(|a, b| a.2.total_cmp(&b.2))
        .filter(|(_, _, thread)| *thread >= FULL);
    if let Some((name, cores, thread)) = busiest {
        return Limit::ComponentCpu { name: name.clone(), cores: *cores, thread: *thread };
    }
    let most = |of: fn(&super::Used) -> f64| used.clone().map(of).fold(0.0, f64::max);
    if most(|used| used.bandwidth.unwrap_or(0.0)) >= FULL {
        return Limit::Bandwidth;
    }
    if most(|used| used.generator) >= FULL {
        return Limit::Generator;
    }
    if most(|used| used.machine) >= FULL {
        return Limit::MachineCpu;
    }
    if broken.is_some() { Limit::Unknown } else { Limit::Nothing }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections => f.write_str("connections: they were refused, or could not be opened (limits of the listener, of file descriptors, of ports)"),
            Self::InFlight => f.write_str("requests in flight: the target answered 503, so a limit of its own sheds what is too much"),
            Self::ComponentCpu { name, cores, thread } => {
                write!(f, "CPU of {name}: its busiest thread used {thread:.2} cores, all of them together {cores:.2}")
            }
            Self::Generator => f.write_str("CPU of the generator, not of the target: try --threads 2 or another machine"),
            Self::MachineCpu => f.write_str("CPU of the machine: all cores were busy"),
            Self::Bandwidth => f.write_str("bandwidth: a network interface was full"),
            Self::Unknown => f.write_str("nothing that was measured: locks, backends, or limits of the target's own (--watch NAME=PID tells more)"),
            Self::Nothing => f.write_str("nothing: it did not break at any rate that was tried"),
        }
    }
}
