//! Endpoints that are found by name or in a file: they are followed while the proxy runs, without a plan that
//! changes, and whatever goes wrong leaves the last ones in use.
//!
//! How answers and files are read is tested in `serin-proxy` and `serin-config`.

use std::{fs, path::Path};

use serde_json::{Value, json};
use serin_config::Address;
use serin_loadtest::{Listen, Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, one_version},
    dns::Dns,
    http,
    serin::Serin,
    until,
};

/// Two stubs on one port of different addresses, as endpoints that DNS knows are.
fn pair() -> (Stub, Stub, u16) {
    for _ in 0..20 {
        let first = Stub::start(StubOptions::default()).unwrap();
        let Address::Tcp(address) = first.address().clone() else { panic!("a TCP stub") };
        let at = Address::Tcp(([127, 0, 0, 2], address.port()).into());
        if let Ok(second) = Stub::start(StubOptions { listen: Listen::At(at), ..StubOptions::default() }) {
            return (first, second, address.port());
        }
    }
    panic!("no port is free on both addresses");
}

fn by_name(dns: &Dns, port: u16) -> Value {
    let mut config = one_version(&"127.0.0.1:1".parse().unwrap());
    config["services"][SERVICE]["versions"]["v1"] = json!({ "dns": format!("shop.test:{port}") });
    config["dns"] = json!({ "resolvers": [dns.address()], "timeout": "500ms" });
    config
}

fn in_file(path: &Path) -> Value {
    let mut config = one_version(&"127.0.0.1:1".parse().unwrap());
    config["services"][SERVICE]["versions"]["v1"] = json!({ "endpoints_file": path });
    config
}

/// The addresses that the admin listener shows.
fn listed(serin: &Serin) -> Vec<String> {
    let shown = http::get(serin.admin, "/endpoints").unwrap().json();
    let endpoints = shown["versions"][0]["endpoints"].as_array().unwrap();
    endpoints.iter().map(|endpoint| endpoint["address"].as_str().unwrap().to_owned()).collect()
}

fn trouble(serin: &Serin) -> Option<String> {
    let shown = http::get(serin.admin, "/endpoints").unwrap().json();
    shown["versions"][0]["trouble"].as_str().map(ToOwned::to_owned)
}

#[test]
fn endpoints_follow_their_name_without_a_request_lost() {
    let _machine = beside();
    let (first, second, port) = pair();
    let dns = Dns::start();
    dns.set(&["127.0.0.1"]);
    let serin = Serin::start(by_name(&dns, port));
    until(SOON, "the name is resolved", || serin.get("/").status == 200);
    let generation = serin.metrics().sum("serin_plan_generation", &[]);
    let schedule = Schedule::Constant(Rate::try_new(200.0).unwrap());
    let load = Load::new(serin.target(), Pace::Open(schedule), Stop::Never).start().unwrap();
    dns.set(&["127.0.0.2"]);
    until(SOON, "the new endpoint is used", || second.requests() > 50);
    // From now on the old one is asked for nothing.
    let (before, of_second) = (first.requests(), second.requests());
    until(SOON, "more requests came", || second.requests() > of_second + 50);
    assert_eq!(first.requests(), before);
    load.cancel();
    let report = load.blocking_report().unwrap();
    assert_eq!(report.tally.failed(), 0, "{:?}", report.tally);
    assert_eq!(serin.metrics().sum("serin_plan_generation", &[]), generation);
    assert_eq!(listed(&serin), [format!("127.0.0.2:{port}")]);
}

#[test]
fn a_resolver_that_falls_silent_or_forgets_the_name_leaves_the_endpoints_in_use() {
    let _machine = beside();
    let (_first, _second, port) = pair();
    let dns = Dns::start();
    dns.set(&["127.0.0.1", "127.0.0.2"]);
    let serin = Serin::start(by_name(&dns, port));
    until(SOON, "the name is resolved", || serin.get("/").status == 200);
    for silent in [true, false] {
        dns.set_silent(silent);
        if !silent {
            dns.set(&[]);
            until(SOON, "it says that there is no address", || {
                trouble(&serin).is_some_and(|why| why.contains("no address"))
            });
        }
        let asked = dns.asked();
        until(SOON, "it is asked again", || dns.asked() > asked + 2);
        until(SOON, "the trouble is shown", || trouble(&serin).is_some());
        assert_eq!(listed(&serin).len(), 2);
        assert_eq!(serin.get("/").status, 200);
    }
    assert!(serin.metrics().sum("serin_endpoint_searches_total", &[("result", "failure")]) >= 2.0);
    dns.set(&["127.0.0.2"]);
    until(SOON, "the name is back", || trouble(&serin).is_none() && listed(&serin).len() == 1);
}

#[test]
fn a_name_that_is_not_known_at_the_start_is_waited_for_while_requests_are_told() {
    let _machine = beside();
    let (_first, _second, port) = pair();
    let dns = Dns::start();
    let serin = Serin::start(by_name(&dns, port));
    let reply = serin.get("/");
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.body.contains("no_endpoint"), "{reply:?}");
    until(SOON, "it is counted", || serin.metrics().outcome("v1", "no_endpoint") >= 1.0);
    dns.set(&["127.0.0.1"]);
    until(SOON, "the name is resolved", || serin.get("/").status == 200);
}

#[test]
fn endpoints_follow_their_file_and_a_broken_one_changes_nothing() {
    let _machine = beside();
    let (first, second, _) = pair();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("v1.txt");
    let replace = |text: &str| {
        let new = directory.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &path).unwrap();
    };
    replace(&format!("# the first\n{}\n", first.address()));
    let serin = Serin::start(in_file(&path));
    until(SOON, "the file is read", || serin.get("/").status == 200);
    assert_eq!(second.requests(), 0);
    replace(&format!("- {}\n", second.address()));
    until(SOON, "the new endpoint is used", || {
        assert_eq!(serin.get("/").status, 200);
        second.requests() > 0
    });
    replace("127.0.0.1:80\nlocalhost:80\n");
    until(SOON, "what is wrong is shown", || trouble(&serin).is_some_and(|why| why.contains("v1.txt:2:1")));
    assert_eq!(listed(&serin), [second.address().to_string()]);
    assert_eq!(serin.get("/").status, 200);
    fs::remove_file(&path).unwrap();
    until(SOON, "its absence is shown", || trouble(&serin).is_some_and(|why| why.contains("No such file")));
    assert_eq!(serin.get("/").status, 200);
    replace("[]");
    until(SOON, "none is meant", || serin.get("/").body.contains("no_endpoint"));
    replace(&first.address().to_string());
    until(SOON, "the file is whole again", || serin.get("/").status == 200);
    assert_eq!(trouble(&serin), None);
}
