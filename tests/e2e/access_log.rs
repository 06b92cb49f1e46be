//! The access log: what a line tells, that every request has one, that files are rotated by renaming, and that
//! no trouble with the file is a request's trouble.

use std::{fs, io::Read, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};
use serin_config::limits::ACCESS_LOG_QUEUE_MAX;
use serin_loadtest::{Load, Pace, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, alone, beside,
    config::one_version,
    endpoint::{Endpoint, ok},
    eventually,
    serin::Serin,
    until,
    wire::Wire,
};

fn logging(mut config: Value, to: &Path) -> Value {
    config["telemetry"]["access_log"] = json!({ "path": to });
    config
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    whole.lines().map(parse).collect()
}

fn lines_when(file: &Path, count: usize) -> Vec<Value> {
    eventually(SOON, "lines are written", || Some(lines(file)).filter(|lines| lines.len() >= count))
}

#[test]
fn a_line_tells_who_asked_what_and_what_became_of_it() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.log");
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let serin = Serin::start(logging(one_version(endpoint.address()), &file));
    Wire::connect(serin.web).ask(
        "POST /cart/\"1\"?secret=1 HTTP/1.1\r\nhost: shop.example\r\nuser-agent: curl/8\r\ncontent-length: 3\r\n\
         traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\nabc",
    );
    let line = lines_when(&file, 1).remove(0);
    for (field, value) in [
        ("trace_id", json!("0af7651916cd43dd8448eb211c80319c")),
        ("sampled", json!(true)),
        ("client", json!("127.0.0.1")),
        ("method", json!("POST")),
        ("host", json!("shop.example")),
        ("path", json!("/cart/\"1\"")),
        ("query", Value::Null),
        ("scheme", json!("http")),
        ("protocol", json!("HTTP/1.1")),
        ("status", json!(200)),
        ("outcome", json!("ok")),
        ("service", json!("shop")),
        ("version", json!("v1")),
        ("route", json!("shop")),
        ("endpoint", json!(endpoint.address().to_string())),
        ("generation", json!(serin.metrics().sum("serin_plan_generation", &[]) as u64)),
        ("attempts", json!(1)),
        ("bytes_in", json!(3)),
        ("bytes_out", json!(5)),
        ("user_agent", json!("curl/8")),
    ] {
        assert_eq!(line[field], value, "{field}: {line}");
    }
    let [own, headers, total] =
        ["own_us", "headers_us", "total_us"].map(|field| line[field].as_u64().unwrap());
    assert!(own <= total && headers <= total && total < 20_000_000, "{line}");
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 27 && time.starts_with("20") && time.ends_with('Z'), "{line}");
}

#[test]
fn what_is_refused_or_given_up_has_a_line_too() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.log");
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut config = logging(one_version(stub.address()), &file);
    config["routes"][0]["path_prefix"] = "/shop".into();
    let serin = Serin::start(config);
    assert_eq!(serin.get("/elsewhere").status, 404);
    stub.set_hang(true);
    let mut client = Wire::connect(serin.web);
    client.send("GET /shop HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    until(SOON, "the request is at the endpoint", || stub.requests() == 1);
    drop(client);
    let lines = lines_when(&file, 2);
    let told: Vec<_> = lines.iter().map(|line| (&line["path"], &line["status"], &line["outcome"])).collect();
    assert_eq!(told[0], (&json!("/elsewhere"), &json!(404), &json!("no_route")));
    assert_eq!(told[1], (&json!("/shop"), &Value::Null, &json!("client_cancel")));
    assert_eq!((&lines[0]["attempts"], &lines[1]["attempts"]), (&json!(0), &json!(1)));
}

#[test]
fn a_sample_leaves_out_what_went_well_and_keeps_every_failure() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.log");
    let endpoint = Endpoint::answering(|head| match head.word().starts_with("/bad") {
        true => b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".into(),
        false => ok(""),
    });
    let mut config = logging(one_version(endpoint.address()), &file);
    config["telemetry"]["access_log"]["sample"] = "0%".into();
    config["telemetry"]["record_query"] = true.into();
    let serin = Serin::start(config);
    for path in ["/good", "/bad?a=b", "/good", "/bad"] {
        serin.get(path);
    }
    let lines = lines_when(&file, 2);
    let paths: Vec<_> = lines.iter().map(|line| line["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/bad", "/bad"]);
    assert_eq!(lines[0]["query"], "a=b");
}

#[test]
fn a_renamed_file_is_let_go_on_sigusr1_and_no_line_is_lost() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let [file, old] = ["access.log", "access.log.1"].map(|name| directory.path().join(name));
    let endpoint = Endpoint::answering(|_| ok(""));
    let serin = Serin::start(logging(one_version(endpoint.address()), &file));
    serin.get("/before");
    lines_when(&file, 1);
    fs::rename(&file, &old).unwrap();
    serin.get("/between");
    assert_eq!(lines_when(&old, 2)[1]["path"], "/between");
    serin.signal("USR1");
    until(SOON, "the file is there again", || file.exists());
    serin.get("/after");
    assert_eq!(lines_when(&file, 1)[0]["path"], "/after");
    assert_eq!(lines(&old).len(), 2);
    assert_eq!(serin.metrics().sum("serin_access_log_lines_total", &[]), 3.0);
    assert_eq!(serin.metrics().sum("serin_access_log_dropped_total", &[]), 0.0);
}

#[test]
fn a_full_disk_or_a_path_that_is_not_there_is_no_request_s_trouble() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("hello"));
    for path in ["/dev/full", "/nowhere/access.log"] {
        let mut serin = Serin::start(logging(one_version(endpoint.address()), Path::new(path)));
        for _ in 0..20 {
            assert_eq!(serin.get("/").body, "hello");
        }
        until(SOON, "drops are counted", || {
            serin.metrics().sum("serin_access_log_dropped_total", &[("reason", "write_failed")]) == 20.0
        });
        let said = serin.stderr().matches("the access log can't be written").count();
        assert_eq!(said, 1, "{}", serin.stderr());
        serin.signal("TERM");
        assert!(serin.wait(SOON).success());
    }
}

#[test]
fn a_file_that_hangs_costs_lines_and_neither_requests_nor_the_end() {
    let _machine = alone();
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let stub = Stub::start(StubOptions::default()).unwrap();
    // Opening a pipe waits for a reader, and there is none.
    let mut serin = Serin::start(logging(one_version(stub.address()), &pipe));
    let sent = ACCESS_LOG_QUEUE_MAX as u64 + 1_000;
    let load = Load::new(serin.target(), Pace::Closed { connections: 8 }, Stop::Count(sent));
    let report = load.start().unwrap().blocking_report().unwrap();
    assert_eq!((report.tally.total(), report.tally.failed()), (sent, 0), "{:?}", report.tally);
    until(SOON, "drops are counted", || {
        serin.metrics().sum("serin_access_log_dropped_total", &[("reason", "queue_full")]) >= 900.0
    });
    // Whoever reads at last gets what was kept.
    let mut text = String::new();
    let reader = std::thread::spawn(move || {
        fs::File::open(&pipe).unwrap().read_to_string(&mut text).unwrap();
        text.lines().count()
    });
    until(SOON, "lines are written", || {
        serin.metrics().sum("serin_access_log_lines_total", &[]) >= ACCESS_LOG_QUEUE_MAX as f64
    });
    serin.signal("TERM");
    assert!(serin.wait(SOON + Duration::from_secs(5)).success());
    assert!(reader.join().unwrap() >= ACCESS_LOG_QUEUE_MAX);
}
