//! A changed file: taken on SIGHUP and when it is seen to change; refused whole when anything in it is wrong.
//!
//! What a file may say is covered by `serin-config`; changes through the API by `weight_changes`.

use serde_json::{Value, json};
use serin_loadtest::{Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, two_versions},
    http,
    serin::Serin,
    until,
};

fn stub(version: &str) -> Stub {
    Stub::start(StubOptions { version: version.into(), ..StubOptions::default() }).unwrap()
}

fn all_to_v2(config: &Value) -> Value {
    let mut changed = config.clone();
    changed["services"][SERVICE]["split"] = json!({ "v1": "0%", "v2": "100%" });
    changed
}

fn served_by(serin: &Serin) -> String {
    serin.get("/").header("x-demo-version").to_owned()
}

#[test]
fn a_changed_file_is_taken_without_losing_a_request() {
    let _machine = beside();
    let (v1, v2) = (stub("v1"), stub("v2"));
    let serin = Serin::start(two_versions(v1.address(), v2.address(), "100%", "0%"));
    let schedule = Schedule::Constant(Rate::try_new(500.0).unwrap());
    let running = Load::new(serin.target(), Pace::Open(schedule), Stop::Never).start().unwrap();
    until(SOON, "the load runs", || v1.requests() > 100);
    assert_eq!(v2.requests(), 0);
    serin.replace_file(&all_to_v2(serin.config()).to_string());
    until(SOON, "the new split serves", || v2.requests() > 500);
    running.cancel();
    let report = running.blocking_report().unwrap();
    assert_eq!(report.tally.failed(), 0, "{:?}", report.tally);
    assert_eq!(report.tally.total(), v1.requests() + v2.requests());
    // Counters survive the change.
    until(SOON, "all requests are in the metrics", || {
        let metrics = serin.metrics();
        (metrics.requests("v1"), metrics.requests("v2")) == (v1.requests() as f64, v2.requests() as f64)
    });
}

#[test]
fn sighup_reads_the_file_again() {
    let _machine = beside();
    let (v1, v2) = (stub("v1"), stub("v2"));
    let serin = Serin::start(two_versions(v1.address(), v2.address(), "100%", "0%"));
    assert_eq!(served_by(&serin), "v1");
    let before = serin.metrics().sum("serin_config_reloads_total", &[("result", "success")]);
    serin.signal("HUP");
    until(SOON, "the reload is counted", || {
        serin.metrics().sum("serin_config_reloads_total", &[("result", "success")]) > before
    });
    serin.replace_file(&all_to_v2(serin.config()).to_string());
    serin.signal("HUP");
    until(SOON, "the new split serves", || served_by(&serin) == "v2");
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_in_log_metric_and_admin() {
    let _machine = beside();
    let (v1, v2) = (stub("v1"), stub("v2"));
    let serin = Serin::start(two_versions(v1.address(), v2.address(), "100%", "0%"));
    let plan = http::get(serin.admin, "/plan").unwrap().json();
    let mut bad = all_to_v2(serin.config());
    bad["routes"][0]["service"] = json!("shoop");
    bad["limits"]["drain_deadline"] = json!(30);
    serin.replace_file(&bad.to_string());
    until(SOON, "the refusal is counted", || {
        serin.metrics().sum("serin_config_reloads_total", &[("result", "failure")]) >= 1.0
    });
    assert_eq!(served_by(&serin), "v1");
    until(SOON, "both problems are in the log", || {
        let said = serin.stderr();
        said.contains("shoop") && said.contains("drain_deadline")
    });
    let shown = http::get(serin.admin, "/plan").unwrap().json();
    assert_eq!(shown["generation"], plan["generation"]);
    assert!(shown.to_string().contains("shoop"), "the admin API tells of the refusal: {shown}");
    // A good file after it is taken.
    serin.replace_file(&all_to_v2(serin.config()).to_string());
    until(SOON, "the new split serves", || served_by(&serin) == "v2");
}

#[test]
fn a_file_that_is_gone_is_told_and_its_return_clears_that() {
    let _machine = beside();
    let (v1, v2) = (stub("v1"), stub("v2"));
    let serin = Serin::start(two_versions(v1.address(), v2.address(), "100%", "0%"));
    let text = std::fs::read_to_string(serin.file()).unwrap();
    let problems = || http::get(serin.admin, "/plan").unwrap().json()["reload"]["problems"].clone();
    std::fs::remove_file(serin.file()).unwrap();
    until(SOON, "it is told that the file is gone", || problems().to_string().contains("no such file"));
    assert_eq!(served_by(&serin), "v1");
    serin.replace_file(&text);
    until(SOON, "all is well again", || problems() == json!([]));
}
