//! A control plane over a real socket, and a client of its API.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use serin_config::{Address, Plan};
use serin_control::{ControlPlane, Handle, Push};

use crate::fixtures::{config, shop};

pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) handle: Handle,
    pub(crate) pushed: Arc<Mutex<Vec<Arc<Plan>>>>,
}

impl World {
    pub(crate) fn start(config: &serin_config::Config) -> Self {
        let pushed: Arc<Mutex<Vec<Arc<Plan>>>> = Arc::default();
        let sink = pushed.clone();
        Self::pushing(config, pushed, Box::new(move |plan| sink.lock().unwrap().push(plan)))
    }

    pub(crate) fn pushing(
        config: &serin_config::Config,
        pushed: Arc<Mutex<Vec<Arc<Plan>>>>,
        push: Push,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let control = opened(config);
        let handle = runtime.block_on(control.serve(push)).unwrap();
        Self { runtime, handle, pushed }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let Address::Tcp(address) = self.handle.address() else { panic!("a TCP address") };
        address
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.send(method, path, "content-type: application/json\r\n", &body)
    }

    /// Asks with a token; none asks without.
    pub(crate) fn ask(&self, token: Option<&str>, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.send(method, path, &headers(token), &body)
    }

    /// The status alone, of an answer that may never end.
    pub(crate) fn status_of(&self, token: Option<&str>, method: &str, path: &str, body: &str) -> u16 {
        let (host, length, headers) = (self.address(), body.len(), headers(token));
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {length}\r\n\r\n");
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Makes a token, as whoever has `admin`.
    pub(crate) fn token(&self, admin: &str, name: &str, role: &str, services: Option<&[&str]>) -> String {
        let body = json!({ "name": name, "role": role, "services": services });
        let made = self.ask(Some(admin), "POST", "/v1/tokens", Some(&body));
        assert_eq!(made.status, 201, "{made:?}");
        made.json()["token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None)
    }

    pub(crate) fn steer(&self, body: &Value) -> Reply {
        self.call("POST", "/v1/services/shop/rollout", Some(body))
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let host =
            if headers.contains("host:") { String::new() } else { format!("host: {}\r\n", self.address()) };
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\n{host}{headers}content-length: {length}\r\n");
        Reply::to(
            TcpStream::connect(self.address()).unwrap(),
            &format!("{head}connection: close\r\n\r\n{body}"),
        )
    }

    pub(crate) fn stop(self) {
        self.runtime.block_on(self.handle.shutdown());
    }
}

fn headers(token: Option<&str>) -> String {
    let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("content-type: application/json\r\n{bearer}")
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn to(mut stream: impl Read + Write, request: &str) -> Self {
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The problem's kind; checks that it is one, and that it has all its members.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        problem["type"].as_str().unwrap().strip_prefix("urn:serin:problem:").unwrap().to_owned()
    }
}

pub(crate) fn shop_in(directory: &Path) -> serin_config::Config {
    config(vec![shop()], directory.join("state.redb"))
}

/// Opens the control plane; after a fault, the thread of the last one may still be closing the store.
pub(crate) fn opened(config: &serin_config::Config) -> ControlPlane {
    let deadline = Instant::now() + SOON;
    // The real time: to a rollout that goes on after a restart the years since 1970 would be time that it was watched.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = u64::try_from(now.as_millis()).unwrap();
    loop {
        match ControlPlane::open(config, now_ms) {
            Ok(control) => return control,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::yield_now();
    }
}

pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}
