//! Several control planes over one etcd: a leader that is killed, and a majority of etcd that goes and comes back.
//!
//! Which control plane leads, what followers show, and what a writer may not do, is covered by `serin-control`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin_config::Weight;
use serin_loadtest::{Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, alone,
    config::{SERVICE, two_versions},
    etcd::Cluster,
    eventually,
    fleet::{Edge, Plane},
    http,
    serin::binary,
    until,
};

/// Within which a canary that fails every request must be out everywhere after its leader has died. Three to four
/// seconds are usual: a lease that runs out, and what proxies kept meanwhile is judged at once. The rest is for machines
/// that are busy; what is promised is measured by the chaos test.
const ROLLED_BACK_WITHIN: Duration = Duration::from_secs(10);

/// Which of the control planes leads; the API says so.
fn leader(planes: &[Plane]) -> usize {
    eventually(SOON, "one leads", || {
        planes.iter().position(|plane| {
            let reply = http::get(plane.api, "/v1/plan");
            reply.is_ok_and(|reply| reply.status == 200 && reply.header("x-serin-role") == "leader")
        })
    })
}

fn catalogue(stubs: &[Stub; 2]) -> Value {
    let mut config = two_versions(stubs[0].address(), stubs[1].address(), "100%", "0%");
    // Long enough a step that nothing is promoted meanwhile.
    let step = json!({ "weight": "20%", "min_duration": "10m", "max_duration": "20m" });
    config["services"][SERVICE]["rollout"] = json!({ "preset": "fast", "steps": [step] });
    config
}

fn canary_share(edge: &Edge) -> f64 {
    edge.member.metrics().sum("serin_plan_weight_ratio", &[("version", "v2")])
}

#[test]
fn a_canary_that_fails_while_its_leader_dies_is_rolled_back_everywhere_by_the_next_one() {
    // Alone, since etcd's elections are timed, and a member comes back to the ports that it had.
    let _machine = alone();
    let stubs = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
    let mut cluster = Cluster::start();
    let mut planes: Vec<Plane> = ["control-1", "control-2", "control-3"]
        .map(|name| Plane::among(name, catalogue(&stubs), &cluster.section()))
        .into();
    // One of etcd's members is gone; two are enough.
    cluster.kill(0);
    let first = leader(&planes);
    let endpoints: Vec<String> = planes.iter().map(|plane| plane.fleet.to_string()).collect();
    let edges = ["edge-1", "edge-2"].map(|name| Edge::start(name, &json!({ "endpoints": endpoints })));

    // Whoever is asked, it is done.
    let follower = (first + 1) % planes.len();
    planes[follower].control().start_rollout();
    for edge in &edges {
        until(SOON, "the canary has its share", || canary_share(edge) == 0.2);
    }
    let schedule = Schedule::Constant(Rate::try_new(200.0).unwrap());
    let loads = [0, 1].map(|at: usize| {
        Load::new(edges[at].target(), Pace::Open(schedule.clone()), Stop::Never).start().unwrap()
    });
    let before = edges.each_ref().map(Edge::generation);
    until(SOON, "the canary has traffic", || stubs[1].requests() > 200);

    stubs[1].set_error_ppm(1_000_000);
    planes[first].member.kill();
    let died = Instant::now();
    for edge in &edges {
        until(SOON, "the canary is out", || canary_share(edge) == 0.0);
    }
    let took = died.elapsed();
    println!("rolled back everywhere {:.2} s after the leader had died", took.as_secs_f64());
    assert!(took <= ROLLED_BACK_WITHIN, "{took:?}");
    for (edge, before) in edges.iter().zip(before) {
        assert!(edge.generation() > before, "generations only grow");
    }
    for load in loads {
        load.cancel();
        load.blocking_report().unwrap();
    }

    let second = leader_but(&planes, first);
    // The proxies' own trip-wires may have been before it: then it learns of that with the next window.
    until(SOON, "the next leader has rolled it back", || {
        planes[second].control().rollout()["summary"].as_str().unwrap().contains("rolled back")
    });
    planes[first].start_again();
    assert_eq!(planes[first].control().now().unwrap().canary, Weight::ZERO, "the one that was away knows it");

    // Without a majority, nobody decides and everybody serves.
    cluster.kill(1);
    let generation = edges[0].generation();
    let asked = || {
        http::call(
            planes[first].api,
            "POST",
            &format!("/v1/services/{SERVICE}/rollout"),
            Some(&json!({ "action": "start" })),
        )
    };
    until(SOON, "nobody leads, and changes are refused with that reason", || {
        let reply = asked().unwrap();
        assert_eq!(reply.status, 503, "{}", reply.body);
        reply.body.contains("nobody leads")
    });
    assert_eq!(edges[0].get("/").status, 200);
    assert_eq!(edges[0].generation(), generation);
    // The one that began anew may not have read what is stored before nobody could: it says nothing then, and the one that
    // was there all the time shows what it knows.
    let third = (0..planes.len()).find(|plane| ![first, second].contains(plane)).unwrap();
    until(SOON, "the command line says that what it shows may be old", || {
        let api = planes[third].api.to_string();
        let shown = binary()
            .args(["rollout", "status", SERVICE, "--output", "json", "--api", &api])
            .env("SERIN_LOG", "warn")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&shown.stderr).into_owned();
        let json: Value = serde_json::from_slice(&shown.stdout).unwrap_or_else(|_| panic!("{said}"));
        said.contains("this may be old: the control plane at") && json["stale_seconds"].is_u64()
    });
    cluster.start_again(1);
    // It may be done although its answer came too late; asked again, the rollout is in progress.
    until(2 * SOON, "with a majority again, changes are made", || {
        asked().is_ok_and(|reply| {
            let again = reply.status == 409 && reply.body.contains("rollout-in-progress");
            again || reply.status == 200
        })
    });
    assert!(edges[0].generation() >= generation);
}

fn leader_but(planes: &[Plane], dead: usize) -> usize {
    eventually(SOON, "another one leads", || {
        (0..planes.len()).filter(|plane| *plane != dead).find(|plane| {
            let reply = http::get(planes[*plane].api, "/v1/plan");
            reply.is_ok_and(|reply| reply.status == 200 && reply.header("x-serin-role") == "leader")
        })
    })
}
