//! curl, as a client of every kind.

use std::{
    fs,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::rig::{Back, Front, Rig};

/// What came of one run.
#[derive(Debug)]
pub(super) struct Got {
    /// curl's own exit code: 0 it is satisfied, 18 the body was cut, 28 it took too long, 92 a stream broke.
    pub(super) exit: i32,
    pub(super) status: u16,
    /// `1.1` or `2`.
    pub(super) version: String,
    pub(super) uploaded: usize,
    /// Connections that were opened for the last request of this run.
    pub(super) opened: usize,
    pub(super) body: Vec<u8>,
    /// Fields and trailers of all answers, names in lower case.
    pub(super) fields: Vec<(String, String)>,
}

impl Got {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// One way in and one way out.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) rig: &'a Rig,
    pub(super) front: Front,
    pub(super) back: Back,
}

impl Cell<'_> {
    pub(super) fn host(&self) -> String {
        format!("{}.test", self.back.name())
    }

    pub(super) fn url(&self, path: &str) -> String {
        match self.front {
            Front::Unix1 => format!("http://{}{path}", self.host()),
            Front::Tls1 | Front::Tls2 => format!("https://{}:{}{path}", self.host(), self.rig.tls.port()),
            _ => format!("http://{}:{}{path}", self.host(), self.rig.serin.web.port()),
        }
    }

    /// curl on its way in; what it asks for is still to be said.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--no-buffer", "--max-time", "20", "--noproxy", "*"]);
        command.args([
            "--path-as-is",
            "--write-out",
            "%{stderr}\n%{http_code} %{http_version} %{size_upload} %{num_connects}",
        ]);
        command.arg(match self.front {
            Front::Clear1 | Front::Tls1 | Front::Unix1 => "--http1.1",
            Front::Clear2 => "--http2-prior-knowledge",
            Front::Tls2 => "--http2",
        });
        if self.front == Front::Unix1 {
            command.arg("--unix-socket").arg(&self.rig.unix);
        } else {
            let port = if self.front.is_tls() { self.rig.tls.port() } else { self.rig.serin.web.port() };
            command.arg("--resolve").arg(format!("{}:{port}:127.0.0.1", self.host()));
        }
        if self.front.is_tls() {
            command.arg("--cacert").arg(self.rig.authority.file());
        }
        command
    }

    /// Runs it to its end.
    pub(super) fn curl(&self, path: &str, args: &[&str]) -> Got {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let dump = self.rig.path(&format!("fields-{run}"));
        let mut command = self.command();
        command.arg("--dump-header").arg(&dump).args(args).arg(self.url(path)).stdin(Stdio::null());
        let output = command.output().expect("curl is installed by the README's test command");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let numbers: Vec<&str> = said.lines().last().unwrap_or_default().split(' ').collect();
        let number = |at: usize| numbers.get(at).and_then(|text| text.parse().ok()).unwrap_or(0);
        let head = fs::read_to_string(&dump).unwrap_or_default();
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Got {
            exit: output.status.code().unwrap_or(-1),
            status: u16::try_from(number(0)).unwrap_or(0),
            version: numbers.get(1).copied().unwrap_or_default().to_owned(),
            uploaded: number(2),
            opened: number(3),
            body: output.stdout,
            fields: head.lines().filter_map(field).collect(),
        }
    }

    /// nghttp's account of one exchange, for what curl can't send. HTTP/2 only.
    pub(super) fn nghttp(&self, path: &str, args: &[&str]) -> String {
        let port = if self.front.is_tls() { self.rig.tls.port() } else { self.rig.serin.web.port() };
        let scheme = if self.front.is_tls() { "https" } else { "http" };
        let authority = format!(":authority: {}", self.host());
        let mut command = Command::new("nghttp");
        command.args(["--verbose", "--no-dep", "--timeout", "20", "--header", &authority]).args(args);
        command.arg(format!("{scheme}://127.0.0.1:{port}{path}"));
        let output = command.output().expect("nghttp is installed by the README's test command");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
