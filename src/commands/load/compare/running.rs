//! The processes of a comparison: backends and proxies, each on its core, all of them ended with it.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serin_loadtest::{
    compare::{Peer, Places, peer::BACKEND},
    process::Process,
};
use tempfile::TempDir;

/// How long a process may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How often it is asked.
const ASKED_EVERY: Duration = Duration::from_millis(1);
/// How long one answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Who runs where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    pub(super) proxy: usize,
    pub(super) load: usize,
}

impl Cores {
    /// Puts this process, and all that it starts without another core, on that of the load.
    pub(super) fn take_load(self) -> Result<(), String> {
        let mut set = rustix::thread::CpuSet::new();
        set.set(self.load);
        rustix::thread::sched_setaffinity(None, &set)
            .map_err(|error| format!("core {} can't be had: {error}", self.load))
    }
}

/// Where everything is.
#[derive(Debug)]
pub(super) struct Setup {
    work: TempDir,
    cores: Cores,
    own: PathBuf,
    versions: [u16; 2],
    grpc: [u16; 2],
    _backends: [Running; 2],
}

/// A process that ends with this.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    pub(super) process: Process,
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is no problem.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

impl Setup {
    pub(super) fn new(cores: Cores) -> Result<Self, String> {
        let work = tempfile::tempdir().map_err(|error| error.to_string())?;
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let [versions, grpc] = [[free_port()?, free_port()?], [free_port()?, free_port()?]];
        let wrong = |error: std::io::Error| error.to_string();
        fs::write(work.path().join("large"), vec![b'x'; 1 << 20]).map_err(wrong)?;
        certificates(&work)?;
        let (clear, secured, unix, admin, api) = (0, 0, 0, 0, 0);
        let places = Places { clear, secured, unix, admin, api, versions, grpc, work: work.path().into() };
        let file = work.path().join("backend.conf");
        fs::write(&file, places.fill(BACKEND)).map_err(wrong)?;
        let mut nginx = pinned(cores.load, "nginx");
        nginx.arg("-p").arg(work.path()).arg("-c").arg(&file);
        let backend = start(nginx, "nginx, which is the backend")?;
        wait_until_it_answers(versions[1], "the backend")?;
        let mut echo = pinned(cores.load, &own.display().to_string());
        echo.args(["load", "grpc-echo"]).args(grpc.map(|port| format!("127.0.0.1:{port}")));
        let calls = start(echo, "the gRPC backend")?;
        wait_until_it_listens(grpc[1], "the gRPC backend")?;
        Ok(Self { work, cores, own, versions, grpc, _backends: [backend, calls] })
    }

    /// What a proxy calls its release; none where it is not installed.
    pub(super) fn version(&self, peer: Peer) -> Option<String> {
        let program = peer.program().map_or(self.own.clone(), PathBuf::from);
        let output = Command::new(program).arg(peer.version_option()).env("PATH", path()).output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        said.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }

    /// Ports of its own for one proxy.
    pub(super) fn places(&self) -> Result<Places, String> {
        Ok(Places {
            clear: free_port()?,
            secured: free_port()?,
            unix: free_port()?,
            admin: free_port()?,
            api: free_port()?,
            versions: self.versions,
            grpc: self.grpc,
            work: self.work.path().into(),
        })
    }

    /// The port of a backend.
    pub(super) fn backend(&self) -> u16 {
        self.versions[0]
    }

    /// Starts a proxy and waits until it answers; gives how long that took.
    pub(super) fn start(&self, peer: Peer, places: &Places) -> Result<(Running, Duration), String> {
        let mut file = PathBuf::new();
        if let Some((name, text)) = peer.config(places) {
            fs::write(&name, text).map_err(|error| error.to_string())?;
            file = name;
        }
        // Each start is a first one.
        let _ = fs::remove_file(self.work.path().join("state.redb"));
        let program = peer.program().map_or(self.own.display().to_string(), str::to_owned);
        let mut command = pinned(self.cores.proxy, &program);
        if peer == Peer::Nginx {
            command.arg("-p").arg(self.work.path());
        }
        command.args(peer.arguments(places, &file));
        let begun = Instant::now();
        let running = start(command, peer.name())?;
        wait_until_it_answers(places.clear, peer.name())?;
        Ok((running, begun.elapsed()))
    }
}

/// Debian has servers where only the administrator's PATH looks.
fn path() -> String {
    format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default())
}

/// On its core, and killed by the kernel when this process ends, however that comes.
fn pinned(core: usize, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "-c"]).arg(core.to_string());
    command.arg(program).env("PATH", path());
    command
}

fn start(mut command: Command, name: &str) -> Result<Running, String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.map_err(|error| {
        format!("{name} can't be started (setpriv and taskset of util-linux are needed, too): {error}")
    })?;
    let process = Process::of(child.id()).map_err(|error| format!("{name} has ended at once: {error}"))?;
    Ok(Running { child, process })
}

fn wait_until_it_answers(port: u16, name: &str) -> Result<(), String> {
    wait_until(|| ask(port).is_ok(), name)
}

/// For one that does not speak HTTP/1.1.
fn wait_until_it_listens(port: u16, name: &str) -> Result<(), String> {
    wait_until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(), name)
}

fn wait_until(ready: impl Fn() -> bool, name: &str) -> Result<(), String> {
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        if ready() {
            return Ok(());
        }
        sleep(ASKED_EVERY);
    }
    Err(format!("{name} does not answer within {} s", READY_WITHIN.as_secs()))
}

/// One request over a connection of its own, which is given back open.
pub(super) fn ask(port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WAIT)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n")?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    // The backend's answer has 1 KiB behind its head.
    loop {
        let bytes = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..bytes]);
        let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
        match head {
            _ if bytes == 0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Some(_) if !answer.starts_with(b"HTTP/1.1 200") => {
                return Err(std::io::ErrorKind::InvalidData.into());
            }
            Some(head) if answer.len() >= head + 4 + 1024 => return Ok(stream),
            _ => {}
        }
    }
}

/// A certificate and its key, as each proxy wants them.
fn certificates(work: &TempDir) -> Result<(), String> {
    let made =
        rcgen::generate_simple_self_signed(["shop.test".to_owned()]).map_err(|error| error.to_string())?;
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (name, text) in [("cert.pem", &cert), ("key.pem", &key), ("both.pem", &format!("{cert}{key}"))] {
        fs::write(work.path().join(name), text).map_err(|error| error.to_string())?;
    }
    Ok(())
}
