//! A control plane and proxies, each a process of its own, on free ports and from files in a directory of their own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use serde_json::{Value, json};
use serin_config::Address;
use serin_loadtest::Target;

use super::{
    SOON,
    control::Control,
    eventually, free_addresses,
    http::{self, Reply},
    metrics::Metrics,
    process::Process,
    serin::binary,
    until,
};

/// A process of Serin with a file.
pub(crate) struct Member {
    process: Process,
    directory: tempfile::TempDir,
    command: &'static str,
    admin: SocketAddr,
}

impl Member {
    fn launch(&mut self) {
        self.process = launch(self.command, &self.file());
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("serin.yaml")
    }

    fn start(command: &'static str, config: &Value, admin: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("serin.yaml");
        fs::write(&file, config.to_string()).unwrap();
        Self { process: launch(command, &file), directory, command, admin }
    }

    fn ready(&mut self) {
        let ready = eventually(SOON, "it is ready", || match self.process.ended() {
            Some(status) => Some(Err(status)),
            None => http::get(self.admin, "/readyz").is_ok_and(|reply| reply.status == 200).then_some(Ok(())),
        });
        if let Err(status) = ready {
            panic!("serin {} ended ({status}) before it was ready: {}", self.command, self.stderr());
        }
    }

    /// Beside its file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn stderr(&self) -> String {
        self.process.stderr()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.process.wait(SOON, "it ends")
    }

    /// Whether it says that it is ready; whoever does not answer is not.
    pub(crate) fn is_ready(&self) -> bool {
        let asked = http::call_within(Duration::from_millis(500), self.admin, "GET", "/readyz", None);
        asked.is_ok_and(|reply| reply.status == 200)
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let reply = http::get(self.admin, "/metrics").unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        Metrics::parse(&reply.body)
    }

    /// Waits until it has said this.
    pub(crate) fn says(&self, words: &str) {
        until(SOON, words, || self.stderr().contains(words));
    }
}

fn command(command: &str, file: &Path) -> Command {
    let mut serin: Command = binary();
    serin.arg(command).arg("-c").arg(file);
    serin
}

fn launch(of: &str, file: &Path) -> Process {
    Process::start(&mut command(of, file), "it is built with the tests")
}

/// `serin control`.
pub(crate) struct Plane {
    pub(crate) member: Member,
    pub(crate) api: SocketAddr,
    /// Where proxies connect.
    pub(crate) fleet: SocketAddr,
}

impl Plane {
    /// Starts it with these routes and services; `fleet` is the section of that name, its address filled in.
    pub(crate) fn start(mut config: Value, mut fleet: Value) -> Self {
        let [api, listener, admin] = free_addresses();
        fleet["address"] = listener.to_string().into();
        config["control"] = json!({ "address": api.to_string(), "state": "state.redb", "fleet": fleet });
        config["admin"]["address"] = admin.to_string().into();
        let mut plane = Self { member: Member::start("control", &config, admin), api, fleet: listener };
        plane.member.ready();
        plane
    }

    /// Starts one of several under this name, which share what they decide by the section `control.etcd`.
    pub(crate) fn among(name: &str, mut config: Value, etcd: &Value) -> Self {
        let [api, listener, admin] = free_addresses();
        let fleet = json!({ "address": listener.to_string() });
        config["control"] = json!({ "address": api.to_string(), "etcd": etcd, "fleet": fleet });
        config["admin"]["address"] = admin.to_string().into();
        config["telemetry"]["instance"] = name.into();
        let mut plane = Self { member: Member::start("control", &config, admin), api, fleet: listener };
        plane.member.ready();
        plane
    }

    /// Starts it again, as it was, after it has ended.
    pub(crate) fn start_again(&mut self) {
        self.begin_again();
        self.member.ready();
    }

    /// The same without waiting until it is ready.
    pub(crate) fn begin_again(&mut self) {
        self.member.launch();
    }

    pub(crate) fn control(&self) -> Control {
        Control(self.api)
    }

    /// What the API says of the proxies.
    pub(crate) fn proxies(&self) -> Vec<Value> {
        let reply = http::get(self.api, "/v1/proxies").unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()["proxies"].as_array().unwrap().clone()
    }

    /// Waits until these proxies, and no others, are connected and have the plan in force.
    pub(crate) fn followed_by(&self, names: &[&str]) {
        until(SOON, "all proxies follow", || {
            let follow = |proxy: &Value| proxy["connected"] == true && proxy["acknowledged"] == true;
            let proxies = self.proxies();
            proxies.iter().all(follow)
                && proxies.iter().map(|proxy| proxy["proxy"].as_str().unwrap()).eq(names.iter().copied())
        });
    }
}

/// `serin proxy`.
pub(crate) struct Edge {
    pub(crate) member: Member,
    pub(crate) web: SocketAddr,
}

impl Edge {
    /// Starts it under this name; `connect` is the section of that name. It need not become ready.
    pub(crate) fn begin(name: &str, connect: &Value) -> Self {
        let [web, admin] = free_addresses();
        let config = json!({
            "listeners": [{ "name": "web", "address": web.to_string() }],
            "admin": { "address": admin.to_string() },
            "control": { "connect": connect },
            "telemetry": { "instance": name, "debug_headers": true },
            "limits": { "workers": 1 },
        });
        Self { member: Member::start("proxy", &config, admin), web }
    }

    /// Starts it, and waits until it serves.
    pub(crate) fn start(name: &str, connect: &Value) -> Self {
        let mut edge = Self::begin(name, connect);
        edge.member.ready();
        edge
    }

    /// Starts it again, as it was, after it has ended.
    pub(crate) fn start_again(&mut self) {
        self.begin_again();
        self.member.ready();
    }

    /// The same without waiting until it is ready.
    pub(crate) fn begin_again(&mut self) {
        self.member.launch();
    }

    pub(crate) fn target(&self) -> Target {
        Target::new(Address::Tcp(self.web))
    }

    /// One request through it.
    pub(crate) fn get(&self, path: &str) -> Reply {
        http::get(self.web, path).unwrap_or_else(|error| panic!("{path}: {error}; {}", self.member.stderr()))
    }

    /// Another process from the same file, which is not asked to take over.
    pub(crate) fn another(&mut self) -> Process {
        let mut command = command(self.member.command, &self.member.file());
        Process::start(&mut command, "it is built with the tests")
    }

    /// Starts a new process from the same file, which is asked to take over; waits until it serves alone, and gives what the
    /// one before said.
    pub(crate) fn taken_over(&mut self) -> String {
        let mut command = command(self.member.command, &self.member.file());
        let mut new = Process::start(command.arg("--takeover"), "it is built with the tests");
        eventually(SOON, "the new process is ready", || {
            let ended = new.ended();
            assert!(ended.is_none(), "it ended ({ended:?}): {}", new.stderr());
            new.stderr().contains(" ready ").then_some(())
        });
        let mut old = std::mem::replace(&mut self.member.process, new);
        let status = old.wait(SOON, "the process before ends");
        assert!(status.success(), "{}", old.stderr());
        old.stderr()
    }

    /// The plan under which it served a request just now.
    pub(crate) fn generation(&self) -> u64 {
        self.get("/").header("x-serin-generation").parse().unwrap()
    }

    /// The plan that it has kept for a restart.
    pub(crate) fn kept_generation(&self) -> Option<u64> {
        let text = fs::read_to_string(self.member.directory.path().join("serin-plan.json")).ok()?;
        serde_json::from_str::<Value>(&text).ok()?["generation"].as_u64()
    }

    /// Waits until its stream is open, or is not.
    pub(crate) fn connected(&self, connected: bool) {
        let shown = f64::from(u8::from(connected));
        until(Duration::from_secs(10), "the stream to the control plane", || {
            self.member.metrics().sum("serin_proxy_control_connected", &[]) == shown
        });
    }
}
