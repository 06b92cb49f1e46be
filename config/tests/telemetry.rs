//! The telemetry section: what it becomes, and what is said about each mistake in it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{path::Path, time::Duration};

use serin_config::{
    Config, Problems, Secrets, Weight, load,
    summary::summary,
    telemetry::{B3, LogTarget, OtlpProtocol, Telemetry},
};

struct Environment;

impl Secrets for Environment {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "KEY" => Some("Bearer hunter2".into()),
            "EMPTY" => Some(String::new()),
            "TWO_LINES" => Some("hunter2\nx: y".into()),
            _ => None,
        }
    }
    fn file(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("/etc/serin/key") => Ok("hunter2\n".into()),
            _ => Err("No such file or directory".into()),
        }
    }
}

fn read(telemetry: &str) -> Result<Config, Problems> {
    let text = format!(
        "listeners: [{{ address: 127.0.0.1:8080 }}]\nroutes: [{{ service: shop }}]\n\
         services: {{ shop: {{ versions: {{ v1: {{ endpoints: [127.0.0.1:9001] }} }} }} }}\n{telemetry}\n"
    );
    load(&text, "f", Path::new("/etc/serin"), &Environment)
}

fn good(telemetry: &str) -> Config {
    read(telemetry).unwrap_or_else(|problems| panic!("{telemetry}: {problems}"))
}

#[test]
fn without_a_word_nothing_is_exported_or_logged() {
    let telemetry = good("").telemetry;
    assert_eq!(telemetry, Telemetry::default());
    assert_eq!((telemetry.otlp, telemetry.access_log, telemetry.b3), (None, None, B3::Off));
    assert_eq!((telemetry.keep_errors, telemetry.keep_slower_than), (true, Some(Duration::from_secs(1))));
}

#[test]
fn everything_that_can_be_said_is_taken() {
    let config = good(
        "telemetry:\n  trace_sampling: 1%\n  canary_trace_sampling: 10%\n  b3: both\n  keep_errors: false\n  \
         keep_slower_than: none\n  record_query: true\n  otlp:\n    endpoint: http://collector.example:4318\n    \
         protocol: http\n    headers: { Authorization: \"${KEY}\", x-key: \"${file:key}\" }\n    timeout: 2s\n    \
         queue: 64\n    service_name: edge\n    attributes: { deployment.environment.name: staging }\n  \
         access_log: { path: logs/access.json, sample: 5%, keep_errors: false }",
    );
    let telemetry = &config.telemetry;
    assert_eq!(telemetry.canary_trace_sampling, Weight::from_ppm(100_000));
    assert_eq!((telemetry.b3, telemetry.keep_errors, telemetry.keep_slower_than), (B3::Both, false, None));
    let otlp = telemetry.otlp.clone().unwrap();
    assert_eq!(
        (&*otlp.endpoint, otlp.protocol),
        ("http://collector.example:4318/v1/traces", OtlpProtocol::Http)
    );
    assert_eq!((otlp.timeout, otlp.queue, &*otlp.service_name), (Duration::from_secs(2), 64, "edge"));
    assert_eq!(otlp.attributes, [("deployment.environment.name".into(), "staging".into())]);
    let headers: Vec<_> = otlp.headers.iter().map(|(name, value)| (&**name, value.expose())).collect();
    assert_eq!(headers, [("authorization", "Bearer hunter2"), ("x-key", "hunter2")]);
    let log = telemetry.access_log.clone().unwrap();
    assert_eq!(log.to, LogTarget::File("/etc/serin/logs/access.json".into()));
    assert_eq!((log.sample, log.keep_errors), (Weight::from_ppm(50_000).unwrap(), false));
    let shown = format!("{config:?}{}", summary(&config));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("spans     to http://collector.example:4318/v1/traces"), "{shown}");
    assert!(shown.contains("logged to /etc/serin/logs/access.json, 5%\n"), "{shown}");
}

#[test]
fn an_endpoint_is_taken_as_each_protocol_wants_it() {
    for (written, taken) in [
        ("endpoint: http://127.0.0.1:4317", "http://127.0.0.1:4317"),
        ("endpoint: \"http://[::1]:4317/\"", "http://[::1]:4317"),
        ("endpoint: http://c:4318/, protocol: http", "http://c:4318/v1/traces"),
        ("endpoint: http://c:4318/a/b, protocol: http", "http://c:4318/a/b"),
    ] {
        let config = good(&format!("telemetry: {{ otlp: {{ {written} }} }}"));
        assert_eq!(config.telemetry.otlp.unwrap().endpoint, taken, "{written}");
    }
}

#[test]
fn each_mistake_is_placed_and_says_what_would_be_right() {
    for (telemetry, path, part) in [
        ("b3: yes", "telemetry.b3", "write off, in or both"),
        ("b3: bot", "telemetry.b3", "did you mean both?"),
        ("canary_trace_sampling: 101%", "telemetry.canary_trace_sampling", "not a percentage"),
        ("keep_slower_than: 0s", "telemetry.keep_slower_than", "out of range"),
        ("otlp: {}", "telemetry.otlp", "\"endpoint\" is missing"),
        ("otlp: { endpoint: 127.0.0.1:4317 }", "telemetry.otlp.endpoint", "write http://HOST:PORT"),
        ("otlp: { endpoint: https://c:4317 }", "telemetry.otlp.endpoint", "can't be sent over TLS"),
        ("otlp: { endpoint: http://c }", "telemetry.otlp.endpoint", "does not name a host and a port"),
        ("otlp: { endpoint: http://u@c:4317 }", "telemetry.otlp.endpoint", "does not name a host and a port"),
        ("otlp: { endpoint: http://c:0 }", "telemetry.otlp.endpoint", "does not name a host and a port"),
        ("otlp: { endpoint: http://c:4317/v1/traces }", "telemetry.otlp.endpoint", "protocol: http"),
        ("otlp: { endpoint: http://c:1, protocol: udp }", "telemetry.otlp.protocol", "write grpc or http"),
        ("otlp: { endpoint: http://c:1, queue: 0 }", "telemetry.otlp.queue", "from 1 to 65536"),
        ("otlp: { endpoint: http://c:1, timeout: 0s }", "telemetry.otlp.timeout", "out of range"),
        ("otlp: { endpoint: http://c:1, headers: { a: hunter2 } }", "telemetry.otlp.headers.a", "clear text"),
        (
            "otlp: { endpoint: http://c:1, headers: { a: \"${NONE}\" } }",
            "telemetry.otlp.headers.a",
            "not set",
        ),
        (
            "otlp: { endpoint: http://c:1, headers: { a: \"${EMPTY}\" } }",
            "telemetry.otlp.headers.a",
            "EMPTY does",
        ),
        (
            "otlp: { endpoint: http://c:1, headers: { a: \"${TWO_LINES}\" } }",
            "telemetry.otlp.headers.a",
            "one line",
        ),
        (
            "otlp: { endpoint: http://c:1, headers: { \"a b\": \"${KEY}\" } }",
            "telemetry.otlp.headers",
            "not the name",
        ),
        (
            "otlp: { endpoint: http://c:1, headers: { Host: \"${KEY}\" } }",
            "telemetry.otlp.headers.Host",
            "can't be set",
        ),
        ("access_log: {}", "telemetry.access_log", "\"path\" is missing"),
        ("access_log: { path: \"\" }", "telemetry.access_log.path", "is empty"),
        ("access_log: { path: a, sample: 5 }", "telemetry.access_log.sample", "no unit"),
    ] {
        let problems = match read(&format!("telemetry: {{ {telemetry} }}")) {
            Ok(_) => panic!("nothing was found wrong with {telemetry}"),
            Err(problems) => problems,
        };
        let all: Vec<_> = problems.iter().collect();
        assert_eq!(all.len(), 1, "{telemetry}: {problems}");
        assert!(
            all[0].path.starts_with(path) && all[0].to_string().contains(part),
            "{telemetry}: {problems}"
        );
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
    }
}

#[test]
fn a_version_may_have_a_sampling_of_its_own() {
    let text = "listeners: [{ address: 127.0.0.1:8080 }]\nroutes: [{ service: shop }]\n\
        services: { shop: { stable: v1, versions: { v1: { endpoints: [127.0.0.1:9001] }, \
        v2: { endpoints: [127.0.0.1:9002], trace_sampling: 25% } } } }\n";
    let config = load(text, "f", Path::new("/etc/serin"), &Environment).unwrap();
    let shares: Vec<_> = config.catalogue.services()[0].versions.iter().map(|v| v.trace_sampling).collect();
    assert_eq!(shares, [None, Weight::from_ppm(250_000)]);
}
