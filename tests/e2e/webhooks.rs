//! Webhooks around steps, by a real `serin run`: a gate that is closed, opened, and changed by a reload; a gate that hangs
//! while the canary fails.
//!
//! What each answer means is covered with the planner, what is sent and how it is read with the API.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};
use serin_loadtest::{Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, two_versions},
    endpoint::{Endpoint, ok, read_request},
    http,
    serin::{Serin, binary},
    until,
};

fn url(endpoint: &Endpoint) -> String {
    format!("http://{}/gate", endpoint.address())
}

fn file(stubs: &[Stub; 2], webhook: &Value) -> Value {
    let mut config = two_versions(stubs[0].address(), stubs[1].address(), "100%", "0%");
    config["services"][SERVICE]["rollout"] = json!({ "preset": "fast", "steps": [
        { "weight": "10%", "until": "time", "min_duration": "2h" },
    ] });
    config["webhooks"] = json!({ "gate": webhook });
    config
}

fn start(serin: &Serin) {
    serin.control().start_rollout();
}

fn steer(serin: &Serin, action: &Value) -> Value {
    let path = format!("/v1/services/{SERVICE}/rollout");
    let reply = http::call(serin.api, "POST", &path, Some(action)).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

#[test]
fn a_rollout_begins_when_its_webhook_allows_and_a_reload_names_another_one() {
    let _machine = beside();
    let stubs = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
    let is_open = Arc::new(AtomicBool::new(false));
    let opened = is_open.clone();
    let gate = Endpoint::answering(move |_| {
        let (decision, reason) =
            if opened.load(Ordering::Relaxed) { ("allow", "") } else { ("wait", "the tests run") };
        ok(&json!({ "decision": decision, "reason": reason }).to_string())
    });
    let serin = Serin::start(file(&stubs, &json!({ "url": url(&gate), "interval": "1s" })));
    start(&serin);
    let status = || {
        let mut command = binary();
        command.args(["rollout", "status", SERVICE, "--api", &serin.api.to_string()]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let waits = "Waits for webhook gate (before step 1): asked";
    until(SOON, "it is said who is waited for", || {
        let said = status();
        said.contains(waits) && said.contains("last answer: wait: the tests run.")
    });
    assert_eq!(serin.control().rollout()["weight"], "0%");
    is_open.store(true, Ordering::Relaxed);
    until(SOON, "the canary has its first share", || serin.control().rollout()["weight"] == "10%");
    let first = gate.all().remove(0).1;
    let ids: Vec<Value> = gate
        .all()
        .iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()["id"].clone())
        .collect();
    let first: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!((&first["when"], &first["step"]), (&json!("before_step"), &json!(1)));
    assert!(ids.iter().all(|id| *id == first["id"]), "one question has one id: {ids:?}");

    // Another gate, asked at the step that has begun: nothing is restarted, and it says no.
    let other = Endpoint::answering(|_| ok(r#"{"decision":"deny","reason":"orders are lost"}"#));
    let mut changed = serin.config().clone();
    changed["webhooks"] = json!({ "orders": { "url": url(&other), "on": ["at_step"] } });
    serin.replace_file(&changed.to_string());
    until(SOON, "the canary is out", || serin.control().rollout()["state"] == "rolled_back");
    let decisions = serin.control().journal();
    let reason = "webhook orders (at step 1) does not allow it: deny: orders are lost";
    assert_eq!((&decisions[0]["actor"], &decisions[0]["reason"]), (&json!("webhook"), &json!(reason)));
}

#[test]
fn a_webhook_that_hangs_delays_no_rollback() {
    let _machine = beside();
    let good = Stub::start(StubOptions::default()).unwrap();
    let bad = Endpoint::answering(|_| b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_vec());
    // It takes the question and says nothing until it is given up.
    let silent = Endpoint::scripted(|wire, seen| {
        read_request(wire, seen)?;
        match read_request(wire, seen)? {
            None => Ok(()),
            Some(_) => Err(io::Error::other("a second question on one connection")),
        }
    });
    let mut config = two_versions(good.address(), bad.address(), "100%", "0%");
    config["services"][SERVICE]["rollout"] =
        json!({ "preset": "fast", "steps": [{ "weight": "50%" }], "probe": false });
    config["webhooks"] = json!({ "silent": {
        "url": url(&silent), "on": ["at_step", "after_step"], "timeout": "60s",
    } });
    let serin = Serin::start(config);
    let schedule = Schedule::Constant(Rate::try_new(200.0).unwrap());
    let running = Load::new(serin.target(), Pace::Open(schedule), Stop::Never).start().unwrap();
    start(&serin);
    until(SOON, "the gate is asked", || silent.requests() > 0);
    until(SOON, "the canary is out", || serin.control().rollout()["state"] == "rolled_back");
    assert_eq!(silent.closed(), 0, "nobody had waited for it");
    running.cancel();
    let _ = running.blocking_report();
    let promoted = steer(&serin, &json!({ "action": "retry" }));
    assert_eq!(promoted["weights"]["v2"], "50%", "a step that is asked about at it begins at once");
    assert_eq!(steer(&serin, &json!({ "action": "abort" }))["weights"]["v2"], "0%");
}
