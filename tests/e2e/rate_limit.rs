//! Limits hold for all workers together, for the route or for each client, and say when to come again.
//!
//! The arithmetic of buckets is tested in `serin-split`, with times that are given.

use serde_json::{Value, json};

use crate::harness::{
    beside,
    config::{SERVICE, one_version},
    endpoint::{Endpoint, ok},
    serin::Serin,
    wire::Wire,
};

fn rig(limit: &Value, workers: usize) -> (Endpoint, Serin) {
    let endpoint = Endpoint::answering(|_| ok(""));
    let mut config = one_version(endpoint.address());
    config["routes"] = json!([
        { "name": "limited", "path_prefix": "/limited", "service": SERVICE, "rate_limit": limit },
        { "name": "free", "service": SERVICE },
    ]);
    config["limits"]["workers"] = workers.into();
    config["listeners"] = json!([{ "trusted_proxies": ["127.0.0.0/8"] }]);
    let serin = Serin::start(config);
    (endpoint, serin)
}

#[test]
fn a_route_takes_its_burst_and_no_more_whichever_worker_is_asked() {
    let _machine = beside();
    // So slow that no token comes back while the test runs.
    let (endpoint, serin) = rig(&json!({ "requests_per_second": 0.001, "burst": 7 }), 2);
    // Each connection goes to one worker or the other.
    let answers: Vec<_> = (0..20).map(|_| serin.get("/limited")).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 7);
    let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((900..=1_000).contains(&wait), "a token in 1000 s, but {wait}");
    assert!(refused.body.starts_with("serin: rate_limited: "), "{}", refused.body);
    assert_eq!((serin.get("/other").status, endpoint.requests()), (200, 8));
    let limited = serin.metrics().sum("serin_requests_rate_limited_total", &[("route", "limited")]);
    assert_eq!(limited, 13.0);
    assert_eq!(serin.metrics().sum("serin_requests_rate_limited_total", &[("route", "free")]), 0.0);
}

#[test]
fn each_client_or_header_has_a_bucket_of_its_own() {
    let _machine = beside();
    for (key, field) in
        [(json!("client_address"), "x-forwarded-for"), (json!({ "header": "x-key" }), "x-key")]
    {
        let (_endpoint, serin) = rig(&json!({ "requests_per_second": 0.001, "burst": 2, "key": key }), 1);
        let mut client = Wire::connect(serin.web);
        let mut ask = |value: &str| {
            client.ask(format!("GET /limited HTTP/1.1\r\nhost: a\r\n{field}: {value}\r\n\r\n")).status()
        };
        for value in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            assert_eq!([(); 3].map(|()| ask(value)), [200, 200, 429], "{field}: {value}");
        }
        assert_eq!(ask("192.0.2.1"), 429);
    }
}

#[test]
fn a_reload_that_leaves_the_limit_alone_leaves_its_buckets_alone() {
    let _machine = beside();
    let (_endpoint, serin) = rig(&json!({ "requests_per_second": 0.001, "burst": 3 }), 1);
    assert_eq!(serin.get("/limited").status, 200);
    let mut config = serin.config().clone();
    config["routes"].as_array_mut().unwrap().push(json!({ "path": "/new", "respond": { "body": "new" } }));
    serin.replace_file(&config.to_string());
    crate::harness::until(crate::harness::SOON, "the new routes serve", || serin.get("/new").body == "new");
    assert_eq!([(); 3].map(|()| serin.get("/limited").status), [200, 200, 429]);
}
