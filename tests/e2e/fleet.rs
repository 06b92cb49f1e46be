//! A fleet: one control plane, and proxies that are told by it over a stream each. Several control planes, and what
//! becomes of a leader, are tested where the store is; how messages and windows are read, in `serin-config` and
//! `serin-control`.

use serde_json::{Value, json};
use serin_config::Weight;
use serin_loadtest::{Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    certs::Authority,
    config::{SERVICE, two_versions},
    fleet::{Edge, Plane},
    http,
    serin::binary,
    until,
};

fn connect(plane: &Plane) -> Value {
    json!({ "endpoints": [plane.fleet.to_string()] })
}

fn stubs() -> [Stub; 2] {
    [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap())
}

/// Routes and services alone.
fn catalogue(stubs: &[Stub; 2]) -> Value {
    let mut config = two_versions(stubs[0].address(), stubs[1].address(), "100%", "0%");
    config["services"][SERVICE]["rollout"] = json!({ "preset": "fast" });
    config
}

#[test]
fn weights_go_to_all_proxies_and_a_bad_canary_is_rolled_back_by_what_all_of_them_counted() {
    let _machine = beside();
    let stubs = stubs();
    let authority = Authority::new("fleet");
    let server = authority.server("control", &["127.0.0.1"]);
    let tls = json!({ "certificates": [server.json()], "client_ca": authority.file() });
    let plane = Plane::start(catalogue(&stubs), json!({ "tls": tls }));
    let edges = ["edge-1", "edge-2"].map(|name| {
        let own = authority.client(name, &[], &[]);
        let tls = json!({ "ca": authority.file(), "cert": own.cert, "key": own.key });
        Edge::start(name, &json!({ "endpoints": [plane.fleet.to_string()], "tls": tls }))
    });
    plane.followed_by(&["edge-1", "edge-2"]);
    // A name is not for whoever has another one's certificate.
    let own = authority.client("mallory", &[], &["edge-3"]);
    let tls = json!({ "ca": authority.file(), "cert": own.cert, "key": own.key });
    let connect = json!({ "endpoints": [plane.fleet.to_string()], "tls": tls });
    let other = Edge::begin("edge-1", &connect);
    other.member.says("the certificate is for mallory, edge-3, and not for a proxy called \"edge-1\"");
    let stranger = Authority::new("another fleet");
    let own = stranger.client("edge-4", &[], &[]);
    let tls = json!({ "ca": authority.file(), "cert": own.cert, "key": own.key });
    let unknown = Edge::begin("edge-4", &json!({ "endpoints": [plane.fleet.to_string()], "tls": tls }));
    unknown.member.says("it does not take this proxy's certificate");
    let mut third = Edge::start("edge-3", &connect);
    plane.followed_by(&["edge-1", "edge-2", "edge-3"]);
    assert!(third.member.stop().success());
    plane.followed_by(&["edge-1", "edge-2"]);

    let before = plane.control().now().unwrap();
    let half: Weight = "50%".parse().unwrap();
    assert_eq!(plane.control().set_canary(half, before.generation).unwrap().status, 200);
    plane.followed_by(&["edge-1", "edge-2"]);
    let asked = |line: &str| {
        let mut command = binary();
        let command = command.args(line.split(' ')).args(["--api", &plane.api.to_string()]);
        // Said to the proxies of this machine, not to whoever asks after them.
        let output = command.env("SERIN_INSTANCE", "edge-9").env("SERIN_LOG", "warn").output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let (listed, code) = asked("proxy list");
    let in_force = format!("Plan {} is in force on all of them.", before.generation + 1);
    assert!(
        code == Some(0) && listed.contains("edge-2  connected") && listed.contains(&in_force),
        "{listed}"
    );
    let (shown, code) = asked("proxy show edge-1 --output json");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["proxy"], &shown["acknowledged"], code), (&json!("edge-1"), &json!(true), Some(0)));
    assert_eq!(asked("proxy show edge-3").1, Some(1));
    for edge in &edges {
        assert_eq!(edge.generation(), before.generation + 1);
        assert_eq!(edge.member.metrics().sum("serin_plan_weight_ratio", &[("version", "v2")]), 0.5);
    }

    // Beats are for rollouts: what has weight by hand is told in windows alone.
    for edge in &edges {
        (0..100).for_each(|_| assert_eq!(edge.get("/").status, 200));
    }
    let came = |what: &str| plane.member.metrics().sum(&format!("serin_control_{what}_received_total"), &[]);
    let windows = came("windows");
    until(SOON, "the second of these requests was told", || came("windows") >= windows + 6.0);
    assert_eq!(came("beats"), 0.0);

    stubs[1].set_error_ppm(500_000);
    plane.control().start_rollout();
    let schedule = Schedule::Constant(Rate::try_new(200.0).unwrap());
    let loads: Vec<_> = edges
        .iter()
        .map(|edge| Load::new(edge.target(), Pace::Open(schedule.clone()), Stop::Never).start().unwrap())
        .collect();
    until(SOON, "the canary is taken out", || plane.control().rollout()["live"] == false);
    assert!(came("beats") > 0.0, "they were asked for");
    plane.followed_by(&["edge-1", "edge-2"]);
    for edge in &edges {
        assert_eq!(edge.member.metrics().sum("serin_plan_weight_ratio", &[("version", "v2")]), 0.0);
    }
    for load in loads {
        load.cancel();
        load.blocking_report().unwrap();
    }
    let journal = plane.control().journal();
    assert!(journal.iter().any(|entry| entry["action"] == "roll_back"), "{journal:#?}");
    assert!(journal.iter().all(|entry| entry["action"] != "unacknowledged"), "{journal:#?}");
}

#[test]
fn what_is_counted_while_the_control_plane_is_away_is_told_later_and_counted_once() {
    let _machine = beside();
    let stubs = stubs();
    let mut plane = Plane::start(catalogue(&stubs), json!({}));
    let edge = Edge::start("edge-1", &connect(&plane));
    plane.followed_by(&["edge-1"]);
    (0..10).for_each(|_| assert_eq!(edge.get("/").status, 200));
    plane.member.kill();
    edge.connected(false);
    (0..20).for_each(|_| assert_eq!(edge.get("/").status, 200));
    plane.start_again();
    edge.connected(true);
    (0..30).for_each(|_| assert_eq!(edge.get("/").status, 200));
    let counted = || {
        let reply = http::get(plane.api, &format!("/v1/services/{SERVICE}")).unwrap().json();
        let versions = reply["versions"].as_array().unwrap();
        let stable = versions.iter().find(|version| version["version"] == "v1").unwrap();
        stable["total"]["requests"].as_u64().unwrap()
    };
    until(SOON, "all is counted", || counted() >= 60);
    assert_eq!(counted(), 60, "each once, before, while and after the control plane was away");
    let metrics = plane.member.metrics();
    assert_eq!(metrics.sum("serin_control_windows_lost_total", &[]), 0.0);
    assert_eq!(edge.member.metrics().sum("serin_proxy_control_windows_lost_total", &[]), 0.0);
}

#[test]
fn a_control_plane_whose_state_was_set_back_goes_on_beyond_the_plans_that_its_proxies_have() {
    let _machine = beside();
    let stubs = stubs();
    let mut plane = Plane::start(catalogue(&stubs), json!({}));
    let edge = Edge::start("edge-1", &connect(&plane));
    plane.followed_by(&["edge-1"]);
    let (state, backup) = (plane.member.path("state.redb"), plane.member.path("backup.redb"));
    plane.member.kill();
    std::fs::copy(&state, &backup).unwrap();
    // What the backup does not know: its next start gives the same number to another plan.
    plane.start_again();
    plane.followed_by(&["edge-1"]);
    let before = plane.control().now().unwrap();
    let half: Weight = "50%".parse().unwrap();
    assert_eq!(plane.control().set_canary(half, before.generation).unwrap().status, 200);
    plane.followed_by(&["edge-1"]);
    plane.member.kill();
    edge.connected(false);
    std::fs::copy(&backup, &state).unwrap();
    plane.start_again();
    let restored = plane.control().now().unwrap().generation;
    let _ = plane.control().set_canary("10%".parse().unwrap(), restored);
    edge.connected(true);
    let weight = || edge.member.metrics().sum("serin_plan_weight_ratio", &[("version", "v2")]);
    until(SOON, "the proxy follows", || weight() < 0.5);
    plane.followed_by(&["edge-1"]);
    let now = plane.control().now().unwrap();
    assert_eq!((edge.generation(), now.generation > before.generation + 1), (now.generation, true));
    let journal = plane.control().journal();
    let renumbered = |entry: &Value| {
        entry["action"] == "renumber" && entry["reason"].as_str().unwrap().contains("proxy edge-1")
    };
    assert!(journal.iter().any(renumbered), "{journal:#?}");
}

#[test]
fn a_proxy_without_the_token_or_with_a_name_that_is_taken_is_refused() {
    let _machine = beside();
    let stubs = stubs();
    let directory = tempfile::tempdir().unwrap();
    let token = |name: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, name).unwrap();
        format!("${{file:{}}}", path.display())
    };
    let plane = Plane::start(catalogue(&stubs), json!({ "token": token("right") }));
    let with = |token: String| json!({ "endpoints": [plane.fleet.to_string()], "token": token });
    let stranger = Edge::begin("edge-1", &with(token("wrong")));
    stranger.member.says("the token is missing or another one");
    plane.member.says("it does not show the token of control.fleet");
    assert!(plane.proxies().is_empty());
    let mut edge = Edge::start("edge-1", &with(token("right")));
    plane.followed_by(&["edge-1"]);
    // On the same machine, from the same file, nobody takes its name by mistake.
    let mut again = edge.another();
    assert_eq!(again.wait(SOON, "it ends").code(), Some(2));
    assert!(
        again.stderr().contains("a proxy called \"edge-1\" runs already (process "),
        "{}",
        again.stderr()
    );
    edge.connected(true);
    // The later one has the name; the one before says what is wrong.
    let mut twin = Edge::start("edge-1", &with(token("right")));
    edge.member.says("another proxy that started later is connected as \"edge-1\"");
    assert_eq!((edge.get("/").status, twin.get("/").status), (200, 200), "both serve");
    // So both are known; what is decided from here on reaches one of them.
    assert_eq!(edge.member.metrics().sum("serin_proxy_control_name_taken", &[]), 1.0);
    let before = plane.control().now().unwrap().generation;
    assert_eq!(plane.control().set_canary("50%".parse().unwrap(), before).unwrap().status, 200);
    plane.followed_by(&["edge-1"]);
    assert_eq!((twin.generation(), edge.generation()), (before + 1, before));
    let listed = binary().args(["proxy", "list", "--api", &plane.api.to_string()]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let standing = format!("Plan {} is in force on 1 of 2; one is not served.", before + 1);
    assert!(listed.contains(&standing) && listed.contains("A second proxy called edge-1"), "{listed}");
    until(SOON, "it is a metric", || {
        plane.member.metrics().sum("serin_control_proxy_duplicates", &[]) == 1.0
    });
    assert!(twin.member.stop().success());
    edge.connected(true);
    plane.followed_by(&["edge-1"]);
    assert_eq!(
        (edge.generation(), edge.member.metrics().sum("serin_proxy_control_name_taken", &[])),
        (before + 1, 0.0)
    );
    until(SOON, "there is one of that name", || {
        plane.member.metrics().sum("serin_control_proxy_duplicates", &[]) == 0.0
    });
}

#[test]
fn a_proxy_starts_again_without_its_control_plane_and_goes_on_with_the_last_plan() {
    let _machine = beside();
    let stubs = stubs();
    let mut plane = Plane::start(catalogue(&stubs), json!({}));
    let mut edge = Edge::start("edge-1", &connect(&plane));
    let whole: Weight = "100%".parse().unwrap();
    let before = plane.control().now().unwrap();
    assert_eq!(plane.control().set_canary(whole, before.generation).unwrap().status, 200);
    plane.followed_by(&["edge-1"]);
    let generation = edge.generation();
    until(SOON, "the plan is kept", || edge.kept_generation() == Some(generation));

    assert!(plane.member.stop().success());
    assert!(edge.member.stop().success());
    edge.start_again();
    assert_eq!(edge.generation(), generation);
    assert_eq!(edge.get("/").header("x-serin-version"), "v2");
    edge.connected(false);
    until(SOON, "it says for how long it has been alone", || {
        edge.member.metrics().sum("serin_proxy_control_disconnected_seconds", &[]) > 0.0
    });
    plane.start_again();
    edge.connected(true);
    plane.followed_by(&["edge-1"]);
    assert!(edge.member.stop().success());
    until(SOON, "a proxy that has ended is not waited for", || plane.proxies().is_empty());
}
