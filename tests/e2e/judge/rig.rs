//! Serin with a rollout that stays at its first step, both versions as stubs with dials, and a load.

use std::time::Duration;

use serde_json::{Value, json};
use serin_config::Weight;
use serin_loadtest::{Load, Pace, Rate, Running, Schedule, Stop, Stub, StubOptions, Target};

use crate::harness::{
    SOON,
    config::{SERVICE, two_versions},
    serin::Serin,
    until,
};

/// How many runs a figure is the median of.
pub(super) const RUNS: usize = 20;
/// Instances side by side. Each is a load of 1 000 requests a second, a proxy and two stubs; together they
/// must leave room on two cores, since what is timed is Serin and not the scheduler.
pub(super) const AT_ONCE: usize = 5;
/// Side by side where nothing is timed. More of them, two tests at once, run out of file descriptors.
pub(super) const AT_ONCE_UNTIMED: usize = 7;
/// Requests a second.
pub(super) const RATE: f64 = 1000.0;
/// A rollout that holds its first step for as long as any test takes.
pub(super) const FIVE_PERCENT: &str = "5%";

/// Paths that have a route of their own: the first gets most of the requests.
pub(super) const PATHS: [&str; 2] = ["/search", "/cart"];

pub(super) struct Rig {
    pub(super) serin: Serin,
    pub(super) stable: Stub,
    pub(super) canary: Stub,
}

impl Rig {
    /// A service whose rollout has one step, with this policy besides, before its start.
    pub(super) fn new(run: usize, policy: &Value) -> Self {
        Self::with_service(run, policy, &json!({}))
    }

    /// The same with other settings of the service.
    pub(super) fn with_service(run: usize, policy: &Value, service: &Value) -> Self {
        let stub = |version: &str, seed| {
            let options = StubOptions {
                version: version.into(),
                seed,
                paths: PATHS.map(String::from).to_vec(),
                ..StubOptions::default()
            };
            Stub::start(options).unwrap()
        };
        let (stable, canary) = (stub("v1", run as u64), stub("v2", 1_000 + run as u64));
        let mut config = two_versions(stable.address(), canary.address(), "100%", "0%");
        let routes = PATHS.map(|path| json!({ "name": &path[1..], "path_prefix": path, "service": SERVICE }));
        config["routes"] = routes.into_iter().chain([config["routes"][0].clone()]).collect();
        let mut rollout = json!({
            "steps": [{ "weight": FIVE_PERCENT, "min_requests": 1_000_000, "min_duration": "1h", "max_duration": "2h" }],
            "probe": false,
        });
        merge(&mut rollout, policy);
        merge(&mut config["services"][SERVICE], service);
        config["services"][SERVICE]["rollout"] = rollout;
        Self { serin: Serin::start(config), stable, canary }
    }

    /// Starts the rollout and waits for its first step.
    pub(super) fn begin(self) -> Self {
        self.serin.control().start_rollout();
        until(SOON, "the rollout is at its first step", || self.weight() > Weight::ZERO);
        self
    }

    pub(super) fn weight(&self) -> Weight {
        self.serin.control().now().unwrap().canary
    }

    pub(super) fn load(&self, stop: Stop) -> Running {
        self.load_at(RATE, self.serin.target(), stop)
    }

    /// A part of the load, with a target of its own.
    pub(super) fn load_at(&self, rate: f64, target: Target, stop: Stop) -> Running {
        let schedule = Schedule::Constant(Rate::try_new(rate).unwrap());
        Load::new(target, Pace::Open(schedule), stop).start().unwrap()
    }

    /// Waits until so much of the load has been served.
    pub(super) fn served(&self, within: Duration, requests: u64) {
        until(within, "so much was served", || self.stable.requests() + self.canary.requests() >= requests);
    }

    /// What the judge and the planner say, in words.
    pub(super) fn explained(&self) -> String {
        self.serin.control().rollout().to_string()
    }
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}
