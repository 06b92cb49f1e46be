//! The API over real sockets, with the thread and the channels behind it.
//!
//! What is decided is covered beside the planner; that it survives a crash or a full disk, beside the keeper.
#![cfg(test)]

#[path = "../../src/fixtures.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod fixtures;

mod audit;
mod conformance;
mod groups;
mod identity;
mod notifications;
mod roles;
mod sight;
mod watching;
mod webhooks;
mod world;

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::Arc,
};

use fixtures::{canary_share, catalogue, config, report, shop, split, weight};
use serde_json::{Value, json};
use serin_config::{
    Address, Service,
    policy::{CountedBy, Direction, EventGuard},
    secret::Secret,
    wire::Report,
};
use serin_control::{ControlPlane, OpenError, ServeError};
use world::{Reply, SOON, World, shop_in, until};

#[test]
fn weights_are_read_set_and_journalled() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let service = world.get("/v1/services/shop").json();
    assert_eq!(service["weights"], json!({ "v1": "100%", "v2": "0%" }));
    let generation = service["generation"].as_u64().unwrap();

    let body =
        json!({ "weights": { "v1": "97.5%", "v2": "2.5%" }, "if_generation": generation, "reason": "try" });
    let set = world.call("PUT", "/v1/services/shop/weights", Some(&body));
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.json()["generation"], generation + 1);
    assert_eq!(set.json()["stored"], true);
    assert_eq!(canary_share(world.pushed.lock().unwrap().last().unwrap()), weight("2.5%"));

    let stale = world.call("PUT", "/v1/services/shop/weights", Some(&body));
    assert_eq!(stale.problem(409), "stale-generation");
    let current = &stale.json()["current"];
    assert_eq!(current["generation"], generation + 1);
    assert_eq!(current["services"]["shop"]["weights"]["v2"], "2.5%");

    assert_eq!(world.get("/v1/plan").json()["generation"], generation + 1);
    let list = world.get("/v1/services").json();
    assert_eq!(list["services"][0]["weights"]["v1"], "97.5%");
    let journal = world.get("/v1/journal?service=shop&limit=1").json();
    let entry = &journal["entries"][0];
    assert_eq!(
        (&entry["actor"], &entry["action"], &entry["reason"]),
        (&json!("api"), &json!("set_weights"), &json!("try"))
    );
    assert_eq!(entry["from"]["v2"], "0%");
    assert_eq!(entry["to"]["v2"], "2.5%");
    let before = entry["sequence"].as_u64().unwrap();
    let earlier = world.get(&format!("/v1/journal?before={before}")).json();
    assert_eq!(earlier["entries"][0]["sequence"], before - 1);

    let export = world.send("GET", "/v1/journal?service=shop", "accept: application/x-ndjson\r\n", "");
    assert!(export.head.contains("content-type: application/x-ndjson"), "{export:?}");
    // Around the lines stand the lengths of the pieces in which they were sent.
    let lines = export.body.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 1 && lines[0]["sequence"] == 1, "the oldest first: {lines:?}");
    assert_eq!(lines.last().unwrap(), entry);
    let newest = world.send("GET", "/v1/journal?limit=1", "accept: application/x-ndjson\r\n", "");
    assert_eq!(newest.body.lines().filter(|line| line.starts_with('{')).count(), 1);
    world.stop();
}

#[test]
fn a_rollout_is_steered_and_a_failing_canary_rolled_back_and_explained() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    assert_eq!(world.get("/v1/services/shop/rollout").problem(404), "no-rollout");
    assert_eq!(world.steer(&json!({ "action": "pause" })).problem(409), "no-rollout");
    assert_eq!(world.steer(&json!({ "action": "start", "reason": "v2 is out" })).status, 200);
    assert_eq!(world.steer(&json!({ "action": "start" })).problem(409), "rollout-in-progress");
    assert_eq!(world.steer(&json!({ "action": "pause" })).json()["rollout"]["state"], "paused");
    assert_eq!(world.steer(&json!({ "action": "resume" })).json()["rollout"]["state"], "running");
    assert_eq!(world.steer(&json!({ "action": "resume" })).problem(409), "rollout-state");
    assert_eq!(world.steer(&json!({ "action": "pause", "full": true })).problem(422), "full-without-promote");
    let next = world.steer(&json!({ "action": "promote" })).json();
    assert_eq!((&next["rollout"]["step"], &next["weights"]["v2"]), (&json!(1), &json!("50%")));

    let reports = world.handle.reports();
    let generation = serin_config::Generation(next["generation"].as_u64().unwrap());
    for sequence in 1..=60 {
        let window = report(sequence, generation, (500, 250), (500, 0));
        reports.blocking_send(Report::Window(window)).unwrap();
    }
    until("the rollback", || world.get("/v1/services/shop/rollout").json()["state"] == "rolled_back");
    assert_eq!(world.get("/v1/services/shop").json()["weights"]["v2"], "0%");
    assert_eq!(canary_share(world.pushed.lock().unwrap().last().unwrap()), weight("0%"));

    let rollout = world.get("/v1/services/shop/rollout").json();
    assert_eq!(rollout["verdict"]["state"], "fail");
    let text = world.get("/v1/services/shop/rollout/explain");
    assert!(text.head.contains("content-type: text/plain"), "{text:?}");
    for part in ["Rollout 1 of service shop", "v2 is out", "roll back", "Rolled back: "] {
        assert!(text.body.contains(part), "no \"{part}\" in:\n{}", text.body);
    }
    let told =
        world.send("GET", "/v1/services/shop/rollout/explain", "accept: application/json\r\n", "").json();
    assert_eq!(told["lines"].as_array().unwrap().len(), text.body.lines().count());
    assert_eq!(told["journal"].as_array().unwrap().last().unwrap()["action"], "roll_back");
    world.stop();
}

#[test]
fn a_rollout_is_skipped_through_promoted_undone_tried_again_and_listed() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    assert_eq!(world.steer(&json!({ "action": "retry" })).problem(409), "no-rollout");
    assert_eq!(world.steer(&json!({ "action": "undo" })).problem(409), "no-rollout");
    world.steer(&json!({ "action": "start" }));
    assert_eq!(world.steer(&json!({ "action": "undo" })).problem(409), "rollout-state");
    assert_eq!(world.steer(&json!({ "action": "skip" })).json()["weights"]["v2"], "50%");
    assert_eq!(world.steer(&json!({ "action": "skip" })).problem(409), "rollout-state");
    assert_eq!(world.steer(&json!({ "action": "promote" })).json()["weights"]["v2"], "100%");
    assert_eq!(world.steer(&json!({ "action": "retry" })).problem(409), "nothing-to-retry");
    let undone = world.steer(&json!({ "action": "undo", "reason": "v2 leaks memory" }));
    assert_eq!(undone.json()["weights"], json!({ "v1": "100%", "v2": "0%" }));
    assert_eq!(undone.json()["rollout"]["state"], "undone");
    assert_eq!(canary_share(world.pushed.lock().unwrap().last().unwrap()), weight("0%"));
    let again = world.steer(&json!({ "action": "retry" })).json();
    assert_eq!((&again["rollout"]["id"], &again["weights"]["v2"]), (&json!(2), &json!("10%")));

    let list = |query: &str| world.get(&format!("/v1/rollouts{query}")).json()["rollouts"].clone();
    let told: Vec<(Value, Value, Value)> = list("?service=shop")
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["id"].clone(), row["state"].clone(), row["live"].clone()))
        .collect();
    assert_eq!(told, [(json!(2), json!("running"), json!(true)), (json!(1), json!("undone"), json!(false))]);
    assert_eq!(list("?limit=1")[0]["id"], 2);
    assert_eq!(list("?before=2")[0]["summary"], "undone by hand after its promotion");
    assert_eq!(world.get("/v1/rollouts?service=blog").problem(404), "no-such-service");
    assert_eq!(world.get("/v1/rollouts?limit=0").problem(400), "malformed-query");
    world.stop();
}

#[test]
fn events_that_somebody_else_counts_roll_a_canary_back() {
    let directory = tempfile::tempdir().unwrap();
    let event = serin_config::EventName::try_new("refund").unwrap();
    let (bad, counted_by) = (Direction::More, CountedBy::Push);
    let mut service = shop();
    service.rollout.guards.events = vec![EventGuard { event, bad, ratio: 1.2, counted_by }];
    let world = World::start(&config(vec![service], directory.path().join("state.redb")));
    let path = "/v1/services/shop/events";
    let refunds = |event: &str, count: u64| {
        let versions = json!({
            "v1": { "requests": 900, "count": 9 },
            "v2": { "requests": 100, "count": count },
        });
        world.call("POST", path, Some(&json!({ "event": event, "versions": versions })))
    };
    assert_eq!(refunds("order", 1).problem(422), "no-such-event");
    assert_eq!(refunds("refund", 101).problem(422), "more-events-than-requests");
    let stable = json!({ "event": "refund", "versions": { "v1": { "requests": 9, "count": 0 } } });
    assert_eq!(world.call("POST", path, Some(&stable)).problem(422), "version-missing");
    let early = refunds("refund", 20);
    assert_eq!((early.status, &early.json()["rollout"]), (202, &json!(null)), "nothing is compared yet");

    let begun = world.steer(&json!({ "action": "start" })).json();
    let generation = serin_config::Generation(begun["generation"].as_u64().unwrap());
    let reports = world.handle.reports();
    for sequence in 1..=30 {
        let told = refunds("refund", 20);
        assert_eq!((told.status, &told.json()["rollout"]), (202, &json!(1)), "second {sequence}");
        reports.blocking_send(Report::Window(report(sequence, generation, (100, 0), (900, 0)))).unwrap();
        let at = || world.get("/v1/services/shop/rollout").json();
        let judged = |rollout: &Value| rollout["verdict"]["seconds"].as_u64() >= Some(sequence);
        until("the second is judged", || judged(&at()) || at()["live"] == false);
        if at()["live"] == false {
            break;
        }
    }
    let text = world.get("/v1/services/shop/rollout/explain").body;
    assert!(text.contains("Rolled back: \"refund\" came with "), "{text}");
    world.stop();
}

#[test]
fn the_windows_of_a_rollout_can_be_taken_out_as_lines() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&config(vec![shop()], directory.path().join("state.redb")));
    let started = world.steer(&json!({ "action": "start" })).json();
    let generation = serin_config::Generation(started["generation"].as_u64().unwrap());
    let reports = world.handle.reports();
    for sequence in 1..=4 {
        let window = report(sequence, generation, (5, 1), (50, 0));
        reports.blocking_send(Report::Window(window)).unwrap();
    }
    let judged = || world.get("/v1/services/shop/rollout").json()["verdict"]["seconds"] == 4;
    until("four seconds are judged", judged);
    assert_eq!(world.steer(&json!({ "action": "abort" })).status, 200);
    for path in ["/v1/services/shop/rollouts/1/windows", "/v1/rollouts/1/windows"] {
        let told = world.get(path);
        assert_eq!(told.status, 200, "{told:?}");
        assert!(told.head.contains("content-type: application/x-ndjson"), "{told:?}");
        for (kind, times) in [("run", 1), ("win", 4), ("end", 1)] {
            let lines = told.body.matches(&format!("{{\"type\":\"{kind}\"")).count();
            assert_eq!(lines, times, "{kind}: {told:?}");
        }
    }
    assert_eq!(world.get("/v1/services/shop/rollouts/2/windows").problem(404), "no-windows");
    assert_eq!(world.get("/v1/services/none/rollouts/1/windows").problem(404), "no-such-service");
    assert_eq!(world.get("/v1/rollouts/7/windows").problem(404), "no-windows");
    assert_eq!(world.get("/v1/rollouts/first/windows").problem(400), "malformed-path");
    world.stop();
}

#[test]
fn what_is_wrong_with_a_request_is_said_before_anything_changes() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let weights = "/v1/services/shop/weights";
    let json = "content-type: application/json\r\n";
    let put = |body: &str| world.send("PUT", weights, json, body);

    assert_eq!(world.get("/v2").problem(404), "no-such-path");
    assert_eq!(world.get("/v1/services/blog").problem(404), "no-such-service");
    assert_eq!(world.get("/v1/services/%20").problem(404), "no-such-service");
    assert_eq!(world.get("/v1/services/%ff").problem(400), "malformed-path");
    assert_eq!(world.get("/v1/services/%73hop").status, 200, "an escaped name is that name");
    assert_eq!(world.send("PUT", "/v1/services/%ff/weights", json, "{}").problem(400), "malformed-path");
    let deleted = world.call("DELETE", weights, None);
    assert_eq!(deleted.problem(405), "wrong-method");
    assert!(deleted.head.contains("allow: get,head,put"), "{deleted:?}");
    let head = world.call("HEAD", "/v1/plan", None);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(world.get("/v1/journal?limit=0").problem(400), "malformed-query");
    assert_eq!(world.get("/v1/journal?colour=red").problem(400), "malformed-query");
    let malformed = put("{\n  \"weights\": nonsense }");
    assert_eq!(malformed.problem(400), "malformed-body");
    assert_eq!(malformed.json()["line"], 2);
    assert_eq!(
        put(r#"{"weights":{"v1":"100%"},"if_generation":1,"force":true}"#).problem(400),
        "malformed-body"
    );
    assert_eq!(put(r#"{"weights":{"v1":"100"},"if_generation":1}"#).problem(400), "malformed-body");
    let missing = put(r#"{"weights":{"v1":"100%"}}"#);
    assert_eq!(missing.problem(428), "generation-required");
    assert_eq!(missing.json()["generation"], 1);
    assert_eq!(put(r#"{"weights":{"v1":"99%"},"if_generation":1}"#).problem(422), "not-a-split");
    assert_eq!(put(r#"{"weights":{"v1":"50%","v1":"50%"},"if_generation":1}"#).problem(422), "not-a-split");
    assert_eq!(put(r#"{"weights":{"v9":"100%"},"if_generation":1}"#).problem(422), "no-such-version");
    assert_eq!(put(&format!("\"{}\"", "x".repeat(70_000))).problem(413), "body-too-large");
    assert_eq!(world.send("PUT", weights, "content-type: text/plain\r\n", "{}").problem(415), "not-json");
    let rebound = world.send("GET", "/v1/plan", "host: evil.example\r\n", "");
    assert_eq!(rebound.problem(421), "host-refused");
    assert_eq!(world.send("GET", "/v1/plan", "host: localhost:1\r\n", "").status, 200);

    assert_eq!(world.get("/v1/plan").json()["generation"], 1);
    assert!(world.pushed.lock().unwrap().is_empty());
    world.stop();
}

#[test]
fn with_a_token_nobody_else_reads_or_writes() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = shop_in(directory.path());
    config.control.token = Some(Secret::new("open sesame".into()));
    let world = World::start(&config);
    let with = |header: &str| world.send("GET", "/v1/plan", header, "");
    let refused = with("");
    assert_eq!(refused.problem(401), "unauthorized");
    assert!(refused.head.contains("www-authenticate: bearer"), "{refused:?}");
    assert_eq!(with("authorization: Bearer open\r\n").problem(401), "unauthorized");
    assert_eq!(with("authorization: Basic open sesame\r\n").problem(401), "unauthorized");
    assert_eq!(with("authorization: Bearer open sesame\r\n").status, 200);
    assert_eq!(with("authorization: Bearer open sesame\r\nhost: control.example\r\n").status, 200);
    assert_eq!(world.send("GET", "/nowhere", "", "").problem(401), "unauthorized");
    world.stop();
}

#[test]
fn the_api_listens_on_a_unix_socket_and_replaces_a_dead_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let mut config = shop_in(directory.path());
    config.control.address = Address::Unix(path.clone());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let world = World::start(&config);
    let request = "GET /v1/plan HTTP/1.1\r\nhost: serin\r\nconnection: close\r\n\r\n";
    assert_eq!(Reply::to(UnixStream::connect(&path).unwrap(), request).status, 200);
    world.stop();
    assert!(!path.exists(), "the socket's file is taken away");
}

#[test]
fn what_stands_against_a_start_is_told_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let config = shop_in(directory.path());
    let world = World::start(&config);
    let locked = ControlPlane::open(&config, 1).unwrap_err();
    assert!(matches!(locked, OpenError::Store(_)) && locked.to_string().contains("in use"), "{locked}");

    let mut second = shop_in(directory.path());
    second.control.state = directory.path().join("second.redb");
    second.control.address = world.handle.address();
    let control = ControlPlane::open(&second, 1).unwrap();
    let taken = world.runtime.block_on(control.serve(Box::new(|_| {}))).unwrap_err();
    assert!(matches!(taken, ServeError::InUse(_)) && taken.to_string().contains("in use"), "{taken}");
    world.stop();
    ControlPlane::open(&config, 1).unwrap();
}

#[test]
fn a_reload_is_taken_or_refused_whole_and_a_restart_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let config = shop_in(directory.path());
    let world = World::start(&config);
    world.steer(&json!({ "action": "start" }));
    let changed = || catalogue(vec![Service { split: split("v2 1% v1 99%"), ..shop() }]);
    let refused = world.runtime.block_on(world.handle.reload(changed())).unwrap_err();
    assert!(refused.to_string().contains("shop") && refused.to_string().contains("abort"), "{refused}");
    let generation = world.get("/v1/plan").json()["generation"].as_u64().unwrap();
    world.stop();

    let world = World::start(&config);
    let plan = world.get("/v1/plan").json();
    assert!(plan["generation"].as_u64().unwrap() > generation);
    assert_eq!(plan["services"][0]["weights"]["v2"], "10%");
    assert_eq!(world.get("/v1/services/shop/rollout").json()["state"], "running");
    world.steer(&json!({ "action": "abort" }));
    let plan = world.runtime.block_on(world.handle.reload(changed())).unwrap();
    assert_eq!(canary_share(&plan), weight("1%"));
    assert!(Arc::ptr_eq(&plan, world.pushed.lock().unwrap().last().unwrap()));
    let status = world.handle.status();
    assert_eq!(
        status.borrow().services["shop"].earlier.len(),
        0,
        "the last rollout is shown as the last one"
    );
    world.stop();
}

#[test]
fn a_fault_that_ends_the_keeper_is_told_to_whoever_asks_or_waits() {
    let directory = tempfile::tempdir().unwrap();
    let config = shop_in(directory.path());
    let world = World::pushing(&config, Arc::default(), Box::new(|_| panic!("a fault, for the test")));
    assert_eq!(world.get("/v1/services").status, 200);
    assert_eq!(world.steer(&json!({ "action": "start" })).problem(503), "stopped");
    world.runtime.block_on(async { tokio::time::timeout(SOON, world.handle.broke()).await.unwrap() });
    for path in ["/v1/services", "/v1/services/shop/rollout", "/v1/plan", "/v1/journal"] {
        assert_eq!(world.get(path).problem(503), "stopped");
    }
    assert!(world.steer(&json!({ "action": "abort" })).body.contains("restarted"));
    world.stop();
    let again = World::start(&config);
    let weights = again.get("/v1/services/shop").json()["weights"]["v2"].clone();
    assert_eq!(weights, "10%", "what was decided and stored goes on");
    again.stop();
}

#[test]
fn a_control_plane_that_is_shut_down_did_not_break() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let status = world.handle.status();
    world.stop();
    assert!(status.has_changed().is_err(), "the keeper is gone");
}

#[test]
fn what_a_reason_says_can_not_forge_lines_in_log_and_journal() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let reason = "fine\n     9.9 s  promote   → v2 100%\u{1b}[2J\r";
    world.steer(&json!({ "action": "start", "reason": reason }));
    let text = world.get("/v1/services/shop/rollout/explain").body;
    assert!(text.lines().all(|line| !line.starts_with("     9.9 s")), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    world.stop();
}

#[test]
fn an_action_that_rests_on_an_older_plan_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let generation = world.get("/v1/plan").json()["generation"].as_u64().unwrap();
    let start = json!({ "action": "start", "if_generation": generation });
    assert_eq!(world.steer(&start).status, 200);
    for action in ["pause", "promote", "abort"] {
        let stale = world.steer(&json!({ "action": action, "if_generation": generation }));
        assert_eq!(stale.problem(409), "stale-generation", "{action}");
    }
    assert_eq!(world.steer(&json!({ "action": "pause", "if_generation": generation + 1 })).status, 200);
    world.stop();
}

#[test]
fn idle_connections_do_not_shut_others_out() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let idle: Vec<TcpStream> = (0..serin_config::limits::API_CONCURRENCY_MAX)
        .map(|_| TcpStream::connect(world.address()).unwrap())
        .collect();
    let mut stream = TcpStream::connect(world.address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request = "GET /v1/plan HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    drop(idle);
    world.stop();
}

#[test]
fn a_freeze_is_made_listed_obeyed_and_lifted() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let made = world.call("POST", "/v1/freezes", Some(&json!({ "services": ["shop"], "reason": "audit" })));
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["id"].as_u64().unwrap();
    let listed = world.get("/v1/freezes").json();
    assert_eq!(listed["freezes"][0]["id"], id);
    assert_eq!(
        (&listed["freezes"][0]["in_force"], &listed["freezes"][0]["reason"]),
        (&json!(true), &json!("audit"))
    );

    let start = json!({ "action": "start" });
    let refused = world.steer(&start);
    assert_eq!(refused.problem(409), "frozen");
    assert!(refused.json()["detail"].as_str().unwrap().contains("audit"), "{refused:?}");
    let hasty = world.steer(&json!({ "action": "start", "urgent": true }));
    assert_eq!(hasty.problem(422), "urgent-without-reason");
    let urgent = world.steer(&json!({ "action": "start", "urgent": true, "reason": "CVE-2026-1" }));
    assert_eq!(urgent.status, 200, "{urgent:?}");
    assert_eq!(world.steer(&json!({ "action": "approve" })).problem(409), "rollout-state");
    let lines = world.get("/v1/services/shop/rollout/explain").body;
    assert!(lines.contains("in spite of freeze") && lines.contains("urgent: CVE-2026-1"), "{lines}");
    assert_eq!(world.steer(&json!({ "action": "abort" })).status, 200);

    assert_eq!(world.call("DELETE", "/v1/freezes/weekend", None).problem(404), "no-such-freeze");
    assert_eq!(world.call("DELETE", &format!("/v1/freezes/{id}"), None).status, 204);
    assert_eq!(world.call("DELETE", &format!("/v1/freezes/{id}"), None).problem(404), "no-such-freeze");
    assert_eq!(world.steer(&start).status, 200);
    let past = world.call("POST", "/v1/freezes", Some(&json!({ "until_ms": 1 })));
    assert_eq!(past.problem(422), "freeze-in-the-past");
    world.stop();
}
