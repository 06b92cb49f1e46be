//! What an hour of traffic is like: its rate and split, its troubles that are nobody's fault, and what is wrong with
//! the canary.
//!
//! The null conditions are not "two equal versions": no two sets of processes are. Each has a trouble of real
//! fleets that is no regression, and a judge that can't live with it rolls back good canaries.

use crate::shape::Kind;

/// How much traffic there is, and which part of it the canary gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mix {
    /// Requests a second, all versions together.
    pub(crate) rps: f64,
    /// The canary's share, 0 to 1.
    pub(crate) weight: f64,
}

impl Mix {
    pub(crate) const fn new(rps: f64, weight: f64) -> Self {
        Self { rps, weight }
    }

    /// The traffic that most tables are about.
    pub(crate) const USUAL: Self = Self::new(1000.0, 0.05);

    /// From a trickle to a flood, and from a hundredth to a half.
    pub(crate) const NULLS: [Self; 7] = [
        Self::new(10.0, 0.1),
        Self::new(100.0, 0.1),
        Self::new(1000.0, 0.01),
        Self::new(1000.0, 0.05),
        Self::new(1000.0, 0.5),
        Self::new(10_000.0, 0.05),
        Self::new(10_000.0, 0.5),
    ];

    pub(crate) fn name(self) -> String {
        format!("{} rps, {} %", self.rps, self.weight * 100.0)
    }
}

/// How users stick to versions, where errors are counted by clients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sticky {
    /// Whoever meets an error meets four on average.
    Clumps,
    /// One client, wherever it landed, fails twice a second.
    Poisoned,
}

/// What is wrong with the canary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// This share of its requests fails, from a second on.
    Errors { share: f64, from: u64 },
    /// The share that fails rises from the base to 5 % within half an hour.
    Ramp,
    /// Its slowest tenth is stretched, so that its p99 is so many times as long.
    Tail(f64),
    /// All of it takes so many times as long.
    Slower(f64),
    /// One in a hundred waits half a second more.
    Delay,
    /// On the smallest route, a tenth of the traffic, this share fails.
    RouteErrors(f64),
    /// That route takes so many times as long.
    RouteSlower(f64),
    /// All of it grows slower, to three times within an hour.
    Leak,
    /// Its errors are at the edge of the tolerance: so many times the base, and so much more.
    Edge { ratio: f64, margin: f64 },
}

/// Everything about an hour but its rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The share of requests that fail with either version.
    pub(crate) errors: f64,
    /// Latencies wander with a deviation of a quarter, and triple for half a minute now and then.
    pub(crate) load: bool,
    /// Outages that both versions share: half of all requests fail for up to a minute.
    pub(crate) bursts: bool,
    /// Processes differ by some 3 % in latency and 10 % in errors.
    pub(crate) pod_noise: bool,
    /// Single processes pause for up to half a second, each about every five minutes.
    pub(crate) pauses: bool,
    /// Single processes fail a tenth of their requests for about a second, each about every ten minutes.
    pub(crate) pod_errors: bool,
    pub(crate) sticky: Option<Sticky>,
    /// The canary starts cold: twice as slow, falling by half every twenty seconds.
    pub(crate) cold: bool,
    /// Four routes instead of one, with latencies and error rates of their own.
    pub(crate) routes: bool,
    /// The versions' mixes of routes wander, each for itself.
    pub(crate) mix_wanders: bool,
    pub(crate) fault: Fault,
}

impl Setting {
    /// One error in a thousand, and nothing else.
    pub(crate) const PLAIN: Self = Self {
        name: "log-normal",
        kind: Kind::LogNormal,
        errors: 1e-3,
        load: false,
        bursts: false,
        pod_noise: false,
        pauses: false,
        pod_errors: false,
        sticky: None,
        cold: false,
        routes: false,
        mix_wanders: false,
        fault: Fault::None,
    };

    const fn named(name: &'static str) -> Self {
        Self { name, ..Self::PLAIN }
    }

    const fn broken(name: &'static str, fault: Fault) -> Self {
        Self { fault, ..Self::named(name) }
    }

    /// Healthy canaries.
    pub(crate) const NULLS: [Self; 15] = [
        Self::PLAIN,
        Self { kind: Kind::Bimodal, ..Self::named("bimodal") },
        Self { kind: Kind::Heavy, ..Self::named("heavy tail") },
        Self { kind: Kind::Fast, ..Self::named("fast") },
        Self { load: true, ..Self::named("load wanders") },
        Self { errors: 1e-4, ..Self::named("errors 0.01 %") },
        Self { errors: 1e-2, ..Self::named("errors 1 %") },
        Self { bursts: true, ..Self::named("shared outages") },
        Self { pod_noise: true, ..Self::named("processes differ") },
        Self { pauses: true, ..Self::named("processes pause") },
        Self { pod_errors: true, ..Self::named("processes fail") },
        Self { sticky: Some(Sticky::Clumps), ..Self::named("errors in clumps") },
        Self { sticky: Some(Sticky::Poisoned), ..Self::named("a poisoned client") },
        Self { routes: true, mix_wanders: true, ..Self::named("route mix wanders") },
        Self {
            load: true,
            bursts: true,
            pod_noise: true,
            pauses: true,
            pod_errors: true,
            ..Self::named("all at once")
        },
    ];

    /// A healthy canary that starts cold.
    pub(crate) const COLD: Self = Self { cold: true, ..Self::named("cold start") };

    /// Canaries that must go.
    pub(crate) const FAULTS: [Self; 18] = [
        Self::broken("errors 0.1 to 0.3 %", Fault::Errors { share: 0.003, from: 0 }),
        Self::broken("errors 0.1 to 1 %", Fault::Errors { share: 0.01, from: 0 }),
        Self::broken("errors 0.1 to 5 %", Fault::Errors { share: 0.05, from: 0 }),
        Self::broken("errors 0.1 to 100 %", Fault::Errors { share: 1.0, from: 0 }),
        Self { bursts: true, ..Self::broken("1 % within outages", Fault::Errors { share: 0.01, from: 0 }) },
        Self::broken("1 % after 20 min", Fault::Errors { share: 0.01, from: LATE }),
        Self::broken("errors creep up", Fault::Ramp),
        Self::broken("p99 x 1.2", Fault::Tail(1.2)),
        Self::broken("p99 x 1.5", Fault::Tail(1.5)),
        Self::broken("p99 x 2", Fault::Tail(2.0)),
        Self::broken("median + 10 %", Fault::Slower(1.1)),
        Self::broken("twice as slow", Fault::Slower(2.0)),
        Self::broken("1 % wait 500 ms", Fault::Delay),
        Self { load: true, ..Self::broken("twice as slow, load", Fault::Slower(2.0)) },
        Self { routes: true, ..Self::broken("one route 3 % errors", Fault::RouteErrors(0.03)) },
        Self { routes: true, ..Self::broken("one route x 2", Fault::RouteSlower(2.0)) },
        Self::broken("slower and slower", Fault::Leak),
        Self { cold: true, ..Self::broken("cold and twice as slow", Fault::Slower(2.0)) },
    ];

    /// When the fault begins, in seconds.
    pub(crate) fn begins(&self) -> u64 {
        if let Fault::Errors { from, .. } = self.fault { from } else { 0 }
    }
}

/// When a late regression begins, in seconds.
pub(crate) const LATE: u64 = 1200;
