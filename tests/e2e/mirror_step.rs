//! Rollouts that begin with copies: a canary is judged by them before it has a user.
//!
//! How copies are made and bounded is covered by [`crate::mirror`], what is judged of them by `serin-judge`.

use serde_json::{Value, json};
use serin_config::Weight;
use serin_loadtest::{Load, Pace, Rate, Running, Schedule, Stop, Stub, StubOptions, Target};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, two_versions},
    control::Control,
    endpoint::{Endpoint, ok},
    eventually,
    fleet::{Edge, Plane},
    http,
    serin::{Serin, binary},
    until,
    wire::Wire,
};

fn stubs() -> [Stub; 2] {
    [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap())
}

/// All traffic to v1, and this rollout for v2.
fn catalogue(stubs: &[Stub; 2], rollout: Value) -> Value {
    let mut config = two_versions(stubs[0].address(), stubs[1].address(), "100%", "0%");
    config["services"][SERVICE]["rollout"] = rollout;
    config
}

fn load(target: Target, rate: f64) -> Running {
    let schedule = Schedule::Constant(Rate::try_new(rate).unwrap());
    Load::new(target, Pace::Open(schedule), Stop::Never).start().unwrap()
}

/// Ends a load; how many of its requests failed.
fn failed(load: Running) -> u64 {
    load.cancel();
    load.blocking_report().unwrap().tally.failed()
}

/// The share that is copied by the plan of a control plane.
fn mirror(control: Control) -> Value {
    let plan = http::get(control.0, "/v1/plan").unwrap().json();
    plan["services"][0]["mirror"].clone()
}

fn explained(control: Control) -> String {
    http::get(control.0, &format!("/v1/services/{SERVICE}/rollout/explain")).unwrap().body
}

fn rolled_back(control: Control) -> Value {
    until(SOON, "the canary is taken out", || control.rollout()["live"] == false);
    let journal = control.journal();
    journal.into_iter().find(|entry| entry["action"] == "roll_back").expect("an entry")
}

#[test]
fn a_canary_that_fails_its_copies_is_out_and_no_user_saw_it() {
    let _machine = beside();
    let stubs = stubs();
    stubs[1].set_error_ppm(1_000_000);
    // What takes it out is the evidence, though rollbacks are held: who has no users can be taken from none.
    let rollout = json!({
        "steps": [{ "mirror": "50%", "min_duration": "1h", "max_duration": "2h" }, { "weight": "5%" }],
        "rollback": { "hold": "v1 can't read what v2 writes" },
    });
    let serin = Serin::start(catalogue(&stubs, rollout));
    let load = load(serin.target(), 200.0);
    serin.control().start_rollout();
    let entry = rolled_back(serin.control());
    let reason = entry["reason"].as_str().unwrap();
    assert!(reason.contains("no user got an answer of v2"), "{reason}");
    assert_eq!((&entry["actor"], &entry["state"]["why"]), (&json!("judge"), &json!("copies")));
    assert_eq!(failed(load), 0);
    assert!(stubs[1].failures() > 0);
    assert_eq!(serin.metrics().requests("v2"), 0.0, "no copy is anybody's traffic");
    let begun = &serin.control().journal()[1];
    assert_eq!((&begun["action"], &begun["mirror"]), (&json!("start"), &json!("50%")), "{begun}");
    assert_eq!(mirror(serin.control()), json!("0%"));
    let words = explained(serin.control());
    assert!(
        words.contains("Rolled back: v2 failed") && words.contains("No user got an answer of v2."),
        "{words}"
    );
    // Its windows are judged again to the same second, and so by a policy without a mirror step.
    let seconds = serin.control().rollout()["verdict"]["seconds"].clone();
    let arguments = ["rollout", "replay", "1", "--json", "--api", &serin.api.to_string()];
    let replayed = binary().args(arguments).arg("--policy").arg(serin.file()).output().unwrap();
    assert!(replayed.status.success(), "{replayed:?}");
    let replayed: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert!(replayed["failed_copies"].as_u64() > Some(0), "{replayed}");
    for row in ["serin, shop", "serin, balanced"] {
        let rows = replayed["rows"].as_array().unwrap();
        let row = rows.iter().find(|found| found["name"] == row).unwrap();
        assert_eq!(
            (&row["decision"], &row["failed_requests"]),
            (&json!("rollback"), &json!(0)),
            "{replayed}"
        );
        assert_eq!(row["at_second"], seconds, "{replayed}");
    }
}

#[test]
fn a_canary_that_hangs_is_out_by_the_proxys_own_wire_and_holds_no_more_than_it_may() {
    let _machine = beside();
    let stubs = stubs();
    stubs[1].set_hang(true);
    let rollout = json!({
        "steps": [{ "mirror": "100%", "min_duration": "1h", "max_duration": "2h" }, { "weight": "5%" }],
        "mirror": { "timeout": "300ms", "max_in_flight": 9 },
    });
    let serin = Serin::start(catalogue(&stubs, rollout));
    let load = load(serin.target(), 200.0);
    serin.control().start_rollout();
    let entry = rolled_back(serin.control());
    assert_eq!((&entry["actor"], &entry["state"]["why"]), (&json!("proxy"), &json!("trip")), "{entry}");
    assert_eq!(failed(load), 0);
    // Nine at once, until five have timed out and those that took their places were on their way.
    assert!(stubs[1].requests() <= 2 * 9, "{}", stubs[1].requests());
    let dropped = serin.metrics().sum("serin_mirror_dropped_total", &[("reason", "in_flight")]);
    assert!(dropped > 0.0);
}

#[test]
fn what_changes_something_is_not_done_twice_unless_the_file_says_so() {
    let _machine = beside();
    for (methods, copied) in [(None, 3), (Some(json!(["GET", "POST"])), 6)] {
        let [v1, v2] = [(); 2].map(|()| Endpoint::answering(|_| ok("one")));
        let mut config = two_versions(v1.address(), v2.address(), "100%", "0%");
        config["services"][SERVICE]["rollout"] = json!({
            "steps": [{ "mirror": "100%" }, { "weight": "5%" }],
            "mirror": methods.map_or(json!({}), |methods| json!({ "methods": methods })),
        });
        let serin = Serin::start(config);
        serin.control().start_rollout();
        until(SOON, "the plan is in force", || {
            let plan = http::get(serin.admin, "/plan").unwrap().json();
            plan["services"][0]["mirror"] == "100%"
        });
        let share = |version| {
            serin.metrics().sum("serin_plan_mirror_ratio", &[("service", SERVICE), ("version", version)])
        };
        assert_eq!(["v1", "v2"].map(share), [0.0, 1.0]);
        let mut client = Wire::connect(serin.web);
        for _ in 0..3 {
            client.ask("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
            client.ask("GET /b HTTP/1.1\r\nhost: a\r\n\r\n");
        }
        until(SOON, "all copies arrive", || v2.requests() == copied);
        assert!(v2.all().iter().all(|(head, _)| head.one("x-serin-mirror") == Some("v2")));
        until(SOON, "all were compared", || {
            serin.metrics().sum("serin_mirror_compared_total", &[("version", "v2")]) == copied as f64
        });
    }
}

#[test]
fn a_good_canary_goes_on_to_users_though_its_control_plane_starts_again_meanwhile() {
    let _machine = beside();
    let stubs = stubs();
    let rollout = json!({
        "preset": "fast",
        "steps": [
            { "mirror": "25%", "min_requests": 300, "min_duration": "4s" },
            { "weight": "50%", "min_duration": "1h", "max_duration": "2h" },
        ],
        "probe": false,
    });
    let mut plane = Plane::start(catalogue(&stubs, rollout), json!({}));
    let names = ["edge-1", "edge-2"];
    let edges = names.map(|name| Edge::start(name, &json!({ "endpoints": [plane.fleet.to_string()] })));
    plane.followed_by(&names);
    let loads = [0, 1].map(|at: usize| load(edges[at].target(), 150.0));
    plane.control().start_rollout();
    let judged = |rollout: &Value| rollout["verdict"]["canary"]["requests"].as_u64() > Some(20);
    let observed = eventually(SOON, "copies are judged", || {
        let rollout = plane.control().rollout();
        rollout["copied"]["share"].as_f64().filter(|share| judged(&rollout) && *share > 0.0)
    });
    assert!((0.1..0.4).contains(&observed), "{observed}");
    plane.member.kill();
    plane.start_again();
    let again = plane.control().rollout();
    assert_eq!(
        (&again["live"], &again["step"], &again["mirror"]),
        (&json!(true), &json!(0), &json!("25%")),
        "{again}"
    );
    plane.followed_by(&names);
    until(2 * SOON, "it has users", || plane.control().now().unwrap().canary > Weight::ZERO);
    assert_eq!(mirror(plane.control()), json!("0%"));
    let path = "/v1/rollouts/1/windows";
    until(SOON, "its users are judged for themselves", || {
        let verdict = plane.control().rollout()["verdict"].clone();
        verdict["copies"]["failures"]["canary"]["requests"].as_u64().is_some_and(|copies| copies >= 300)
            && verdict["canary"]["requests"].as_u64().is_some_and(|users| users > 0)
    });
    assert!(explained(plane.control()).contains("Before it had a user"), "{}", explained(plane.control()));
    until(SOON, "the windows of both are kept", || {
        let windows = http::get(plane.control().0, path).unwrap().body;
        let of_copies = windows.lines().filter(|line| line.contains("\"copies\":true")).count();
        (3..windows.lines().count() - 3).contains(&of_copies)
    });
    assert_eq!(loads.map(failed), [0, 0]);
}
