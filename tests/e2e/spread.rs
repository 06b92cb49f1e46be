//! Client connections are spread over the workers, whoever the kernel gives them to.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::json;
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{SOON, beside, config::one_version, serin::Serin, until};

#[test]
fn of_connections_that_stay_open_no_worker_has_two_more_than_the_other() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut config = one_version(stub.address());
    config["limits"]["workers"] = json!(2);
    let serin = Serin::start(config);
    let mut open = Vec::new();
    for count in 1..=24 {
        open.push(ask_once(&serin));
        let held = ["0", "1"].map(|worker| of_worker(&serin, "serin_worker_client_connections", worker));
        assert!((held[0] - held[1]).abs() <= 1.0, "{held:?} of {count}");
    }
    // Who asks again is answered where its connection is.
    for stream in &mut open {
        ask(stream);
    }
    until(SOON, "both workers have told what they did", || {
        ["0", "1"].iter().all(|worker| of_worker(&serin, "serin_worker_requests_total", worker) == 24.0)
    });
    drop(open);
    until(SOON, "all are closed", || serin.metrics().sum("serin_worker_client_connections", &[]) == 0.0);
}

fn of_worker(serin: &Serin, metric: &str, worker: &str) -> f64 {
    serin.metrics().sum(metric, &[("worker", worker)])
}

fn ask_once(serin: &Serin) -> TcpStream {
    let mut stream = TcpStream::connect(serin.web).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    ask(&mut stream);
    stream
}

fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut answer = [0; 4096];
    let got = stream.read(&mut answer).unwrap();
    assert!(answer[..got].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..got]));
}
