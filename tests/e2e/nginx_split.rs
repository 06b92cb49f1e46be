//! Real servers, a real client: two nginx behind Serin, h2load in front of it. Every request is counted
//! once by whoever served it and once by Serin, and the two counts are the same.
//!
//! Stickiness and weights that change are covered by the picker's own tests and by `weight_changes`.

use std::collections::HashSet;

use crate::harness::{
    SOON, alone,
    config::two_versions,
    eventually,
    serin::Serin,
    tools::{Nginx, h2load},
};

const REQUESTS_H1: u64 = 100_000;
const REQUESTS_H2: u64 = 20_000;

#[test]
fn two_nginx_share_the_traffic_as_weighted_and_both_sides_count_the_same() {
    let _machine = alone();
    let (stable, canary) = (Nginx::start("v1"), Nginx::start("v2"));
    assert_eq!((stable.answers(), canary.answers()), (200, 200));
    let serin = Serin::start(two_versions(&stable.address(), &canary.address(), "90%", "10%"));

    h2load(serin.web, REQUESTS_H1, 32, &["--h1"]);
    let first = counts(&serin, [&stable, &canary], REQUESTS_H1);
    assert_share("HTTP/1.1", first, REQUESTS_H1);

    // Without --h1, h2load speaks clear-text HTTP/2 with prior knowledge.
    h2load(serin.web, REQUESTS_H2, 4, &["-m", "16"]);
    let both = counts(&serin, [&stable, &canary], REQUESTS_H1 + REQUESTS_H2);
    assert_share("HTTP/2", [both[0] - first[0], both[1] - first[1]], REQUESTS_H2);

    let mut traces = HashSet::new();
    for nginx in [&stable, &canary] {
        for line in through_serin(&nginx.log()) {
            let (status, trace) = line.split_once(' ').unwrap();
            assert_eq!(status, "200", "{line}");
            assert_trace_parent(trace);
            traces.insert(trace.to_owned());
        }
    }
    assert_eq!(traces.len() as u64, REQUESTS_H1 + REQUESTS_H2, "each request has a trace of its own");
}

/// Waits until Serin has told of all requests; compares its counts with the servers' own logs.
fn counts(serin: &Serin, nginx: [&Nginx; 2], total: u64) -> [u64; 2] {
    let told = eventually(SOON, "all requests are in the metrics", || {
        let metrics = serin.metrics();
        let told = ["v1", "v2"].map(|version| metrics.outcome(version, "ok") as u64);
        (told[0] + told[1] == total).then_some(told)
    });
    let logged = nginx.map(|nginx| through_serin(&nginx.log()).count() as u64);
    assert_eq!(logged, told, "nginx's access logs (left) and serin_requests_total (right)");
    let metrics = serin.metrics();
    assert_eq!(metrics.requests("v1") + metrics.requests("v2"), total as f64, "no outcome but ok");
    told
}

/// The lines of requests that came through the proxy: the test's own first request had no trace.
fn through_serin(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| !line.ends_with(" -"))
}

fn assert_share(protocol: &str, [stable, canary]: [u64; 2], total: u64) {
    assert_eq!(stable + canary, total);
    let expected = total as f64 * 0.1;
    let deviation = (total as f64 * 0.1 * 0.9).sqrt();
    let off = (canary as f64 - expected) / deviation;
    println!(
        "{protocol}: {canary} of {total} requests went to the 10 % canary, {off:+.2} standard deviations off"
    );
    assert!(off.abs() <= 4.0, "{canary} of {total} at 10 %: {off:+.2} standard deviations");
}

/// W3C Trace Context, level 2: version 00, ids that are not all zeros.
fn assert_trace_parent(text: &str) {
    let parts: Vec<&str> = text.split('-').collect();
    let well_formed = parts.len() == 4
        && parts[0] == "00"
        && [32, 16, 2] == [parts[1].len(), parts[2].len(), parts[3].len()]
        && parts.iter().all(|part| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        && parts[1].bytes().any(|b| b != b'0')
        && parts[2].bytes().any(|b| b != b'0');
    assert!(well_formed, "not a traceparent: {text}");
}
