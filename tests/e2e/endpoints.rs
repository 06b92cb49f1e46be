//! Endpoints that die, fail or come back: who is in use, what the user sees of it, and what is counted.
//!
//! Which endpoint gets what share is simulated in `serin-split`; where endpoints are found is in
//! [`super::discovery`].

use serde_json::{Value, json};
use serin_config::Address;
use serin_loadtest::{Listen, Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, one_version, two_versions},
    free_addresses, http as client,
    serin::Serin,
    until,
    wire::Wire,
};

/// A service of one version at these stubs.
fn service_at(stubs: &[&Stub], settings: &Value) -> Value {
    let mut config = one_version(stubs[0].address());
    let version = &mut config["services"][SERVICE]["versions"]["v1"];
    version["endpoints"] = stubs.iter().map(|stub| stub.address().to_string()).collect::<Vec<_>>().into();
    for (name, value) in settings.as_object().unwrap() {
        version[name] = value.clone();
    }
    config
}

fn stub() -> Stub {
    Stub::start(StubOptions::default()).unwrap()
}

/// What the admin listener says of an endpoint.
fn shown(serin: &Serin, address: &str) -> Value {
    let all = client::get(serin.admin, "/endpoints").unwrap().json();
    let versions = all["versions"].as_array().unwrap();
    let mut endpoints = versions.iter().flat_map(|version| version["endpoints"].as_array().unwrap());
    endpoints.find(|endpoint| endpoint["address"] == address).cloned().unwrap()
}

fn is_up(serin: &Serin, address: &str) -> bool {
    serin.metrics().sum("serin_endpoint_up", &[("endpoint", address)]) > 0.5
}

const CHECKED: &str = "100ms";

#[test]
fn an_endpoint_that_dies_is_taken_out_by_its_checks_and_comes_back_with_them() {
    let _machine = beside();
    let (stays, dies) = (stub(), stub());
    let (address, at) = (dies.address().to_string(), dies.address().clone());
    let health = json!({ "http": { "path": "/healthz", "status": 200 }, "interval": CHECKED, "fall": 2 });
    let settings = json!({ "health": health, "outlier": false, "balance": "round_robin" });
    let serin = Serin::start(service_at(&[&stays, &dies], &settings));
    until(SOON, "both pass", || {
        shown(&serin, &address)["health"] == "up" && is_up(&serin, &stays.address().to_string())
    });
    drop(dies);
    until(SOON, "it is out", || !is_up(&serin, &address));
    let said = shown(&serin, &address);
    assert_eq!(said["state"], "down", "{said}");
    assert!(said["why"].as_str().unwrap().contains("connecting"), "{said}");
    for _ in 0..100 {
        assert_eq!(serin.get("/").status, 200);
    }
    let back = Stub::start(StubOptions { listen: Listen::At(at), ..StubOptions::default() }).unwrap();
    until(SOON, "it is back", || is_up(&serin, &address));
    let before = back.requests();
    until(SOON, "it is used again", || {
        assert_eq!(serin.get("/").status, 200);
        back.requests() > before + 20
    });
    let metrics = serin.metrics();
    for result in ["pass", "fail"] {
        assert!(metrics.sum("serin_endpoint_health_checks_total", &[("result", result)]) >= 2.0, "{result}");
    }
}

#[test]
fn an_endpoint_whose_check_answers_badly_is_out_although_it_accepts() {
    let _machine = beside();
    let (well, ill) = (stub(), stub());
    ill.set_error_ppm(1_000_000);
    let health = json!({ "http": {}, "interval": CHECKED });
    let serin = Serin::start(service_at(&[&well, &ill], &json!({ "health": health })));
    let address = ill.address().to_string();
    until(SOON, "it is out", || !is_up(&serin, &address));
    let why = shown(&serin, &address)["why"].clone();
    assert_eq!(why, "status 503, which is not in 200-399");
    ill.set_error_ppm(0);
    until(SOON, "it is back", || is_up(&serin, &address));
}

#[test]
fn an_endpoint_that_fails_in_a_row_is_left_out_for_a_while_and_stays_charged_to_its_version() {
    let _machine = beside();
    let (well, ill) = (stub(), stub());
    ill.set_error_ppm(1_000_000);
    let settings = json!({
        "balance": "round_robin",
        "outlier": { "consecutive_failures": 5, "base_ejection": "2s", "max_ejection": "2s" },
    });
    let mut config = service_at(&[&well, &ill], &settings);
    config["services"][SERVICE]["retries"] = false.into();
    let serin = Serin::start(config);
    let address = ill.address().to_string();
    let mut failed = 0.0;
    until(SOON, "it is ejected", || {
        failed += f64::from(u8::from(serin.get("/").status == 503));
        !is_up(&serin, &address)
    });
    assert!(failed >= 5.0);
    let said = shown(&serin, &address);
    assert_eq!((&said["state"], &said["ejections"]), (&json!("ejected"), &json!(1)), "{said}");
    // Half of two is one: the other one stays, whatever it does.
    well.set_error_ppm(1_000_000);
    for _ in 0..10 {
        failed += f64::from(u8::from(serin.get("/").status == 503));
    }
    assert!(is_up(&serin, &well.address().to_string()));
    well.set_error_ppm(0);
    ill.set_error_ppm(0);
    until(SOON, "every failure is counted", || serin.metrics().outcome("v1", "http_5xx") == failed);
    let ejected = [("version", "v1"), ("reason", "consecutive_failures")];
    assert!(serin.metrics().sum("serin_endpoint_ejections_total", &ejected) >= 1.0);
    until(SOON, "it is back", || is_up(&serin, &address));
    let before = ill.requests();
    until(SOON, "it is used again", || {
        assert_eq!(serin.get("/").status, 200);
        ill.requests() > before + 5
    });
}

/// Two versions, of which the canary has no endpoint that is well.
fn without_canary(on_unready: &str) -> (Serin, Stub) {
    let stable = stub();
    let [nobody] = free_addresses();
    let mut config = two_versions(stable.address(), &Address::Tcp(nobody), "80%", "20%");
    let service = &mut config["services"][SERVICE];
    service["on_unready"] = on_unready.into();
    // It would take the canary out after a few failures: here its share is looked at, and each attempt of it.
    service["tripwire"] = false.into();
    service["retries"] = false.into();
    service["versions"]["v2"]["health"] = json!({ "tcp": {}, "interval": CHECKED });
    let serin = Serin::start(config);
    until(SOON, "the canary is out", || !is_up(&serin, &nobody.to_string()));
    (serin, stable)
}

const REQUESTS: usize = 300;

#[test]
fn a_version_without_endpoints_fails_exactly_its_share() {
    let _machine = beside();
    let (serin, stable) = without_canary("fail");
    let replies: Vec<_> = (0..REQUESTS).map(|_| serin.get("/")).collect();
    let failed = replies.iter().filter(|reply| reply.status == 503).count();
    assert!(replies.iter().all(|reply| reply.status == 200 || reply.body.contains("no_endpoint")));
    assert!(failed > 20, "{failed}");
    until(SOON, "all are counted", || serin.metrics().outcome("v2", "no_endpoint") == failed as f64);
    assert_eq!(stable.requests(), (REQUESTS - failed) as u64);
}

#[test]
fn what_spills_over_is_answered_counted_and_left_out_of_the_comparison() {
    let _machine = beside();
    let (serin, stable) = without_canary("spill");
    for _ in 0..REQUESTS {
        assert_eq!(serin.get("/").status, 200);
    }
    assert_eq!(stable.requests(), REQUESTS as u64);
    let spilled = || {
        let labels = [("service", SERVICE), ("from", "v2"), ("to", "v1")];
        serin.metrics().sum("serin_split_spilled_total", &labels)
    };
    assert!(spilled() > 20.0, "{}", spilled());
    until(SOON, "all are counted", || serin.metrics().outcome("v1", "ok") == REQUESTS as f64);
    let aside = [("version", "v1"), ("reason", "spilled")];
    assert_eq!(serin.metrics().sum("serin_requests_unjudged_total", &aside), spilled());
    assert_eq!(serin.metrics().requests("v2"), 0.0);
}

#[test]
fn a_user_stays_on_an_endpoint_by_ring_hash() {
    let _machine = beside();
    let stubs = [stub(), stub(), stub()];
    let settings = json!({ "balance": "ring_hash", "hash_header": "x-user" });
    let serin = Serin::start(service_at(&[&stubs[0], &stubs[1], &stubs[2]], &settings));
    let counts = || stubs.each_ref().map(Stub::requests);
    let mut owners = [0; 3];
    for user in 0..60 {
        let before = counts();
        let mut wire = Wire::connect(serin.web);
        for _ in 0..4 {
            let request = format!("GET / HTTP/1.1\r\nhost: a\r\nx-user: user-{user}\r\n\r\n");
            assert_eq!(wire.ask(request).status(), 200);
        }
        let after = counts();
        let moved: Vec<_> = (0..3).filter(|at| after[*at] > before[*at]).collect();
        assert_eq!(moved.len(), 1, "{before:?} {after:?}");
        owners[moved[0]] += 1;
    }
    assert!(owners.iter().all(|users| *users > 5), "{owners:?}");
}
