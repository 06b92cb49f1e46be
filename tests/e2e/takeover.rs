//! A new process takes over from a running one: no request fails, no decision is lost, and a new process that can't
//! start harms nothing.
//!
//! Ending without a successor is covered by `drain`; sockets of a service manager by `socket_activation`.

use std::{fs, net::TcpListener, process::Command};

use serde_json::json;
use serin_config::Weight;
use serin_loadtest::{ErrorKind, Load, Pace, Rate, Running, Schedule, Stop, Stub, StubOptions, Target};

use crate::harness::{
    SOON, alone, beside,
    config::{SERVICE, one_version, two_versions},
    eventually,
    fleet::{Edge, Plane},
    http,
    serin::Serin,
    tunnel::{self, Tunnel},
    until,
};

fn load(target: Target, per_second: f64) -> Running {
    let schedule = Schedule::Constant(Rate::try_new(per_second).unwrap());
    Load::new(target, Pace::Open(schedule), Stop::Never).start().unwrap()
}

/// Starts a new process, and waits until it serves alone.
fn take_over(serin: &mut Serin) {
    let mut new = serin.successor();
    eventually(SOON, "the new process is ready", || {
        let ended = new.ended();
        assert!(ended.is_none(), "it ended ({ended:?}): {}", new.stderr());
        new.stderr().contains(" ready ").then_some(())
    });
    let mut old = serin.replace_process(new);
    let status = old.wait(SOON, "the old process ends");
    assert!(status.success(), "{}", old.stderr());
    assert!(old.stderr().contains("drained, bye"), "nothing was cut: {}", old.stderr());
}

#[test]
fn a_thousand_requests_a_second_pass_through_three_hand_overs_and_none_fails() {
    let _machine = alone();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut config = one_version(stub.address());
    config["limits"]["workers"] = 2.into();
    let mut serin = Serin::start(config);
    // Most over kept connections, and some of which each needs a connection of its own.
    let kept = load(serin.target(), 900.0);
    let single = load(serin.target().header("connection", "close").unwrap(), 100.0);
    until(SOON, "the load runs", || stub.requests() > 1000);
    for _ in 0..3 {
        take_over(&mut serin);
        let served = stub.requests();
        until(SOON, "the new process serves", || stub.requests() > served + 500);
    }
    for running in [kept, single] {
        running.cancel();
        let report = running.blocking_report().unwrap();
        println!("{} requests, {} failed", report.tally.total(), report.tally.failed());
        assert_eq!(report.tally.failed(), 0, "{:?}", report.tally);
        assert!(report.tally.status(200) > 100, "{:?}", report.tally);
    }
}

#[test]
fn decisions_survive_and_every_door_is_open_again() {
    let _machine = beside();
    let (v1, v2) =
        (Stub::start(StubOptions::default()).unwrap(), Stub::start(StubOptions::default()).unwrap());
    let mut serin = Serin::start(two_versions(v1.address(), v2.address(), "90%", "10%"));
    let before = serin.control().now().unwrap();
    let wanted = Weight::from_ppm(250_000).unwrap();
    assert_eq!(serin.control().set_canary(wanted, before.generation).unwrap().status, 200);
    take_over(&mut serin);
    let now = eventually(SOON, "the control API answers", || serin.control().now().ok());
    assert_eq!(now.canary, wanted);
    assert_eq!(http::get(serin.admin, "/readyz").unwrap().status, 200);
    assert_eq!(serin.get("/").status, 200);
    // And again, since the new one can be taken over from, too.
    take_over(&mut serin);
    assert_eq!(serin.get("/").status, 200);
}

#[test]
fn a_request_in_flight_is_ended_by_the_process_that_took_it() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut serin = Serin::start(one_version(stub.address()));
    stub.set_hang(true);
    let running = load(serin.target(), 50.0);
    until(SOON, "requests are in flight", || stub.requests() >= 10);
    running.cancel();
    let mut new = serin.successor();
    until(SOON, "the new process is ready", || new.stderr().contains(" ready "));
    assert!(new.ended().is_none(), "{}", new.stderr());
    stub.set_hang(false);
    let report = running.blocking_report().unwrap();
    assert_eq!(report.tally.failed(), 0, "{:?}", report.tally);
    let mut old = serin.replace_process(new);
    assert!(old.wait(SOON, "the old process ends").success());
    assert_eq!(serin.get("/").status, 200);
}

#[test]
fn a_tunnel_stays_with_the_old_process_until_its_end() {
    let _machine = beside();
    let endpoint = tunnel::echoing();
    let mut serin = Serin::start(one_version(endpoint.address()));
    let mut open = Tunnel::open(&serin);
    let new = serin.successor();
    until(SOON, "the new process is ready", || new.stderr().contains(" ready "));
    let mut old = serin.replace_process(new);
    until(SOON, "the old process drains", || old.stderr().contains("draining"));
    assert_eq!(serin.get("/").body, "served");
    open.assert_open();
    assert!(old.ended().is_none(), "it waits for the tunnel");
    drop(open);
    assert!(old.wait(SOON, "the old process ends").success());
}

#[test]
fn a_new_process_with_a_bad_file_changes_nothing() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = Serin::start(one_version(stub.address()));
    serin.replace_file("listeners: 7");
    let mut new = serin.successor();
    assert_eq!(new.wait(SOON, "it ends").code(), Some(1), "{}", new.stderr());
    assert_eq!(serin.get("/").status, 200);
    assert!(!serin.stderr().contains("takes over"), "it was not even asked: {}", serin.stderr());
}

#[test]
fn a_new_process_that_fails_half_way_gives_everything_back() {
    let _machine = beside();
    let (v1, v2) =
        (Stub::start(StubOptions::default()).unwrap(), Stub::start(StubOptions::default()).unwrap());
    let mut serin = Serin::start(two_versions(v1.address(), v2.address(), "90%", "10%"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    // Found out only once the running process has let go of the state.
    let mut config = serin.config().clone();
    let other = json!({ "name": "more", "address": taken.local_addr().unwrap().to_string() });
    config["listeners"].as_array_mut().unwrap().push(other);
    let good = serin.config().to_string();
    fs::write(serin.file(), config.to_string()).unwrap();
    let mut new = serin.successor();
    assert_eq!(new.wait(SOON, "it ends").code(), Some(2), "{}", new.stderr());
    assert!(new.stderr().contains("in use"), "{}", new.stderr());
    until(SOON, "the running process goes on", || serin.stderr().contains("this process goes on"));
    assert_eq!(serin.get("/").status, 200);
    let now = eventually(SOON, "it decides again", || serin.control().now().ok());
    let wanted = Weight::from_ppm(250_000).unwrap();
    assert_eq!(serin.control().set_canary(wanted, now.generation).unwrap().status, 200);
    // The next attempt goes well.
    serin.replace_file(&good);
    take_over(&mut serin);
    assert_eq!(serin.control().now().unwrap().canary, wanted);
}

#[test]
fn a_proxy_of_a_fleet_hands_over_under_load_and_none_fails_though_its_control_plane_is_away() {
    let _machine = beside();
    let (v1, v2) =
        (Stub::start(StubOptions::default()).unwrap(), Stub::start(StubOptions::default()).unwrap());
    let mut plane = Plane::start(two_versions(v1.address(), v2.address(), "90%", "10%"), json!({}));
    let mut edge = Edge::start("edge-1", &json!({ "endpoints": [plane.fleet.to_string()] }));
    plane.followed_by(&["edge-1"]);
    let before = plane.control().now().unwrap();
    let wanted = Weight::from_ppm(250_000).unwrap();
    assert_eq!(plane.control().set_canary(wanted, before.generation).unwrap().status, 200);
    plane.followed_by(&["edge-1"]);
    let generation = edge.generation();
    let kept = load(edge.target(), 300.0);
    let single = load(edge.target().header("connection", "close").unwrap(), 50.0);
    until(SOON, "the load runs", || v1.requests() > 100);
    let said = edge.taken_over();
    assert!(said.contains("a new process takes over") && said.contains("drained, bye"), "{said}");
    plane.followed_by(&["edge-1"]);
    // The plan goes on from process to process without anybody who could tell it.
    plane.member.kill();
    edge.taken_over();
    assert_eq!(edge.generation(), generation);
    let served = v1.requests();
    until(SOON, "the new process serves", || v1.requests() > served + 100);
    for running in [kept, single] {
        running.cancel();
        let report = running.blocking_report().unwrap();
        assert_eq!(report.tally.failed(), 0, "{:?}", report.tally);
    }
    plane.start_again();
    plane.followed_by(&["edge-1"]);
}

/// What the control plane has counted of all versions.
fn counted(plane: &Plane) -> u64 {
    let status = http::get(plane.api, &format!("/v1/services/{SERVICE}")).unwrap().json();
    let versions = status["versions"].as_array().unwrap();
    versions.iter().map(|version| version["total"]["requests"].as_u64().unwrap()).sum()
}

#[test]
fn what_no_control_plane_has_heard_of_goes_from_process_to_process_and_so_does_a_trip() {
    let _machine = beside();
    let [v1, v2] = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
    let mut config = two_versions(v1.address(), v2.address(), "100%", "0%");
    config["services"][SERVICE]["tripwire"] = json!({ "failed_requests": 7 });
    config["services"][SERVICE]["rollout"] =
        json!({ "steps": [{ "weight": "50%", "min_duration": "1h", "max_duration": "2h" }], "probe": false });
    let mut plane = Plane::start(config, json!({}));
    let mut edge = Edge::start("edge-1", &json!({ "endpoints": [plane.fleet.to_string()] }));
    plane.control().start_rollout();
    plane.followed_by(&["edge-1"]);
    let failures = |edge: &Edge| (0..40).filter(|_| edge.get("/").status != 200).count();
    assert_eq!(failures(&edge), 0);
    until(SOON, "it is counted", || counted(&plane) == 40);
    plane.member.kill();
    v2.set_error_ppm(1_000_000);
    assert_eq!(failures(&edge), 7, "then the wire has tripped");
    let waiting = |edge: &Edge| edge.member.metrics().sum("serin_proxy_control_windows_waiting", &[]);
    // What is served in a second is in a window when the second is over.
    let second_is_over = |edge: &Edge| {
        let before = waiting(edge);
        until(SOON, "a second is over", || waiting(edge) >= before + 2.0);
    };
    // Within a second: what the process before has counted of it goes over as well.
    for _ in 0..2 {
        let said = edge.taken_over();
        assert!(!said.contains("are in no window"), "{said}");
        assert_eq!((failures(&edge), v2.failures()), (0, 7), "it begins tripped");
    }
    second_is_over(&edge);
    plane.start_again();
    plane.followed_by(&["edge-1"]);
    until(SOON, "all is told", || counted(&plane) == 160);
    until(SOON, "the canary is taken out for good", || plane.control().now().unwrap().canary == Weight::ZERO);
    until(SOON, "nothing waits", || waiting(&edge) <= 2.0);
    assert_eq!(counted(&plane), 160, "each once");
    assert_eq!(edge.member.metrics().sum("serin_proxy_control_windows_lost_total", &[]), 0.0);
}

#[test]
fn with_nobody_to_take_over_from_it_just_starts() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = Serin::start_with(one_version(stub.address()), |serin| {
        let mut command = Command::new(serin.get_program());
        command.args(serin.get_args()).arg("--takeover");
        command
    });
    assert!(serin.stderr().contains("nobody to take over from"), "{}", serin.stderr());
    assert_eq!(serin.get("/").status, 200);
}

#[test]
fn sigusr2_starts_the_program_anew_under_load() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut serin = Serin::start(one_version(stub.address()));
    let running = load(serin.target(), 200.0);
    until(SOON, "the load runs", || stub.requests() > 50);
    serin.signal("USR2");
    let pid: u32 = eventually(SOON, "a new process is started", || {
        let said = serin.stderr();
        let line = said.lines().find(|line| line.contains("started a new process"))?;
        line.split("pid=").nth(1)?.split(' ').next()?.parse().ok()
    });
    let _new = Child(pid);
    // The child writes to the same standard error, so it is not read to its end here.
    until(SOON, "the old process ends", || fs::metadata(format!("/proc/{}/exe", serin.id())).is_err());
    let served = stub.requests();
    until(SOON, "the new process serves", || stub.requests() > served + 50);
    running.cancel();
    let report = running.blocking_report().unwrap();
    assert_eq!(report.tally.failed(), 0, "{:?}", report.tally);
    assert_eq!(report.tally.errors(ErrorKind::Connect), 0);
    assert_eq!(http::get(serin.admin, "/readyz").unwrap().status, 200);
    serin.kill();
}

/// A process that is no child of this one; it ends with its test.
struct Child(u32);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-KILL").arg(self.0.to_string()).status();
    }
}
