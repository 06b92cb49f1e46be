//! `serin load` against real servers: what a run reports and does not hide, and what a gate says of two of them.
//!
//! How answers are read, and how surely a gate tells runs apart, is covered by `serin-loadtest`.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_loadtest::{Latency, Stub, StubOptions};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{
    alone, beside,
    certs::{Authority, arg},
    config::{one_version, two_versions},
    serin::{Serin, binary},
    tls::start_secured,
};

fn load(arguments: &[&str]) -> Output {
    binary().args(["load", "run"]).args(arguments).output().unwrap()
}

fn record(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn total(record: &Value, of: impl Fn(&Value) -> bool) -> u64 {
    let groups = record["groups"].as_array().unwrap().iter().filter(|group| of(group));
    let counts = |group: &Value| -> u64 {
        group["latency_us"].as_array().unwrap().iter().map(|pair| pair[1].as_u64().unwrap()).sum()
    };
    groups.map(counts).sum()
}

#[test]
fn a_load_counts_what_both_versions_served_and_writes_its_reports() {
    let _machine = beside();
    let stubs = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
    stubs[1].set_error_ppm(1_000_000);
    let serin = Serin::start(two_versions(stubs[0].address(), stubs[1].address(), "75%", "25%"));
    let files = TempDir::new().unwrap();
    let [json, csv, html, mix] =
        ["run.json", "run.csv", "run.html", "mix.yaml"].map(|name| files.path().join(name));
    std::fs::write(
        &mix,
        "requests:\n- { name: list, path: /items, weight: 3 }\n- { name: buy, method: POST, path: /orders, body: x }\n\
         users: { count: 500, cookie: uid }\n",
    )
    .unwrap();
    let url = format!("http://{}/", serin.web);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let watch = format!("proxy={}", serin.id());
    let ran = load(&[
        &url,
        "--rate",
        "400",
        "--requests",
        "800",
        "--mix",
        &path(&mix),
        "--json",
        &path(&json),
        "--csv",
        &path(&csv),
        "--html",
        &path(&html),
        "--watch",
        &watch,
    ]);
    let said = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(
        ran.status.code(),
        Some(1),
        "the canary fails: {said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let record = record(&json);
    assert_eq!(record["progress"]["sent"], 800);
    assert_eq!(total(&record, |_| true), 800);
    for (stub, version, failed) in [(&stubs[0], "v1", false), (&stubs[1], "v2", true)] {
        let here = total(&record, |group| group["version"] == version && group["failed"] == failed);
        assert_eq!(here, stub.requests(), "{version}: both sides count the same");
    }
    // Three of four requests are lists; five standard deviations are 61.
    let lists = total(&record, |group| group["request"] == "list");
    assert!((539..=661).contains(&lists), "{lists}");
    assert!(record["components"]["proxy"]["cpu_us_per_request"].as_f64().unwrap() > 0.0);
    assert!(said.contains("failed") && said.contains("list  v1  200"), "{said}");
    assert!(std::fs::read_to_string(&csv).unwrap().lines().count() >= 3);
    assert!(std::fs::read_to_string(&html).unwrap().contains("Latency by percentile"));
}

#[test]
fn http_2_within_tls_is_spoken_to_who_has_a_believed_certificate() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let authority = Authority::new("authority");
    let files = TempDir::new().unwrap();
    let pair = authority.server("server", &["localhost"]);
    let serin = start_secured(one_version(stub.address()), json!({ "certificates": [pair.json()] }));
    let ca = authority.file();
    let (url, ca) = (format!("https://localhost:{}/", serin.web.port()), arg(&ca));
    let json = files.path().join("run.json");
    let ran = load(&[
        &url,
        "--http2",
        "--rate",
        "300",
        "-n",
        "300",
        "-c",
        "2",
        "--ca",
        ca,
        "--json",
        json.to_str().unwrap(),
    ]);
    assert!(
        ran.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
    let record = record(&json);
    assert_eq!(total(&record, |group| group["outcome"] == "200"), 300);
    assert!(record["progress"]["connections"].as_u64().unwrap() <= 2);
    assert_eq!(stub.requests(), 300);
    // Nobody vouches for it otherwise.
    let ran = load(&[&url, "-n", "1", "-q"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("no connection"));
    assert!(load(&[&url, "-n", "1", "-q", "--danger-any-certificate"]).status.success());
}

/// A server that answers at once, but for the last second of each ten, in which it does nothing.
struct Stalling {
    port: u16,
    _runtime: tokio::runtime::Runtime,
}

const CYCLE: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_secs(1);

impl Stalling {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let begun = Instant::now();
        runtime.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut buffer, mut filled) = ([0; 4096], 0);
                    loop {
                        match stream.read(&mut buffer[filled..]).await {
                            Ok(0) | Err(_) => return,
                            Ok(bytes) => filled += bytes,
                        }
                        if !buffer[..filled].ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        filled = 0;
                        let cycles = u32::try_from(begun.elapsed().as_millis() / CYCLE.as_millis()).unwrap();
                        let end = CYCLE * (cycles + 1);
                        if begun.elapsed() >= end - STALL {
                            tokio::time::sleep_until((begun + end).into()).await;
                        }
                        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err()
                        {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, _runtime: runtime }
    }
}

#[test]
fn a_server_that_stalls_for_one_second_in_ten_is_reported_as_arithmetic_demands_where_a_closed_loop_hides_it()
{
    let _machine = alone();
    let server = Stalling::start();
    let url = format!("http://127.0.0.1:{}/", server.port);
    let files = TempDir::new().unwrap();
    let [open, closed] = ["open.json", "closed.json"].map(|name| files.path().join(name));
    let loop_of_four =
        ["load", "run", &url, "--closed", "-c", "4", "-d", "20s", "-q", "--json", arg(&closed)];
    let other = binary().args(loop_of_four).stdout(Stdio::null()).spawn().unwrap();
    // Two cycles whole, wherever they begin: a tenth of all requests is due within a stall.
    let ran = load(&[&url, "--rate", "400", "-d", "20s", "-c", "1000", "-q", "--json", arg(&open)]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    let record = record(&open);
    assert_eq!((&record["progress"]["sent"], &record["progress"]["missed"]), (&8000.into(), &0.into()));
    // Who is due a part of a second before the end of the stall waits so long: of all requests the share (1 - t) / 10 waits
    // longer than t.
    for (q, seconds) in [(0.95, 0.5), (0.99, 0.9), (0.999, 0.99)] {
        let seen = quantile(&record, q);
        println!("{q}: {seen:.3} s, by arithmetic {seconds:.3} s");
        assert!((seen - seconds).abs() < 0.05, "{q}: {seen} s, by arithmetic {seconds} s");
    }
    // Four users who wait for each other's server are held up twice each, and never seem to be.
    assert!(other.wait_with_output().unwrap().status.success());
    let hidden = quantile(&self::record(&closed), 0.999);
    println!("0.999 by a closed loop: {hidden:.3} s");
    assert!(hidden < 0.5, "{hidden} s");
}

fn quantile(record: &Value, q: f64) -> f64 {
    let mut values: Vec<(u64, u64)> = Vec::new();
    for group in record["groups"].as_array().unwrap() {
        for pair in group["latency_us"].as_array().unwrap() {
            values.push((pair[0].as_u64().unwrap(), pair[1].as_u64().unwrap()));
        }
    }
    values.sort_unstable();
    let all: u64 = values.iter().map(|(_, count)| count).sum();
    let mut seen = 0;
    let found = values.iter().find(|(_, count)| {
        seen += count;
        seen as f64 >= q * all as f64
    });
    found.unwrap().0 as f64 / 1e6
}

#[test]
fn a_gate_passes_warns_or_blocks_and_says_why() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let files = TempDir::new().unwrap();
    let [before, after, other, history] =
        ["before.json", "after.json", "other.json", "history.jsonl"].map(|name| files.path().join(name));
    let url = format!("http://{}/", stub.address());
    let measure = |file: &Path, rate: &str| {
        assert!(load(&[&url, "--rate", rate, "-n", "100", "-q", "--json", arg(file)]).status.success());
    };
    measure(&before, "400");
    measure(&after, "400");
    measure(&other, "200");
    let budgets = |text: &str| {
        let file = files.path().join("budgets.yaml");
        std::fs::write(&file, text).unwrap();
        file
    };
    let gate = |candidate: &Path, budgets: &Path| {
        let asked = ["--baseline", arg(&before), "--candidate", arg(candidate), "--budget", arg(budgets)];
        let kept = ["--history", arg(&history), "--label", "v2"];
        let ran = binary().args(["load", "gate"]).args(asked).args(kept).output().unwrap();
        let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (ran.status.code(), said)
    };
    // A quarter of a second is no minute.
    let (code, said) = gate(&after, &budgets("metrics: { p99: { max: 50s } }"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("result: warn") && said.contains("only budgets were asked"), "{said}");
    let (code, said) = gate(&after, &budgets("metrics: { p50: { max: 1us } }"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("block: p50: the budget of 1 µs is spent"), "{said}");
    let (code, said) = gate(&other, &budgets("{}"));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("the records are of different loads: the pace is 400"), "{said}");
    let (code, said) = gate(&after, &budgets("metrics: { p98: {} }"));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("\"p98\" is not a metric"), "{said}");
    // Those that were answered are in the history.
    let lines = std::fs::read_to_string(&history).unwrap();
    let results: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.iter().map(|entry| &entry["result"]).collect::<Vec<_>>(), ["warn", "block"]);
    assert_eq!(results[0]["label"], "v2");
}

#[test]
fn a_sweep_finds_how_much_a_service_bears_and_names_what_ran_out() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    // Two milliseconds an answer: with four connections two thousand requests a second, whatever the machine is.
    let latency = Latency { median: Duration::from_millis(2), sigma: 0.0 };
    stub.set_latency(Some(latency));
    let files = TempDir::new().unwrap();
    let [json, html] = ["sweep.json", "sweep.html"].map(|name| files.path().join(name));
    let url = format!("http://{}/", stub.address());
    let asked = ["--step", "1s", "-c", "4", "--json", arg(&json), "--html", arg(&html)];
    let ran = binary().args(["load", "sweep", &url]).args(asked).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    let found: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(found["closed"].as_array().unwrap().len(), 3, "one, two and four connections: {said}");
    let most = found["most"].as_f64().unwrap();
    assert!(most > 200.0 && most < 2_000.0, "{said}");
    // With as many connections as it takes the stub bears more than four of them ask for.
    assert!(found["knee"].as_f64().unwrap() > 0.0, "{said}");
    assert!(found["limit"]["resource"].is_string() && said.contains("limit:"), "{said}");
    assert!(std::fs::read_to_string(&html).unwrap().contains("Throughput by connections"));
    // Who does not answer is not swept.
    let nobody = binary().args(["load", "sweep", "http://127.0.0.1:1/", "--step", "1s"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("does not answer: no connection"));
}

#[test]
fn a_component_that_a_load_starts_is_measured_from_its_start_and_ends_with_it() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let files = TempDir::new().unwrap();
    let serin = Serin::start(one_version(stub.address()));
    let (web, config) = (serin.web, serin.config().to_string());
    let url = format!("http://{web}/");
    // Somebody who answers already has started before.
    let ran = load(&[&url, "-n", "1", "--start", "proxy=sleep 60"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("somebody answers before \"proxy\" is started"));
    drop(serin);
    let [file, json] = ["serin.yaml", "run.json"].map(|name| files.path().join(name));
    std::fs::write(&file, config).unwrap();
    let start = format!("proxy={} run -c {} --log warn", env!("CARGO_BIN_EXE_serin"), file.display());
    let ran = load(&[&url, "-n", "50", "--start", &start, "--json", arg(&json)]);
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(ran.status.code(), Some(0), "{said}");
    let record = record(&json);
    let proxy = &record["components"]["proxy"];
    let start_up = proxy["start_up_ms"].as_f64().unwrap();
    assert!((1.0..30_000.0).contains(&start_up), "{start_up}");
    assert!(
        proxy["memory_bytes"].as_u64().unwrap() > 0 && said.contains("from start to first answer"),
        "{said}"
    );
    assert_eq!(total(&record, |_| true), 50, "the question whether it answers is none of them");
    assert!(std::net::TcpStream::connect(web).is_err(), "it has ended");
    // A budget takes it, and one that is spent blocks.
    let budget = files.path().join("budget.yaml");
    std::fs::write(&budget, "components: { proxy: { start_up: 1ms } }").unwrap();
    let mut gate = binary();
    gate.args(["load", "gate", "--baseline", arg(&json), "--candidate", arg(&json)]);
    let gate = gate.args(["--budget", arg(&budget)]).output().unwrap();
    assert_eq!(gate.status.code(), Some(2), "{}", String::from_utf8_lossy(&gate.stdout));
    assert!(String::from_utf8_lossy(&gate.stdout).contains("proxy: start-up: the budget of 1 ms is spent"));
    for (start, words) in [
        ("proxy=exit 7", "\"proxy\" has ended (exit status: 7) before it answered"),
        ("proxy=sleep 60", "\"proxy\" does not answer within 300ms"),
    ] {
        let ran = load(&[&url, "-n", "1", "--start", start, "--start-within", "300ms"]);
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.code() == Some(2) && said.contains(words), "{said}");
    }
}
