//! What a request costs in instructions of this process, everything on: a sticky split, counts, trace context.
//!
//! Instructions are counted by callgrind, so neither a busy machine nor a slow one changes them, and a rise of a few in a
//! hundred is a change of the code. What the kernel spends is not in it. [`BUDGET`] was counted with one compiler; with
//! another there is a number to read and nothing to hold. Where a rise is worth it: `SERIN_WRITE_BUDGET=1` writes the
//! file anew, and the commit says why.

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::json;

mod profile;

use self::profile::Profile;
use crate::harness::{
    alone,
    config::{SERVICE, two_versions},
    free_addresses, http,
    process::Process,
    tools::Nginx,
    until,
};

const BUDGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/instructions/budget.txt");
/// What is more than the budget by this is too much.
const RISE_MAX: f64 = 1.03;
const REQUESTS: u32 = 2_000;
/// Before they are counted, so that connections stand and tables are as large as they get.
const WARM_UP: u32 = 200;
/// Bytes of each answer's body.
const BODY: usize = 1024;
/// For a process that runs fifty times slower than alone.
const SLOWLY: Duration = Duration::from_secs(120);
/// Functions below this share of a request are kept as one.
const KEPT_FROM: f64 = 0.001;

#[test]
fn a_request_costs_no_more_instructions_than_its_budget() {
    let _machine = alone();
    let counted = count();
    println!("{:.0} instructions a request", counted.total());
    let compiler = compiler();
    if std::env::var_os("SERIN_WRITE_BUDGET").is_some() {
        return fs::write(BUDGET, written(&counted, &compiler)).unwrap();
    }
    let text = fs::read_to_string(BUDGET).unwrap();
    let (counted_with, budget) = read(&text);
    if counted_with != compiler {
        println!("not held to the budget, which was counted with {counted_with}; this is {compiler}");
        return;
    }
    let ratio = counted.total() / budget.total();
    println!("{ratio:.4} of the budget, {:.0}", budget.total());
    assert!(ratio <= RISE_MAX, "{ratio:.4} of the budget; grown most:\n{}", told(&counted, &budget));
}

fn told(counted: &Profile, budget: &Profile) -> String {
    counted.grown(budget).iter().take(10).fold(String::new(), |mut text, (name, before, now)| {
        let _ = writeln!(
            text,
            "  {:+8.0} instructions a request ({before:.0} to {now:.0}): {name}",
            now - before
        );
        text
    })
}

/// Small functions come and go with what is inlined where: they are one.
fn written(counted: &Profile, compiler: &str) -> String {
    let mut text = format!("# Instructions a request, by function. See mod.rs.\n# {compiler}\n");
    let least = counted.total() * KEPT_FROM;
    let (mut kept, small): (Vec<_>, Vec<_>) = counted.0.iter().partition(|(_, cost)| **cost >= least);
    kept.sort_by(|one, other| other.1.total_cmp(one.1));
    let rest: f64 = small.into_iter().map(|(_, cost)| cost).sum();
    for (name, cost) in kept {
        let _ = writeln!(text, "{cost:.1} {name}");
    }
    let _ = writeln!(text, "{rest:.1} all others");
    text
}

fn read(text: &str) -> (&str, Profile) {
    let compiler = text.lines().filter_map(|line| line.strip_prefix("# ")).nth(1).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    (compiler, Profile(lines.map(|(cost, name)| (name.to_owned(), cost.parse().unwrap())).collect()))
}

fn compiler() -> String {
    let output =
        Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into())).arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn count() -> Profile {
    let directory = tempfile::tempdir().unwrap();
    let body = "x".repeat(BODY);
    let (v1, v2) = (Nginx::start(&body), Nginx::start(&body));
    let [web, admin, api] = free_addresses();
    let mut config = two_versions(&v1.address(), &v2.address(), "90%", "10%");
    config["services"][SERVICE]["sticky"] = json!({ "cookie": "uid" });
    config["telemetry"] = json!({});
    config["listeners"] = json!([{ "address": web.to_string() }]);
    config["admin"]["address"] = admin.to_string().into();
    config["control"]["address"] = api.to_string().into();
    fs::write(directory.path().join("serin.yaml"), config.to_string()).unwrap();

    let mut serin = start(directory.path());
    until(SLOWLY, "serin is ready", || {
        assert!(serin.ended().is_none(), "serin has ended: {}", serin.stderr());
        http::get(admin, "/readyz").is_ok_and(|reply| reply.status == 200)
    });
    let mut client = Client::connect(web);
    client.ask(WARM_UP);
    instrument(&serin, "on");
    client.ask(REQUESTS);
    instrument(&serin, "off");
    serin.signal("TERM");
    serin.wait(SLOWLY, "serin ends");
    worker(directory.path()).per(f64::from(REQUESTS))
}

/// Without the lines of the source, which callgrind would read for longer than the whole test takes.
fn start(directory: &Path) -> Process {
    let binary = directory.join("serin");
    let stripped =
        Command::new("objcopy").arg("--strip-debug").arg(env!("CARGO_BIN_EXE_serin")).arg(&binary).status();
    assert!(stripped.expect("objcopy comes with the compiler's linker").success());
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", directory.join("callgrind").display()))
        .arg(binary)
        .args(["run", "--log", "warn", "-c"])
        .arg(directory.join("serin.yaml"))
        .current_dir(directory);
    Process::start(&mut command, "install the Debian package valgrind (the README's test command does)")
}

fn instrument(serin: &Process, state: &str) {
    let done =
        Command::new("callgrind_control").args(["-i", state, &serin.id().to_string()]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("OK"), "{said}{}", String::from_utf8_lossy(&done.stderr));
}

/// The thread that serves requests, among those that were counted.
fn worker(directory: &Path) -> Profile {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let counted = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("callgrind-"))
    };
    let profiles = files.filter(counted).map(|path| Profile::parse(&fs::read_to_string(path).unwrap()));
    let serves = |profile: &Profile| profile.0.keys().any(|name| name.contains("httparse"));
    let mut serving: Vec<Profile> = profiles.filter(serves).collect();
    serving.sort_by(|one, other| one.total().total_cmp(&other.total()));
    serving.pop().expect("one thread serves")
}

/// One connection, one request after the other: nothing depends on what comes at the same time.
struct Client(TcpStream);

impl Client {
    fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SLOWLY)).unwrap();
        Self(stream)
    }

    fn ask(&mut self, times: u32) {
        for n in 0..times {
            let request = format!(
                "GET /items/{n}?page=2 HTTP/1.1\r\nhost: shop.example\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
                 accept: text/html,application/xhtml+xml\r\naccept-language: en\r\naccept-encoding: gzip, deflate, br\r\n\
                 cookie: theme=dark; uid={:04}\r\n\r\n",
                n % 1_000
            );
            self.0.write_all(request.as_bytes()).unwrap();
            let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
            while !is_whole(&answer) {
                let got = self.0.read(&mut piece).unwrap();
                assert_ne!(got, 0, "the connection was closed");
                answer.extend_from_slice(&piece[..got]);
            }
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    head.is_some_and(|at| answer.len() == at + 4 + BODY)
}
