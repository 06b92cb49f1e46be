//! Where endpoints are found and how they are looked after: what a file says becomes, and what is wrong
//! with it. The form of each single value is tested beside its reader.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod reading;

use std::{path::Path, time::Duration};

use reading::Nothing;
use serin_config::{
    Balance, Config, Discovery, EndpointPolicy, OnUnready, Problems, Version,
    endpoint::{Dns, Probe},
    load,
    summary::summary,
};

fn read(text: &str) -> Result<Config, Problems> {
    load(text, "f", Path::new("/etc/serin"), &Nothing)
}

/// A file whose service holds `service` and whose only version holds `version`.
fn file(service: &str, version: &str) -> String {
    let comma = if service.is_empty() { "" } else { ", " };
    format!(
        "listeners: [{{ address: 127.0.0.1:8080 }}]\nroutes: [{{ service: shop }}]\n\
         services: {{ shop: {{ versions: {{ v1: {{ {version} }} }}{comma}{service} }} }}\n"
    )
}

const STATIC: &str = "endpoints: [127.0.0.1:9001]";

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn version(service: &str, version: &str) -> Version {
    good(&file(service, version)).catalogue.service("shop").unwrap().versions[0].clone()
}

fn policy(service: &str, of_version: &str) -> EndpointPolicy {
    version(service, &format!("{STATIC}, {of_version}")).endpoint_policy
}

/// Asserts that there is exactly one problem, at `path`, which holds each of `parts`.
fn assert_problem(text: &str, path: &str, parts: &[&str]) {
    let problems = match read(text) {
        Ok(_) => panic!("nothing was found wrong with\n{text}"),
        Err(problems) => problems.lines(),
    };
    assert_eq!(problems.len(), 1, "one problem in\n{text}\nbut {problems:#?}");
    assert!(problems[0].contains(&format!(": {path}: ")), "at {path}, but {}", problems[0]);
    for part in parts {
        assert!(problems[0].contains(part), "{part:?} in {}", problems[0]);
    }
}

const V1: &str = "services.shop.versions.v1";

#[test]
fn endpoints_are_found_in_the_file_by_name_or_in_a_file_of_their_own() {
    assert_eq!(version("", STATIC).discovery, None);
    let Some(Discovery::Dns(name)) = version("", "dns: \"shop.internal:8080\"").discovery else { panic!() };
    assert_eq!((name.host.as_str(), name.port), ("shop.internal", 8080));
    let file_of = |path: &str| version("", &format!("endpoints_file: {path}")).discovery;
    assert_eq!(file_of("v1.txt"), Some(Discovery::File("/etc/serin/v1.txt".into())));
    assert_eq!(file_of("/run/v1.txt"), Some(Discovery::File("/run/v1.txt".into())));
}

#[test]
fn the_certificate_of_an_endpoint_that_was_found_by_name_is_for_that_name() {
    let name_of = |text: &str| version("", text).tls.unwrap().server_name;
    assert_eq!(name_of("dns: \"Shop.internal.:443\", tls: {}"), Some("shop.internal".into()));
    assert_eq!(name_of("dns: \"a:443\", tls: { server_name: b }"), Some("b".into()));
    assert_eq!(name_of(&format!("{STATIC}, tls: {{}}")), None);
}

#[test]
fn endpoints_are_found_in_exactly_one_way() {
    assert_problem(&file("", ""), V1, &["\"endpoints\" is missing", "dns: shop.internal:8080"]);
    let both = file("", "endpoints: [127.0.0.1:1], dns: \"a:1\"");
    assert_problem(&both, V1, &["in one way only", "write one of endpoints, dns and endpoints_file"]);
    assert_problem(&file("", "dns: \"a\""), &format!("{V1}.dns"), &["is not a name with a port"]);
    assert_problem(
        &file("", "endpoints_file: \"\""),
        &format!("{V1}.endpoints_file"),
        &["the path is empty"],
    );
}

#[test]
fn the_number_of_endpoints_is_bounded() {
    let many: Vec<_> = (1..=1025).map(|port| format!("127.0.0.1:{port}")).collect();
    let text = file("", &format!("endpoints: [{}]", many.join(", ")));
    assert_problem(&text, &format!("{V1}.endpoints"), &["there are 1025 endpoints", "at most 1024"]);
}

#[test]
fn without_a_word_the_default_policy_holds() {
    let policy = policy("", "");
    assert_eq!(policy, EndpointPolicy::default());
    assert_eq!((policy.balance, policy.slow_start, policy.health), (Balance::P2c, None, None));
    let outlier = policy.outlier.unwrap();
    assert_eq!(outlier.consecutive_failures, Some(5));
    assert_eq!(outlier.base_ejection, Duration::from_secs(30));
    assert_eq!(outlier.max_ejection, Duration::from_secs(300));
    assert_eq!(outlier.max_ejected.to_string(), "50%");
    assert_eq!(outlier.success_rate.unwrap().deviations, 1.9);
}

#[test]
fn a_version_says_otherwise_than_its_service_field_by_field() {
    let service = "balance: least_request, slow_start: 30s, health: { tcp: {} }, outlier: off";
    let inherited = policy(service, "");
    assert_eq!(inherited.balance, Balance::LeastRequest);
    assert_eq!(inherited.slow_start, Some(Duration::from_secs(30)));
    assert_eq!(inherited.health.as_ref().unwrap().probe, Probe::Tcp);
    assert_eq!(inherited.outlier, None);
    let own = policy(service, "balance: round_robin, health: off, outlier: { consecutive_failures: 3 }");
    assert_eq!(own.balance, Balance::RoundRobin);
    assert_eq!(own.slow_start, inherited.slow_start);
    assert_eq!(own.health, None);
    assert_eq!(own.outlier.unwrap().consecutive_failures, Some(3));
    assert_eq!(policy(service, "slow_start: none").slow_start, None);
}

#[test]
fn a_health_check_has_the_defaults_of_haproxy() {
    let health = policy("", "health: { http: { path: /healthz } }").health.unwrap();
    let expected = Probe::Http { path: "/healthz".into(), status: "200-399".parse_range(), host: None };
    assert_eq!(health.probe, expected);
    assert_eq!((health.interval, health.timeout), (Duration::from_secs(2), Duration::from_secs(1)));
    assert_eq!((health.rise, health.fall), (2, 3));
    let grpc = policy("", "health: { grpc: { service: a.B }, interval: 5s, fall: 1 }").health.unwrap();
    assert_eq!(grpc.probe, Probe::Grpc { service: "a.B".into() });
    assert_eq!((grpc.interval, grpc.fall), (Duration::from_secs(5), 1));
}

trait ParseRange {
    fn parse_range(&self) -> serin_config::endpoint::StatusRange;
}

impl ParseRange for str {
    fn parse_range(&self) -> serin_config::endpoint::StatusRange {
        let (first, last) = self.split_once('-').unwrap();
        serin_config::endpoint::StatusRange::try_new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }
}

#[test]
fn a_health_check_asks_one_thing() {
    let with = |health: &str| file("", &format!("{STATIC}, health: {health}"));
    let at = format!("{V1}.health");
    assert_problem(&with("{ interval: 1s }"), &at, &["it is not said what is asked", "tcp: {}"]);
    assert_problem(&with("{ tcp: {}, grpc: {} }"), &at, &["one thing only"]);
    assert_problem(&with("{ http: { path: healthz } }"), &format!("{at}.http.path"), &["is not a path"]);
    assert_problem(&with("{ http: { status: 2xx } }"), &format!("{at}.http.status"), &["200-399"]);
    assert_problem(&with("{ http: { host: \"a b\" } }"), &format!("{at}.http.host"), &["can't be a host"]);
    assert_problem(&with("{ tcp: {}, interval: 1ms }"), &format!("{at}.interval"), &["from 100ms to 1h"]);
    assert_problem(&with("{ tcp: {}, rise: 0 }"), &format!("{at}.rise"), &["from 1 to 100"]);
    assert_problem(&with("{ tcp: { port: 1 } }"), &format!("{at}.tcp"), &["a map stands where {} must"]);
}

#[test]
fn ring_hash_needs_a_key() {
    let at = format!("{V1}.balance");
    let text = file("", &format!("{STATIC}, balance: ring_hash"));
    assert_problem(&text, &at, &["ring_hash has no key", "hash_header: NAME"]);
    let sticky = policy("sticky: { cookie: user }", "balance: ring_hash");
    assert_eq!(sticky.balance, Balance::RingHash { header: None });
    let header = policy("", "balance: ring_hash, hash_header: X-User");
    assert_eq!(header.balance, Balance::RingHash { header: Some("x-user".into()) });
    let text = file("", &format!("{STATIC}, hash_header: x-user"));
    assert_problem(&text, &format!("{V1}.hash_header"), &["only ring_hash"]);
    let text = file("", &format!("{STATIC}, balance: ring_hash, hash_header: x, slow_start: 1s"));
    assert_problem(&text, &format!("{V1}.slow_start"), &["with ring_hash the key decides"]);
    let text = file("", &format!("{STATIC}, balance: p2d"));
    assert_problem(&text, &at, &["did you mean p2c?"]);
}

#[test]
fn an_ejection_is_no_longer_than_the_longest() {
    let outlier = policy("", "outlier: { base_ejection: 10m }").outlier.unwrap();
    assert_eq!(outlier.max_ejection, Duration::from_secs(600));
    let text = file("", &format!("{STATIC}, outlier: {{ base_ejection: 10m, max_ejection: 5m }}"));
    assert_problem(&text, &format!("{V1}.outlier"), &["shorter than the first"]);
    let never = policy("", "outlier: { consecutive_failures: 0, success_rate: off }").outlier.unwrap();
    assert_eq!((never.consecutive_failures, never.success_rate), (None, None));
}

#[test]
fn what_happens_without_an_endpoint_is_a_choice() {
    let of = |service: &str| good(&file(service, STATIC)).catalogue.service("shop").unwrap().on_unready;
    assert_eq!(of(""), OnUnready::Fail);
    assert_eq!(of("on_unready: spill"), OnUnready::Spill);
    let text = file("on_unready: spil", STATIC);
    assert_problem(&text, "services.shop.on_unready", &["did you mean spill?"]);
}

#[test]
fn names_are_asked_of_resolvers_within_bounds() {
    let with = |dns: &str| format!("{}dns: {dns}\n", file("", STATIC));
    assert_eq!(good(&file("", STATIC)).dns, Dns::default());
    let dns = good(&with("{ resolvers: [127.0.0.1:5353], min_ttl: 2s }")).dns;
    assert_eq!((dns.resolvers.len(), dns.min_ttl), (1, Duration::from_secs(2)));
    assert_problem(&with("{ resolvers: [] }"), "dns.resolvers", &["there are 0 resolvers"]);
    assert_problem(
        &with("{ resolvers: [unix:/a] }"),
        "dns.resolvers[0]",
        &["is not where a resolver listens"],
    );
    assert_problem(&with("{ min_ttl: 1m, max_ttl: 30s }"), "dns.max_ttl", &["shorter than min_ttl"]);
}

#[test]
fn the_summary_says_what_is_not_as_always() {
    let service = "balance: round_robin, slow_start: 30s, on_unready: spill, outlier: off, \
                   health: { http: { path: /healthz } }";
    let text = summary(&good(&file(service, "dns: \"shop.internal:80\"")));
    for line in [
        "  version   v1             stable  dns shop.internal:80",
        "  endpoints round_robin, slow start 30s, checked by GET /healthz 200-399 every 2s, never ejected",
        "  unready   spill to a version that is ready",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} is not in\n{text}");
    }
    assert!(!summary(&good(&file("", STATIC))).contains("\n  endpoints "));
}
