//! Spans in a receiver that is built on the official protocol package: one trace from the client through Serin
//! to the endpoint, and traffic that does not notice what becomes of the receiver.
//!
//! How a request becomes spans is tested case by case in `serin-proxy`, trace headers in `serin-split`.

use std::time::Duration;

use serde_json::{Value, json};
use serin_loadtest::{Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, alone, beside,
    config::{SERVICE, one_version, two_versions},
    endpoint::{Endpoint, ok},
    eventually, free_addresses, http, median,
    python::{Server, python},
    serin::Serin,
    until,
    wire::Wire,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// All spans that the receiver has told of.
fn spans(receiver: &Server) -> Vec<Value> {
    let said = receiver.said();
    let lines = said.lines().filter_map(|line| line.strip_prefix("span "));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The first `count` spans, when they are there.
fn spans_when(receiver: &Server, count: usize) -> Vec<Value> {
    eventually(SOON, "spans arrive", || Some(spans(receiver)).filter(|spans| spans.len() >= count))
}

fn of_kind<'s>(spans: &'s [Value], kind: &str) -> &'s Value {
    let kind = format!("SPAN_KIND_{kind}");
    spans.iter().find(|span| span["kind"] == kind.as_str()).unwrap_or_else(|| panic!("no {kind}: {spans:?}"))
}

/// A configuration that sends its spans to `receiver` and samples nothing by itself.
fn exporting(mut config: Value, receiver: &str, protocol: &str) -> Value {
    config["telemetry"]["otlp"] = json!({ "endpoint": format!("http://{receiver}"), "protocol": protocol });
    config["telemetry"]["trace_sampling"] = "0%".into();
    config
}

fn ask_with(flags: &str) -> String {
    format!(
        "GET /cart?secret=1 HTTP/1.1\r\nhost: shop.example\r\ntraceparent: 00-{TRACE}-{CALLER}-{flags}\r\ntracestate: a=1\r\ntracestate: b=2\r\nbaggage: k=v\r\n\r\n"
    )
}

#[test]
fn one_trace_leads_from_the_client_over_serin_to_the_endpoint() {
    let _machine = beside();
    for protocol in ["grpc", "http"] {
        let receiver = Server::start("otlp_receiver.py", &[protocol]);
        let endpoint = Endpoint::answering(|_| ok("hello"));
        let mut config = exporting(one_version(endpoint.address()), receiver.address(), protocol);
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), "hunter2\n").unwrap();
        config["telemetry"]["otlp"]["headers"] =
            json!({ "x-key": format!("${{file:{}}}", key.path().display()) });
        config["telemetry"]["otlp"]["attributes"] = json!({ "deployment.environment.name": "test" });
        let serin = Serin::start(config);
        assert_eq!(Wire::connect(serin.web).ask(ask_with("03")).status(), 200);
        let spans = spans_when(&receiver, 2);
        assert_eq!(spans.len(), 2, "{spans:?}");
        let (server, client) = (of_kind(&spans, "SERVER"), of_kind(&spans, "CLIENT"));
        for span in [server, client] {
            assert_eq!(
                (&span["trace"], &span["flags"], &span["state"]),
                (&json!(TRACE), &json!(3), &json!("a=1,b=2")),
                "{span}"
            );
            assert_eq!((&span["scope"], &span["key"]), (&json!("serin"), &json!("hunter2")));
            assert_eq!(span["resource"]["service.name"], "serin");
            assert_eq!(span["resource"]["deployment.environment.name"], "test");
            assert!((0.0..60.0).contains(&span["age"].as_f64().unwrap()), "{span}");
        }
        assert_eq!((&server["parent"], &server["remote"]), (&json!(CALLER), &json!(true)), "{server}");
        assert_eq!((&client["parent"], &client["remote"]), (&server["span"], &json!(false)), "{client}");
        let (head, _) = endpoint.last();
        let span = client["span"].as_str().unwrap();
        assert_eq!(head.one("traceparent"), Some(&*format!("00-{TRACE}-{span}-03")));
        assert_eq!((head.one("tracestate"), head.one("baggage")), (Some("a=1,b=2"), Some("k=v")));
        let attributes = &server["attributes"];
        assert_eq!((&attributes["http.route"], &attributes["url.path"]), (&json!(SERVICE), &json!("/cart")));
        assert_eq!(attributes["url.query"], Value::Null, "a query may hold secrets");
        assert_eq!(
            (&attributes["serin.version"], &attributes["serin.outcome"]),
            (&json!("v1"), &json!("ok"))
        );
        until(SOON, "exports are counted", || serin.metrics().sum("serin_spans_exported_total", &[]) == 2.0);
        assert!(!serin.stderr().contains("hunter2"), "{}", serin.stderr());
    }
}

#[test]
fn without_a_sample_the_context_passes_untouched_and_only_failures_and_slow_answers_are_kept() {
    let _machine = beside();
    let receiver = Server::start("otlp_receiver.py", &["grpc"]);
    let endpoint = Endpoint::answering(|head| {
        if head.word().starts_with("/bad") {
            return b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".into();
        }
        if head.word().starts_with("/slow") {
            std::thread::sleep(Duration::from_millis(300));
        }
        ok("")
    });
    let mut config = exporting(one_version(endpoint.address()), receiver.address(), "grpc");
    config["telemetry"]["keep_slower_than"] = "200ms".into();
    let serin = Serin::start(config);
    let mut client = Wire::connect(serin.web);
    for (path, status) in [("/good", 200), ("/bad", 503), ("/slow", 200)] {
        let answer = client.ask(ask_with("00").replace("/cart", path));
        assert_eq!(answer.status(), status);
        let (head, _) = endpoint.last();
        assert_eq!(head.one("traceparent"), Some(&*format!("00-{TRACE}-{CALLER}-00")), "{path}");
        assert_eq!(head.all("tracestate"), ["a=1", "b=2"]);
    }
    let spans = spans_when(&receiver, 4);
    let paths: Vec<_> = spans.iter().filter_map(|span| span["attributes"]["url.path"].as_str()).collect();
    assert_eq!((spans.len(), paths), (4, vec!["/bad", "/slow"]), "{spans:?}");
    assert_eq!(spans[0]["attributes"]["error.type"], "503");
    assert!(spans.iter().all(|span| span["trace"] == TRACE && span["flags"] == 0), "{spans:?}");
}

#[test]
fn the_share_of_new_traces_is_that_of_the_version() {
    let _machine = beside();
    let receiver = Server::start("otlp_receiver.py", &["grpc"]);
    let [v1, v2] = [Endpoint::answering(|_| ok("")), Endpoint::answering(|_| ok(""))];
    let config = two_versions(v1.address(), v2.address(), "50%", "50%");
    let mut config = exporting(config, receiver.address(), "grpc");
    config["telemetry"]["canary_trace_sampling"] = "100%".into();
    config["telemetry"]["keep_slower_than"] = "none".into();
    let serin = Serin::start(config);
    for _ in 0..40 {
        assert_eq!(serin.get("/").status, 200);
    }
    assert!(v1.requests() > 0 && v2.requests() > 0);
    let spans = spans_when(&receiver, 2 * v2.requests());
    let version = |span: &Value| span["attributes"]["serin.version"].as_str().map(str::to_owned);
    assert_eq!(spans.len(), 2 * v2.requests());
    assert!(spans.iter().all(|span| version(span).as_deref() == Some("v2")), "{spans:?}");
}

#[test]
fn buckets_carry_the_trace_of_one_of_their_requests_for_those_who_read_openmetrics() {
    let _machine = beside();
    let receiver = Server::start("otlp_receiver.py", &["grpc"]);
    let endpoint = Endpoint::answering(|_| ok(""));
    let serin = Serin::start(exporting(one_version(endpoint.address()), receiver.address(), "grpc"));
    Wire::connect(serin.web).ask(ask_with("01"));
    let page = || {
        let accept = "GET /metrics HTTP/1.1\r\nhost: a\r\naccept: application/openmetrics-text\r\nconnection: close\r\n\r\n";
        let answer = http::raw(serin.admin, accept.as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
        body.to_owned()
    };
    let body = eventually(SOON, "an exemplar is there", || Some(page()).filter(|body| body.contains(TRACE)));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), body).unwrap();
    let said = python("openmetrics.py", &[file.path().to_str().unwrap()]);
    for family in ["http_server_request_duration_seconds", "serin_response_headers_duration_seconds"] {
        assert!(said.contains(&format!("exemplar {family}_bucket {TRACE}")), "{said}");
    }
    let plain = http::get(serin.admin, "/metrics").unwrap();
    assert!(plain.header("content-type").starts_with("text/plain") && !plain.body.contains(TRACE));
}

/// A window without spans, and one with.
type Pair = ([Duration; 2], [Duration; 2]);

/// One window of load; its median and p99. No request may fail.
fn window(serin: &Serin, seed: u64) -> [Duration; 2] {
    let schedule = Schedule::Poisson { rate: Rate::try_new(1_000.0).unwrap(), seed };
    let load = Load::new(serin.target(), Pace::Open(schedule), Stop::After(Duration::from_secs(2)));
    let report = load.start().unwrap().blocking_report().unwrap();
    assert_eq!(report.tally.failed(), 0, "{:?}", report.tally);
    let version = report.tally.versions().next().expect("requests were answered");
    [0.5, 0.99].map(|q| version.quantile(q).expect("requests were answered"))
}

#[test]
fn a_receiver_that_is_gone_or_slow_costs_spans_and_nothing_else() {
    const PAIRS: u64 = 3;
    let _machine = alone();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let slow = Server::start("otlp_receiver.py", &["grpc", "--delay", "3"]);
    let [nobody] = free_addresses();
    let without = Serin::start(one_version(stub.address()));
    for (what, receiver, reason) in
        [("gone", nobody.to_string(), "export_failed"), ("slow", slow.address().into(), "queue_full")]
    {
        let mut config = exporting(one_version(stub.address()), &receiver, "grpc");
        config["telemetry"]["trace_sampling"] = "100%".into();
        config["telemetry"]["otlp"]["queue"] = json!(64);
        let with = Serin::start(config);
        let pairs: Vec<_> = (0..PAIRS).map(|n| (window(&without, n), window(&with, n))).collect();
        for (at, name) in ["p50", "p99"].into_iter().enumerate() {
            let middle = |of: fn(&Pair) -> [Duration; 2]| {
                median(&pairs.iter().map(|pair| of(pair)[at]).collect::<Vec<_>>())
            };
            let (alone, beside) = (middle(|pair| pair.0), middle(|pair| pair.1));
            println!("receiver {what}: {name} {alone:?} without spans, {beside:?} with all requests traced");
            assert!(beside < alone * 2 + Duration::from_millis(20), "{what}: {name} {alone:?} → {beside:?}");
        }
        until(SOON, "drops are counted", || {
            with.metrics().sum("serin_spans_dropped_total", &[("reason", reason)]) > 0.0
        });
        assert_eq!(with.metrics().outcome("v1", "ok"), with.metrics().requests("v1"));
    }
}
