//! Routes that match by more than host and path, that answer themselves, change heads, limit rates; overrides
//! and mirrors: what is read, and what is said of each mistake.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod reading;

use std::{path::Path, time::Duration};

use reading::Nothing;
use serin_config::{
    Config, Problems, Route, Service, filter::PathEdit, limits, load, matching::ValueMatch,
    rate_limit::LimitKey, route::Action, steer::OverrideKey, summary::summary,
};

/// A file with these routes, and these lines more in its service.
fn file(routes: &[&str], more: &str) -> String {
    let routes: Vec<String> = routes.iter().map(|route| format!("  - {{ {route} }}\n")).collect();
    format!(
        "listeners: [{{ address: \"127.0.0.1:8080\" }}]\nroutes:\n{}services:\n  shop:\n    versions:\n      \
         v1: {{ endpoints: [\"127.0.0.1:9001\"] }}\n      v2: {{ endpoints: [\"127.0.0.1:9002\"] }}\n    \
         stable: v1\n    canary: v2\n{more}",
        routes.concat()
    )
}

fn read(text: &str) -> Result<Config, Problems> {
    load(text, "f", Path::new("/"), &Nothing)
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

fn route(route: &str) -> Route {
    good(&file(&[route], "")).catalogue.routes()[0].clone()
}

fn service(more: &str) -> Service {
    good(&file(&["service: shop"], more)).catalogue.services()[0].clone()
}

/// Asserts that each text has one problem at the place that holds the part.
fn assert_problem(text: &str, place: &str, part: &str) {
    let problems = match read(text) {
        Ok(_) => panic!("nothing was found wrong with\n{text}"),
        Err(problems) => problems.lines(),
    };
    assert_eq!(problems.len(), 1, "one problem in\n{text}\nbut {problems:#?}");
    assert!(problems[0].contains(&format!(": {place}: ")), "at {place}, but {}", problems[0]);
    assert!(problems[0].contains(part), "{part:?} in {}", problems[0]);
}

fn wrong_route(route: &str, place: &str, part: &str) {
    assert_problem(&file(&[route], ""), &format!("routes[0]{place}"), part);
}

#[test]
fn every_condition_is_read_and_shown() {
    let text = file(
        &["name: all, service: shop, priority: 7, host: \"*.shop.example\", path_regex: \"/v[0-9]+/.*\", \
           methods: [POST, GET, GET], headers: { X-Beta: 1, x-kind: { prefix: a } }, \
           query: { q: { regex: \"[a-z]+\" } }, cookies: { uid: { present: true } }, \
           client: [10.1.2.3/8], client_certificate: [\"spiffe://example/*\"]"],
        "",
    );
    let config = good(&text);
    let route = &config.catalogue.routes()[0];
    assert_eq!(route.conditions.methods, ["GET", "POST"]);
    assert_eq!(route.conditions.headers[0], ("x-beta".into(), ValueMatch::Exact("1".into())));
    assert_eq!(route.conditions.cookies[0], ("uid".into(), ValueMatch::Present(true)));
    assert_eq!(route.conditions.client[0].to_string(), "10.0.0.0/8");
    assert_eq!(route.conditions.count(), 7);
    let shown = "  all                  *.shop.example ~ /v[0-9]+/.* GET|POST, header x-beta=1, header x-kind=a…, \
                 query q ~ [a-z]+, cookie uid is there, client in 10.0.0.0/8, certificate of spiffe://example/* \
                 → shop, priority 7";
    let summary = summary(&config);
    assert!(summary.lines().any(|line| line == shown), "{summary}");
}

#[test]
fn routes_are_tried_by_priority_then_host_then_path_then_conditions_then_order() {
    let config = good(&file(
        &[
            "name: any, service: shop",
            "name: any-post, service: shop, methods: [POST]",
            "name: any-long, service: shop, path_prefix: /a/b",
            "name: any-regex-1, service: shop, path_regex: \"/.*x\"",
            "name: any-regex-2, service: shop, path_regex: \"/a.*\"",
            "name: any-exact, service: shop, path: /a",
            "name: short-wildcard, service: shop, host: \"*.example\"",
            "name: long-wildcard, service: shop, host: \"*.shop.example\"",
            "name: exact-host, service: shop, host: shop.example",
            "name: first, service: shop, priority: 1, path: /z",
        ],
        "",
    ));
    let names: Vec<_> = config.catalogue.routes().iter().map(|route| route.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "first",
            "exact-host",
            "long-wildcard",
            "short-wildcard",
            "any-exact",
            "any-regex-1",
            "any-regex-2",
            "any-long",
            "any-post",
            "any"
        ]
    );
}

#[test]
fn the_same_conditions_in_another_order_are_the_same() {
    let text = file(
        &[
            "name: a, service: shop, methods: [GET, POST], headers: { x-a: 1, x-b: 2 }",
            "name: b, service: shop, methods: [POST, GET], headers: { X-B: 2, X-A: 1 }, priority: 3",
        ],
        "",
    );
    assert_problem(&text, "routes[1]", "route \"a\" of line 3 matches the same requests");
    good(&file(&["name: a, service: shop, methods: [GET]", "name: b, service: shop, methods: [POST]"], ""));
}

#[test]
fn conditions_that_nothing_could_meet_are_refused() {
    for (more, place, part) in [
        ("methods: []", ".methods", "empty list"),
        ("methods: [get]", ".methods[0]", "write GET"),
        ("methods: [CONNECT]", ".methods[0]", "is never served"),
        ("methods: [\"G T\"]", ".methods[0]", "is not a method"),
        ("headers: { \"x a\": 1 }", ".headers.x a", "can't be the name of a header"),
        ("headers: { x-a: {} }", ".headers.x-a", "not said in one way"),
        ("headers: { x-a: { prefix: a, present: true } }", ".headers.x-a", "not said in one way"),
        ("headers: { x-a: { regex: \"(\" } }", ".headers.x-a.regex", "unclosed group"),
        ("headers: { x-a: 1, X-A: 2 }", ".headers.X-A", "stands in line 3 already"),
        ("headers: { x-a: \"a\\nb\" }", ".headers.x-a", "no such value can come"),
        ("cookies: { \"a=b\": 1 }", ".cookies.a=b", "can't be the name of a cookie"),
        ("client: [10.0.0.0/40]", ".client[0]", "is not a network"),
        ("client: []", ".client", "empty list"),
        ("client_certificate: [\"a*b\"]", ".client_certificate[0]", "is not a name in a certificate"),
        ("path: /a, path_prefix: /b", ".path_prefix", "in one way"),
        ("path: a", ".path", "does not begin with"),
        ("path: \"/a\\\\b\"", ".path", "the character"),
        ("path_regex: \"[\"", ".path_regex", "is not a regular expression: unclosed character class"),
        ("priority: 1000001", ".priority", "out of range"),
    ] {
        wrong_route(&format!("service: shop, {more}"), place, part);
    }
}

#[test]
fn a_route_answers_itself_or_redirects_or_leads_to_a_service() {
    let answer = route("respond: { status: 503, body: closed, headers: { Retry-After: 60 } }");
    let Action::Respond(answer) = answer.action else { panic!("{answer:?}") };
    assert_eq!((answer.status, answer.body.as_str()), (503, "closed"));
    assert_eq!(answer.headers, [("retry-after".into(), "60".into())]);
    let away =
        route("path_prefix: /old, redirect: { scheme: https, host: WWW.example, prefix: /new, port: 8443 }");
    let Action::Redirect(away) = away.action else { panic!("{away:?}") };
    assert_eq!((away.status, away.host.as_deref(), away.port), (307, Some("www.example"), Some(8443)));
    assert_eq!(away.path, Some(PathEdit::Prefix("/new".into())));
    for (text, place, part) in [
        ("host: a", "", "\"service\" is missing"),
        ("service: shop, respond: {}", "", "does one thing"),
        ("respond: { status: 199 }", ".respond.status", "out of range"),
        ("respond: { status: 204, body: x }", ".respond", "has no body"),
        ("redirect: {}", ".redirect", "where it already is"),
        ("redirect: { scheme: ftp }", ".redirect.scheme", "not a scheme"),
        ("redirect: { host: \"a:1\" }", ".redirect.host", "is not a host"),
        ("redirect: { path: /a, status: 304 }", ".redirect.status", "does not send anybody"),
        ("redirect: { path: /a, prefix: /b }", ".redirect.prefix", "not both"),
        ("path: /x, redirect: { prefix: /b }", "", "the route matches none"),
        ("respond: {}, rewrite: { host: a }", ".rewrite", "has no effect"),
        ("respond: {}, request_headers: { remove: [a] }", ".request_headers", "has no effect"),
        ("redirect: { path: /a }, timeouts: { total: 1s }", ".timeouts", "has no effect"),
    ] {
        wrong_route(text, place, part);
    }
}

#[test]
fn no_edit_can_end_a_line_or_frame_a_message() {
    let edited = route(
        "service: shop, rewrite: { prefix: /, host: \"Inner:8080\" }, \
         request_headers: { set: { X-A: \" a b \" }, add: { x-b: 2 }, remove: [Cookie] }, \
         response_headers: { remove: [server] }, timeouts: { header: 2s, idle: none }",
    );
    assert_eq!(edited.rewrite.host.as_deref(), Some("inner:8080"));
    assert_eq!(edited.request_headers.set, [("x-a".into(), "a b".into())]);
    assert_eq!(edited.request_headers.remove, ["cookie"]);
    let timeouts = edited.timeouts(&Default::default());
    assert_eq!((timeouts.header, timeouts.idle), (Some(Duration::from_secs(2)), None));
    assert_eq!(timeouts.connect, limits::CONNECT_TIMEOUT_DEFAULT);
    for (more, place, part) in [
        (
            "response_headers: { set: { x-a: \"a\\r\\nset-cookie: b\" } }",
            ".response_headers.set.x-a",
            "on one line",
        ),
        ("response_headers: { add: { x-a: \"a\\nb\" } }", ".response_headers.add.x-a", "on one line"),
        ("request_headers: { set: { x-a: \"ä\" } }", ".request_headers.set.x-a", "visible ASCII"),
        ("request_headers: { set: { \"a: b\": 1 } }", ".request_headers.set.a: b", "can't be the name"),
        (
            "request_headers: { set: { Content-Length: 1 } }",
            ".request_headers.set.Content-Length",
            "it frames",
        ),
        (
            "response_headers: { add: { transfer-encoding: x } }",
            ".response_headers.add.transfer-encoding",
            "it frames",
        ),
        ("request_headers: { remove: [connection] }", ".request_headers.remove[0]", "one hop"),
        ("request_headers: { set: { host: a } }", ".request_headers.set.host", "rewrite: { host"),
        (
            "response_headers: { set: { x-serin-version: a } }",
            ".response_headers.set.x-serin-version",
            "only Serin",
        ),
        ("request_headers: { set: { a: 1, A: 2 } }", ".request_headers.set.A", "stands twice"),
        ("rewrite: { host: \"a b\" }", ".rewrite.host", "is not a host"),
        ("rewrite: { path: /a, prefix: /b }", ".rewrite.prefix", "not both"),
        ("path: /x, rewrite: { prefix: /b }", "", "the route matches none"),
    ] {
        wrong_route(&format!("service: shop, {more}"), place, part);
    }
}

#[test]
fn a_rate_limit_has_a_burst_and_a_key() {
    let limit = |text: &str| route(&format!("service: shop, rate_limit: {text}")).rate_limit.unwrap();
    let plain = limit("{ requests_per_second: 0.5 }");
    assert_eq!((plain.burst, plain.key), (1, LimitKey::Route));
    assert_eq!(limit("{ requests_per_second: 20 }").burst, 20);
    assert_eq!(limit("{ requests_per_second: 9, key: client_address }").key, LimitKey::ClientAddress);
    let by_header = limit("{ requests_per_second: 9, burst: 50, key: { header: X-Key } }");
    assert_eq!((by_header.burst, by_header.key), (50, LimitKey::Header("x-key".into())));
    for (text, place, part) in [
        ("{}", ".rate_limit", "\"requests_per_second\" is missing"),
        ("{ requests_per_second: 0 }", ".rate_limit.requests_per_second", "out of range"),
        ("{ requests_per_second: 1, burst: 0 }", ".rate_limit.burst", "out of range"),
        ("{ requests_per_second: 1, key: cookie }", ".rate_limit.key", "has no buckets"),
        ("{ requests_per_second: 1, key: {} }", ".rate_limit.key", "\"header\" is missing"),
    ] {
        wrong_route(&format!("service: shop, rate_limit: {text}"), place, part);
    }
}

#[test]
fn overrides_and_a_mirror_name_versions_that_are_there() {
    let pinned = service(
        "    overrides: [{ header: X-Version }, { cookie: beta, value: \"1\", version: v2 }]\n    \
         mirror: { version: v2, share: 10%, max_body: 4KiB }\n",
    );
    assert_eq!(pinned.overrides[0].key, OverrideKey::Header("x-version".into()));
    assert_eq!(pinned.overrides[1].version.as_ref().unwrap().as_str(), "v2");
    let mirror = pinned.mirror.unwrap();
    assert_eq!((mirror.max_body, mirror.max_in_flight), (4096, limits::MIRROR_IN_FLIGHT_DEFAULT));
    let at = "services.shop";
    for (more, place, part) in [
        ("overrides: [{}]", ".overrides[0]", "by one header or one cookie"),
        ("overrides: [{ header: a, cookie: b }]", ".overrides[0]", "by one header or one cookie"),
        ("overrides: [{ header: a, value: b }]", ".overrides[0].value", "is not said"),
        ("overrides: [{ header: a, version: v3 }]", ".overrides[0].version", "there is no version \"v3\""),
        ("overrides: [{ header: \"a b\" }]", ".overrides[0].header", "can't be the name"),
        ("mirror: {}", ".mirror", "\"version\" is missing"),
        ("mirror: { version: v9 }", ".mirror.version", "there is no version \"v9\""),
        ("mirror: { version: v2, max_body: 64 }", ".mirror.max_body", "is not a size"),
        ("mirror: { version: v2, max_body: 2MiB }", ".mirror.max_body", "at most 1MiB"),
        ("mirror: { version: v2, max_in_flight: 0 }", ".mirror.max_in_flight", "out of range"),
    ] {
        assert_problem(&file(&["service: shop"], &format!("    {more}\n")), &format!("{at}{place}"), part);
    }
}
