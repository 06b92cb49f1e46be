//! The processes, the ways between them, and what everybody said and saw.
//!
//! Every control plane reaches each member of etcd over a relay of its own, and proxies reach each control plane over
//! one, which tells them apart by the name that they say.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    time::Duration,
};

use serde_json::{Value, json};
use serin_loadtest::{Report, Stub, StubOptions};

use super::{
    faults::Life,
    leaders::Leaders,
    schedule::{EDGES, MEMBERS, PLANES, Way},
    users::{Clock, Sight, Users, Walk},
};
use crate::harness::{
    config::{SERVICE, two_versions},
    etcd::Cluster,
    fleet::{Edge, Plane},
    relay::{Relay, Relays},
};

pub(super) const NAMES: [&str; EDGES] =
    ["edge-1", "edge-2", "edge-3", "edge-4", "edge-5", "edge-6", "edge-7", "edge-8"];
/// What the keys in etcd begin with.
pub(super) const PREFIX: &str = "serin";
/// Requests that the canary may fail on one proxy before that takes it out by itself. At a fifth of the load that takes
/// longer than the fleet may take, so what is faster than it was the fleet's doing.
pub(super) const TRIPS_AFTER: u64 = 75;

/// A proxy that was stopped or killed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    pub(super) edge: usize,
    pub(super) way: Way,
    pub(super) at: u64,
    /// Windows that the control plane had not said to have kept.
    pub(super) waiting: u64,
}

/// What the users of one life of a proxy have seen.
pub(super) struct Past {
    pub(super) edge: usize,
    pub(super) report: Report,
    pub(super) walk: Walk,
    /// The plan that the proxy had kept at the end of this life, and when that was.
    pub(super) kept: Option<(u64, u64)>,
}

/// Everything that happened, in order.
#[derive(Debug, Clone)]
pub(super) struct Log(pub(super) Clock, Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn new(clock: Clock) -> Self {
        Self(clock, Arc::default())
    }

    pub(super) fn say(&self, text: &str) {
        let line = format!("[{:8.3}] {text}", self.0.now() as f64 / 1_000.0);
        println!("{line}");
        self.1.lock().unwrap().push(line);
    }

    pub(super) fn tail(&self, lines: usize) -> String {
        let all = self.1.lock().unwrap();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

pub(super) struct World {
    pub(super) log: Log,
    pub(super) clock: Clock,
    pub(super) stubs: [Stub; 2],
    pub(super) cluster: Cluster,
    pub(super) planes: [Plane; PLANES],
    pub(super) edges: [Edge; EDGES],
    pub(super) sights: [Arc<Sight>; EDGES],
    pub(super) leaders: Leaders,
    pub(super) users: [Option<Users>; EDGES],
    pub(super) lives: ([Life; PLANES], [Life; MEMBERS], [Life; EDGES]),
    /// To each control plane's listener for proxies.
    pub(super) streams: [Relay; PLANES],
    /// From each control plane to each member.
    pub(super) stores: [[Relay; MEMBERS]; PLANES],
    pub(super) stalled: [bool; PLANES],
    /// For each proxy, the times in which nothing can be asked of it or of those who tell it.
    pub(super) obstacles: [Vec<(u64, Option<u64>)>; EDGES],
    pub(super) gone: Vec<Gone>,
    pub(super) past: Vec<Past>,
    /// What processes that have ended had said.
    pub(super) said: Vec<(String, String)>,
    seed: u64,
    _relays: Relays,
}

fn catalogue(stubs: &[Stub; 2]) -> Value {
    let mut config = two_versions(stubs[0].address(), stubs[1].address(), "100%", "0%");
    // Long enough a step that nothing is promoted.
    let step = json!({ "weight": "20%", "min_duration": "1h", "max_duration": "2h" });
    config["services"][SERVICE]["rollout"] = json!({ "preset": "fast", "steps": [step] });
    config["services"][SERVICE]["tripwire"] = json!({ "failed_requests": TRIPS_AFTER });
    let mut routes = Vec::new();
    for name in NAMES {
        let ledger = format!("ledger-{name}");
        let endpoints = [stubs[0].address()];
        config["services"][&ledger] = json!({ "versions": { "v1": { "endpoints": endpoints } } });
        routes.push(json!({ "name": ledger, "path_prefix": format!("/ledger/{name}"), "service": ledger }));
    }
    routes.push(config["routes"][0].clone());
    config["routes"] = routes.into();
    config
}

impl World {
    pub(super) fn start(seed: u64) -> Self {
        let clock = Clock(std::time::Instant::now());
        let stubs = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
        let relays = Relays::new();
        let cluster = Cluster::start();
        let members: [_; MEMBERS] = cluster.clients().try_into().unwrap();
        let streams = [(); PLANES].map(|()| relays.relay(&NAMES));
        let stores = [(); PLANES].map(|()| {
            members.map(|member| {
                let relay = relays.relay(&[]);
                relay.leads_to(member);
                relay
            })
        });
        let planes = std::array::from_fn(|plane| {
            let endpoints = stores[plane].each_ref().map(|relay| relay.address.to_string());
            let etcd = json!({
                "endpoints": endpoints,
                "prefix": PREFIX,
                // What was written is read at the end.
                "compaction": "none",
                "advertise": { "fleet": streams[plane].address.to_string() },
            });
            let started = Plane::among(&format!("control-{}", plane + 1), catalogue(&stubs), &etcd);
            streams[plane].leads_to(started.fleet);
            started
        });
        let endpoints = streams.each_ref().map(|relay| relay.address.to_string());
        let edges = NAMES.map(|name| Edge::start(name, &json!({ "endpoints": endpoints })));
        let sights: [Arc<Sight>; EDGES] = std::array::from_fn(|_| Arc::default());
        let users =
            std::array::from_fn(|edge| Some(Users::begin(&edges[edge], NAMES[edge], clock, &sights[edge])));
        let leaders = Leaders::watch(planes.each_ref().map(|plane| plane.api), clock);
        Self {
            log: Log::new(clock),
            clock,
            stubs,
            cluster,
            planes,
            edges,
            sights,
            leaders,
            users,
            lives: ([Life::Up; PLANES], [Life::Up; MEMBERS], [Life::Up; EDGES]),
            streams,
            stores,
            stalled: [false; PLANES],
            obstacles: std::array::from_fn(|_| Vec::new()),
            gone: Vec::new(),
            past: Vec::new(),
            said: Vec::new(),
            seed,
            _relays: relays,
        }
    }

    /// Sends users to proxies that have come back.
    pub(super) fn look_for_returned(&mut self) {
        for (edge, name) in NAMES.into_iter().enumerate() {
            if self.lives.2[edge] == Life::Returning && self.edges[edge].member.is_ready() {
                self.lives.2[edge] = Life::Up;
                self.sights[edge].failures.store(0, Relaxed);
                let users = Users::begin(&self.edges[edge], name, self.clock, &self.sights[edge]);
                self.users[edge] = Some(users);
                self.end_obstacle(edge);
                self.log.say(&format!("{name} is back"));
            }
        }
    }

    pub(super) fn all_edges_are_up(&self) -> bool {
        self.lives.2.iter().all(|life| *life == Life::Up)
    }

    /// Ends all users' questions.
    pub(super) fn drain_all(&mut self) {
        for edge in 0..EDGES {
            self.drain(edge);
        }
    }

    /// Ends the questions of one proxy's users, and keeps what they saw.
    pub(super) fn drain(&mut self, edge: usize) {
        if let Some(users) = self.users[edge].take() {
            let (report, walk) = users.drain();
            self.past.push(Past { edge, report, walk, kept: None });
        }
    }

    /// Writes down what everybody said; gives where.
    pub(super) fn write_logs(&self) -> PathBuf {
        let directory =
            std::env::temp_dir().join(format!("serin-chaos-{}-{}", self.seed, std::process::id()));
        let _ = fs::create_dir_all(&directory);
        let mut files = std::collections::BTreeMap::<String, String>::new();
        let now =
            (0..PLANES).map(|plane| (format!("control-{}", plane + 1), self.planes[plane].member.stderr()));
        let edges = (0..EDGES).map(|edge| (NAMES[edge].to_owned(), self.edges[edge].member.stderr()));
        let etcd = (0..MEMBERS).map(|member| (format!("etcd-{}", member + 1), self.cluster.stderr(member)));
        for (name, text) in self.said.iter().cloned().chain(now).chain(edges).chain(etcd) {
            let file = files.entry(name).or_default();
            let _ = writeln!(file, "---- a life ----\n{text}");
        }
        for (name, text) in files {
            let _ = fs::write(directory.join(format!("{name}.log")), text);
        }
        let _ = fs::write(directory.join("events.log"), self.log.tail(usize::MAX));
        directory
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}; the last that happened:\n{}", self.seed, self.log.tail(40));
            println!("what everybody said is in {}", self.write_logs().display());
        }
        self.users.iter().flatten().for_each(Users::cancel);
    }
}

/// How long something may be asked before it is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);
