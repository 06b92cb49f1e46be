//! What a person meets first: exit codes and one-line errors, `check`, `schema`.
//!
//! The wording of each problem of a file is covered by `serin-config`; `demo` by its own runs.

use std::{
    fs,
    net::TcpListener,
    process::{Command, Output},
    time::Duration,
};

use serde_json::{Value, json};
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{
    beside,
    config::{one_version, two_versions},
    free_addresses,
    process::Process,
    serin::binary,
};

fn output(arguments: &[&str]) -> Output {
    binary().args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A file for `serin run`, on free ports.
fn file(directory: &tempfile::TempDir, adjust: impl FnOnce(&mut Value)) -> String {
    let [web, admin, api, v1, v2] = free_addresses();
    let [v1, v2] = [v1, v2].map(serin_config::Address::Tcp);
    let mut config = two_versions(&v1, &v2, "90%", "10%");
    config["listeners"] = json!([{ "name": "web", "address": web.to_string() }]);
    config["admin"]["address"] = admin.to_string().into();
    config["control"]["address"] = api.to_string().into();
    adjust(&mut config);
    let path = directory.path().join("serin.yaml");
    fs::write(&path, config.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs `serin run`, which must refuse to start: exit code 2 and one line.
fn refused(path: &str) -> String {
    let mut command: Command = binary();
    let mut process = Process::start(command.args(["run", "-c", path]), "it is built with the tests");
    let status = process.wait(Duration::from_secs(20), "serin refuses to start");
    let said = process.stderr();
    assert_eq!(status.code(), Some(2), "{said}");
    // What it did before is in the log; the last word is the reason.
    let reasons: Vec<&str> = said.lines().filter(|line| line.starts_with("serin: ")).collect();
    assert_eq!(reasons.len(), 1, "one line says what is wrong: {said}");
    assert!(said.trim_end().ends_with(reasons[0]), "{said}");
    reasons[0].to_owned()
}

#[test]
fn a_port_in_use_is_one_line_and_exit_code_2() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    for part in ["web", "admin", "control"] {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let path = file(&directory, |config| match part {
            "web" => config["listeners"][0]["address"] = json!(address),
            _ => config[part]["address"] = json!(address),
        });
        let line = refused(&path);
        assert!(line.contains(&address) && line.contains("in use"), "{part}: {line}");
    }
}

#[test]
fn an_unreadable_file_or_missing_directory_is_one_line_and_exit_code_2() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere.yaml");
    let line = refused(nowhere.to_str().unwrap());
    assert!(line.contains("nowhere.yaml"), "{line}");
    let path = file(&directory, |config| config["control"]["state"] = json!("missing/state.redb"));
    let line = refused(&path);
    assert!(line.contains("missing"), "{line}");
}

#[test]
fn check_sums_up_a_good_file_and_exits_with_zero() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let output = output(&["check", "-c", &file(&directory, |_| {})]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("shop") && told.contains("v1") && told.contains("10%"), "{told}");
    assert!(told.lines().count() <= 40, "one screen: {told}");
}

#[test]
fn check_names_ten_mistakes_with_line_and_column() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wrong.yaml");
    let text = "\
listeners:
  - {name: web, address: \"127.0.0.1:8080\"}
  - {name: other, address: \"127.0.0.1:8080\"}
routes:
  - {name: shop, path_prefix: /, service: shoop}
  - {name: api, path_prefix: api, service: shop}
services:
  shop:
    versions:
      v1: {endpoints: [\"localhost:9001\"]}
      v2: {endpoints: [\"127.0.0.1:9002\"]}
    stable: v1
    canary: v3
    split: {v1: 90%, v2: 20%}
    timeouts: {header: 15}
    rollout: {steps: [{weigth: 10%}]}
admin: {address: \"0.0.0.0:9901\"}
limits: {workers: many}
";
    fs::write(&path, text).unwrap();
    let output = output(&["check", "-c", path.to_str().unwrap()]);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    // (line, column) of each mistake, and a word that its message must have.
    let mistakes = [
        ((3, 28), "8080"),
        ((5, 43), "shoop"),
        ((6, 30), "api"),
        ((10, 24), "localhost"),
        ((13, 13), "v3"),
        ((14, 12), "110%"),
        ((15, 24), "unit"),
        ((16, 24), "weigth"),
        ((17, 18), "loopback"),
        ((18, 19), "many"),
    ];
    for ((line, column), word) in mistakes {
        let place = format!("wrong.yaml:{line}:{column}");
        assert!(
            told.lines().any(|told| told.contains(&place) && told.contains(word)),
            "no line with \"{place}\" and \"{word}\":\n{told}"
        );
    }
}

#[test]
fn schema_is_json_schema_that_knows_the_fields() {
    let _machine = beside();
    let output = output(&["schema"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["$schema"].as_str().is_some_and(|uri| uri.contains("json-schema.org")), "{schema}");
    assert!(schema.to_string().contains("drain_deadline"));
    for (file, field) in [("mix", "body_file"), ("budgets", "warn_at"), ("experiment", "recovers_within")] {
        let output = self::output(&["schema", file]);
        let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(schema.to_string().contains(field), "{schema}");
    }
}

#[test]
fn metrics_pass_promtool() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = crate::harness::serin::Serin::start(one_version(stub.address()));
    assert_eq!(serin.get("/").status, 200);
    crate::harness::until(crate::harness::SOON, "the request is counted", || {
        serin.metrics().sum("serin_requests_total", &[]) >= 1.0
    });
    let text = crate::harness::http::get(serin.admin, "/metrics").unwrap().body;
    crate::harness::tools::promtool_check(&text);
}
