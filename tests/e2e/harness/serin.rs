//! `serin run` on free ports, from a file in a directory of its own.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
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
};

/// Another process may take a port between the moment it was found free and the moment Serin binds it.
const START_ATTEMPTS: usize = 5;

pub(crate) struct Serin {
    process: Process,
    directory: tempfile::TempDir,
    config: Value,
    pub(crate) web: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) api: SocketAddr,
}

/// The binary under test.
pub(crate) fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_serin"))
}

impl Serin {
    /// Starts it with this configuration and waits until it is ready.
    pub(crate) fn start(config: Value) -> Self {
        Self::start_with(config, same)
    }

    /// The same, by another command that ends up as it.
    pub(crate) fn start_with(mut config: Value, wrap: impl Fn(&Command) -> Command) -> Self {
        for _ in 0..START_ATTEMPTS {
            let directory = tempfile::tempdir().unwrap();
            let [web, admin, api] = free_addresses();
            listen(&mut config, web);
            config["admin"]["address"] = admin.to_string().into();
            config["control"]["address"] = api.to_string().into();
            fs::write(directory.path().join("serin.yaml"), config.to_string()).unwrap();
            let process = launch(&directory, &wrap);
            let mut serin = Self { process, directory, config: config.clone(), web, admin, api };
            match serin.ready() {
                Ok(()) => return serin,
                Err(_) if serin.stderr().contains("in use") => {}
                Err(status) => panic!("serin ended ({status}) before it was ready: {}", serin.stderr()),
            }
        }
        panic!("no free ports in {START_ATTEMPTS} attempts");
    }

    fn ready(&mut self) -> Result<(), ExitStatus> {
        eventually(SOON, "serin is ready", || match self.process.ended() {
            Some(status) => Some(Err(status)),
            None => http::get(self.admin, "/readyz").is_ok_and(|reply| reply.status == 200).then_some(Ok(())),
        })
    }

    /// Starts it again, as it was, after it has ended.
    pub(crate) fn start_again(&mut self) {
        self.process = launch(&self.directory, &same);
        if let Err(status) = self.ready() {
            panic!("serin ended ({status}) instead of starting again: {}", self.stderr());
        }
    }

    /// Starts a new process from the same file, which is asked to take over; this one is left as it is.
    pub(crate) fn successor(&self) -> Process {
        launch(&self.directory, &|serin: &Command| {
            let mut command = same(serin);
            command.arg("--takeover");
            command
        })
    }

    /// From now on that process is the one that is meant; the one before comes back.
    pub(crate) fn replace_process(&mut self, process: Process) -> Process {
        std::mem::replace(&mut self.process, process)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("serin.yaml")
    }

    /// The configuration with its addresses.
    pub(crate) fn config(&self) -> &Value {
        &self.config
    }

    /// Replaces the file in one step, as an editor or a deployment does.
    pub(crate) fn replace_file(&self, text: &str) {
        let new = self.directory.path().join("serin.yaml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    pub(crate) fn target(&self) -> Target {
        Target::new(Address::Tcp(self.web))
    }

    pub(crate) fn control(&self) -> Control {
        Control(self.api)
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let reply = http::get(self.admin, "/metrics").unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        Metrics::parse(&reply.body)
    }

    /// One request through the proxy.
    pub(crate) fn get(&self, path: &str) -> Reply {
        http::get(self.web, path).unwrap_or_else(|error| panic!("{path}: {error}; {}", self.stderr()))
    }

    /// Memory that it holds, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most memory that it ever held, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("memory is told");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
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

    pub(crate) fn wait(&mut self, within: Duration) -> ExitStatus {
        self.process.wait(within, "serin ends")
    }
}

/// The first listener gets this address; whatever else a test said of it, or of others, stays.
fn listen(config: &mut Value, web: SocketAddr) {
    if config["listeners"].is_null() {
        config["listeners"] = json!([{}]);
    }
    config["listeners"][0]["name"] = "web".into();
    config["listeners"][0]["address"] = web.to_string().into();
}

fn launch(directory: &tempfile::TempDir, wrap: &impl Fn(&Command) -> Command) -> Process {
    let mut command = binary();
    command.arg("run").arg("-c").arg(directory.path().join("serin.yaml"));
    Process::start(&mut wrap(&command), "it is built with the tests")
}

fn same(serin: &Command) -> Command {
    let mut command = Command::new(serin.get_program());
    command.args(serin.get_args());
    command
}
