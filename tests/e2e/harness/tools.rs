//! Programs of other people: nginx as a version of a service, h2load as its clients.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use serin_config::Address;

use super::{SOON, free_addresses, http, process::Process, until};

const INSTALL: &str =
    "install the Debian packages nginx-light, nghttp2-client and prometheus (the README's test command does)";

/// An nginx that answers every request at once and logs it.
pub(crate) struct Nginx {
    _process: Process,
    _directory: tempfile::TempDir,
    address: SocketAddr,
    log: PathBuf,
}

impl Nginx {
    /// Starts one; requests for `/` get `body`.
    pub(crate) fn start(body: &str) -> Self {
        Self::start_with("", &format!("location / {{ return 200 \"{body}\"; }}"))
    }

    /// Starts one with these options on its address (`ssl`) and this in its server.
    pub(crate) fn start_with(listen: &str, server: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [address] = free_addresses();
        let at = directory.path().display();
        let log = directory.path().join("access.log");
        // One process, so that nothing outlives it when it is killed.
        let config = format!(
            "daemon off; master_process off; pid {at}/nginx.pid; error_log stderr warn;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n\
               log_format seen '$status $http_traceparent';\n\
               access_log {at}/access.log seen;\n\
               client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
               uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
               keepalive_requests 10000000;\n\
               server {{ listen {address} backlog=4096 {listen}; {server} }}\n\
             }}\n"
        );
        let file = directory.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut process = Process::start(
            Command::new("nginx").arg("-p").arg(directory.path()).arg("-c").arg(&file),
            INSTALL,
        );
        until(SOON, "nginx accepts connections", || {
            let ended = process.ended();
            assert!(ended.is_none(), "nginx ended ({ended:?}): {}", process.stderr());
            std::net::TcpStream::connect(address).is_ok()
        });
        Self { _process: process, _directory: directory, address, log }
    }

    pub(crate) fn address(&self) -> Address {
        Address::Tcp(self.address)
    }

    /// What it logged, a line for each request: status and `traceparent`.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// One request past the proxy, to see that it serves.
    pub(crate) fn answers(&self) -> u16 {
        http::get(self.address, "/").unwrap().status
    }
}

/// Sends `requests` requests over `connections` connections with h2load and checks that all succeeded.
pub(crate) fn h2load(address: SocketAddr, requests: u64, connections: u32, more: &[&str]) {
    h2load_to(&format!("http://{address}/"), requests, connections, more);
}

/// The same to a whole address, such as one of https.
pub(crate) fn h2load_to(url: &str, requests: u64, connections: u32, more: &[&str]) {
    let output = Command::new("h2load")
        .args(["-n", &requests.to_string(), "-c", &connections.to_string(), "-t", "1"])
        .args(more)
        .arg(url)
        .output()
        .unwrap_or_else(|error| panic!("h2load can't be started ({error}): {INSTALL}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let all = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
    let good = format!("status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx");
    assert!(
        output.status.success() && said.contains(&all) && said.contains(&good),
        "h2load: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Lets promtool read metrics; it must have nothing to say.
pub(crate) fn promtool_check(metrics: &str) {
    let mut checker = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool can't be started ({error}): {INSTALL}"));
    checker.stdin.take().expect("piped above").write_all(metrics.as_bytes()).unwrap();
    let output = checker.wait_with_output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}");
}
