//! Started by a service manager: sockets that it listens on already, and states that it wants to be told.
//!
//! Handing the same sockets from one Serin to the next is covered by `takeover`.

use std::{os::unix::net::UnixDatagram, process::Command, time::Duration};

use serin_config::Address;
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{SOON, beside, config::one_version, free_addresses, http, python, serin::Serin};

/// The command that `activate.py` runs in the end is Serin's own.
fn activated(serin: &Command, sockets: &[String]) -> Command {
    let mut args: Vec<&str> = sockets.iter().map(String::as_str).collect();
    args.push("--");
    let mut command = python::command("activate.py", &args);
    command.arg(serin.get_program()).args(serin.get_args());
    command
}

fn address_of_listener(serin: &Command) -> String {
    let file = serin.get_args().last().expect("the file is the last argument");
    let config: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    config["listeners"][0]["address"].as_str().expect("an address").to_owned()
}

#[test]
fn a_socket_is_taken_by_its_address_and_served_by_every_worker() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut config = one_version(stub.address());
    config["limits"]["workers"] = 3.into();
    // Bound by the service manager: were it not taken over, binding it again would fail.
    let serin = Serin::start_with(config, |serin| {
        activated(serin, &[format!("=127.0.0.1:{}", port(&address_of_listener(serin)))])
    });
    for _ in 0..20 {
        assert_eq!(serin.get("/").status, 200);
    }
}

#[test]
fn a_socket_is_taken_by_its_name_and_one_that_nobody_wants_is_closed_and_told() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let [elsewhere, unwanted] = free_addresses();
    let sockets = [format!("web={elsewhere}"), format!("other={unwanted}")];
    let serin = Serin::start_with(one_version(stub.address()), |serin| activated(serin, &sockets));
    assert_eq!(http::get(elsewhere, "/").unwrap().status, 200);
    let said = serin.stderr();
    let has = |words: &[&str]| said.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(has(&["serving", "listener=web", &elsewhere.to_string()]), "{said}");
    assert!(has(&["no listener has this address", &unwanted.to_string()]), "{said}");
    assert!(!said.contains(&serin.web.to_string()), "the file's address is not listened on besides: {said}");
}

#[test]
fn a_unix_socket_of_the_service_manager_is_served() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.sock");
    let address = Address::Unix(path.clone());
    let mut config = one_version(stub.address());
    config["listeners"] = serde_json::json!([{}, { "name": "local", "address": address }]);
    let _serin = Serin::start_with(config, |serin| activated(serin, &[format!("local={address}")]));
    let mut wire = crate::harness::wire::Wire::connect_unix(&path);
    assert_eq!(wire.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").status(), 200);
}

#[test]
fn the_service_manager_is_told_of_readiness_reloads_and_the_end() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let told = UnixDatagram::bind(&path).unwrap();
    told.set_read_timeout(Some(SOON)).unwrap();
    let next = || {
        let mut message = [0; 1024];
        let length = told.recv(&mut message).expect("a state in time");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let mut serin = Serin::start_with(one_version(stub.address()), |serin| {
        let mut command = Command::new(serin.get_program());
        command.args(serin.get_args()).env("NOTIFY_SOCKET", &path);
        command
    });
    assert!(next().contains("READY=1"));
    serin.signal("HUP");
    let reloading = next();
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(next().contains("READY=1"));
    serin.signal("TERM");
    assert!(next().contains("STOPPING=1"));
    assert!(serin.wait(SOON + Duration::from_secs(1)).success());
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}
