//! Clients and servers of other people that are Python libraries (gRPC, WebSocket, HTTP/2 frames, OTLP).
//!
//! The scripts lie in `tests/python`; `tests/python/install` puts the libraries beside what cargo builds. A
//! client script prints a line for each of its checks, a server script the address at which it listens.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use super::{SOON, eventually, process::Process};

const INSTALL: &str = "run tests/python/install once (the README's test command does)";
/// A client script does all its checks in this time.
const CHECKS_TIME: Duration = Duration::from_secs(120);

/// The command that runs a script of `tests/python` with the libraries that it needs.
pub(crate) fn command(script: &str, args: &[&str]) -> Command {
    let target = Path::new(env!("CARGO_BIN_EXE_serin")).ancestors().nth(2).expect("target/<profile>/serin");
    let python = target.join("python/bin/python");
    assert!(target.join("python/installed.txt").exists(), "{} is not there: {INSTALL}", python.display());
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let mut command = Command::new(python);
    // No byte code beside the sources, and every line as soon as it is printed.
    command.arg("-B").arg("-u").arg(directory.join(script)).args(args);
    command
}

/// Runs a client script to its end. All its checks must pass, and there must be some; returns what it printed.
pub(crate) fn python(script: &str, args: &[&str]) -> String {
    let (status, said) = run(script, args);
    let failed: Vec<_> = said.lines().filter(|line| !line.starts_with("pass ")).collect();
    assert!(
        status.success() && said.lines().any(|line| line.starts_with("pass ")),
        "{script} {args:?} ended with {status}:\n{}",
        failed.join("\n")
    );
    said
}

/// Runs a script to its end; for what decides by itself which checks should have passed.
pub(crate) fn run(script: &str, args: &[&str]) -> (ExitStatus, String) {
    let command = command(script, args);
    // Both streams through the one that is kept.
    let mut both = Command::new("sh");
    both.args(["-c", "exec \"$@\" >&2", "sh"]).arg(command.get_program()).args(command.get_args());
    let mut process = Process::start(&mut both, INSTALL);
    let status = process.wait(CHECKS_TIME, script);
    (status, process.stderr())
}

/// A server that a script runs; it ends with its test.
pub(crate) struct Server {
    process: Process,
    address: String,
}

impl Server {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(script: &str, args: &[&str]) -> Self {
        let mut process = Process::start(&mut command(script, args), INSTALL);
        let address = eventually(SOON, script, || {
            let ended = process.ended();
            assert!(ended.is_none(), "{script} ended ({ended:?}): {}", process.stderr());
            let said = process.stderr();
            said.lines().find_map(|line| line.strip_prefix("listening on ")).map(Into::into)
        });
        Self { process, address }
    }

    /// As the script says it: `HOST:PORT` or `unix:/path`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        self.process.stderr()
    }
}
