//! Ten thousand clients that say nothing and a thousand that drip, while a thousand requests a second pass:
//! nobody who asks something notices, and who is idle costs little.
//!
//! Deadlines of slow clients one by one are covered by `timeouts`, and those of HTTP/2 by `h2_attacks`.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use serin_loadtest::{Load, Pace, Rate, Report, Schedule, Stop, Stub, StubOptions};

use crate::harness::{SOON, alone, config::one_version, eventually, serin::Serin, until};

const IDLE: usize = 10_000;
const DRIPPING: usize = 1_000;
const PER_SECOND: f64 = 1_000.0;
const WINDOW: Duration = Duration::from_secs(2);
const WINDOWS: usize = 5;
/// The goal is 4 KiB; the allocator's own habits get the rest.
const BYTES_EACH_MAX: u64 = 8 * 1024;
/// Each takes one descriptor in this process and one in the proxy's.
const DESCRIPTORS: u64 = (IDLE + DRIPPING + 2_000) as u64;

#[test]
fn idle_and_dripping_clients_cost_little_and_nobody_else_notices() {
    let _machine = alone();
    raise_descriptors();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut config = one_version(stub.address());
    config["limits"]["max_connections"] = json!(20_000);
    config["limits"]["client_keep_alive"] = json!("10m");
    config["limits"]["client_header_timeout"] = json!("8s");
    let serin = Serin::start(config);
    assert_eq!(serin.get("/").status, 200);
    let quiet = measure(&serin);

    let before = serin.resident_bytes();
    let silent: Vec<TcpStream> = (0..IDLE / 10).map(|_| connect(serin.web)).collect();
    let served: Vec<TcpStream> = (IDLE / 10..IDLE).map(|_| ask_once(serin.web)).collect();
    let open = |n: usize| serin.metrics().sum("serin_client_connections", &[]) >= n as f64;
    until(SOON, "all are connected", || open(IDLE));
    // The last ones are parked a moment after their answer.
    let after = eventually(SOON, "the memory settles", || {
        let first = serin.resident_bytes();
        std::thread::sleep(serin_config::limits::PARK_AFTER * 2);
        (serin.resident_bytes() >= first).then_some(first)
    });
    let each = after.saturating_sub(before) / IDLE as u64;
    println!("memory: {before} bytes before, {after} with {IDLE} idle connections: {each} each");

    let stop = Arc::new(AtomicBool::new(false));
    let dripping = drip(serin.web, &stop);
    let busy = measure(&serin);
    stop.store(true, Ordering::Relaxed);
    let cut = dripping.join().unwrap();
    println!(
        "p99 of {PER_SECOND}/s: alone {quiet:?}, beside the idle and dripping ones {busy:?}; {cut} drips cut off"
    );

    assert!(each <= BYTES_EACH_MAX, "an idle connection holds {each} bytes");
    assert!(busy <= quiet * 2 + Duration::from_millis(1), "p99 went from {quiet:?} to {busy:?}");
    // Those who were served before are still there, and are served again; the silent ones have had their time.
    let (mut first, mut last) = (&served[0], &served[served.len() - 1]);
    for client in [&mut first, &mut last] {
        client.write_all(REQUEST).unwrap();
        assert!(read_some(client).starts_with("HTTP/1.1 200"));
    }
    until(SOON, "the silent and the dripping are cut off", || {
        serin.metrics().sum("serin_client_connections", &[]) <= served.len() as f64 + 64.0
    });
    assert!(serin.metrics().sum("serin_client_abuse_total", &[("kind", "slow_head")]) >= DRIPPING as f64);
    drop(silent);
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < DESCRIPTORS) {
        assert!(
            maximum.is_none_or(|maximum| maximum >= DESCRIPTORS),
            "this test needs {DESCRIPTORS} file descriptors (ulimit -Hn), not {maximum:?}"
        );
        setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum }).unwrap();
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("there is room");
    stream.set_read_timeout(Some(SOON)).expect("a timeout above zero");
    stream
}

fn ask_once(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(REQUEST).unwrap();
    assert!(read_some(&mut &stream).starts_with("HTTP/1.1 200"));
    stream
}

fn read_some(stream: &mut &TcpStream) -> String {
    let mut piece = [0; 4096];
    let read = stream.read(&mut piece).unwrap();
    String::from_utf8_lossy(&piece[..read]).into_owned()
}

/// The best p99 of a few windows: what the machine does besides only ever makes it worse.
fn measure(serin: &Serin) -> Duration {
    let windows: Vec<Duration> = (0..WINDOWS)
        .map(|n| {
            let schedule = Schedule::Poisson { rate: Rate::try_new(PER_SECOND).unwrap(), seed: n as u64 };
            let load = Load::new(serin.target(), Pace::Open(schedule), Stop::After(WINDOW));
            let report: Report = load.start().unwrap().blocking_report().unwrap();
            assert_eq!(report.tally.failed(), 0, "{:?}", report.tally);
            let versions: Vec<_> = report.tally.versions().collect();
            assert_eq!(versions.len(), 1, "{:?}", report.tally);
            versions[0].quantile(0.99).expect("requests were answered")
        })
        .collect();
    windows.into_iter().min().expect("there are windows")
}

/// A thousand clients, each of which sends a head a byte at a time, and comes again when it is cut off.
/// Returns how many were.
fn drip(address: SocketAddr, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let stop = Arc::clone(stop);
    let start = move || {
        let stream = connect(address);
        stream.set_nonblocking(true).unwrap();
        // The first byte at once: who sends nothing is idle, not slow.
        let _ = (&stream).write(b"G");
        stream
    };
    std::thread::spawn(move || {
        let mut cut = 0;
        let mut clients: Vec<TcpStream> = (0..DRIPPING).map(|_| start()).collect();
        while !stop.load(Ordering::Relaxed) {
            // A few at a time, as clients that know nothing of each other drip.
            for some in clients.chunks_mut(DRIPPING / 100) {
                for client in some {
                    let gone = matches!(client.read(&mut [0; 16]), Ok(0)) || client.write(b"E").is_err();
                    if gone {
                        cut += 1;
                        *client = start();
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        cut
    })
}
