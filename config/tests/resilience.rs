//! Retries, shield, breaker, adaptive concurrency and trip-wire: what a file may say of them, and what is
//! said of a file that says it wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod reading;

use std::time::Duration;

use reading::of_service as read;
use serin_config::{Config, Problems, Resilience, limits::MaxMemory, resilience::RetryOn, summary::summary};

fn resilience(lines: &str) -> Resilience {
    read(lines).unwrap().catalogue.service("shop").unwrap().resilience.clone()
}

fn assert_problem(lines: &str, place: &str, parts: &[&str]) {
    let problems = match read(lines) {
        Ok(_) => panic!("nothing was found wrong with {lines}"),
        Err(problems) => problems.lines(),
    };
    assert_eq!(problems.len(), 1, "one problem in {lines} but {problems:#?}");
    assert!(problems[0].contains(&format!(": services.shop.{place}: ")), "at {place}, but {}", problems[0]);
    for part in parts {
        assert!(problems[0].contains(part), "{part:?} in {}", problems[0]);
    }
}

#[test]
fn a_file_that_says_nothing_has_the_defaults() {
    assert_eq!(resilience(""), Resilience::default());
    assert_eq!(resilience("retries: {}"), Resilience::default());
    assert_eq!(resilience("tripwire: { hang: {} }"), Resilience::default());
}

#[test]
fn all_of_it_can_be_said() {
    let all = resilience(
        "retries: { attempts: 2, on: [http_503, reset_before_headers], per_try_timeout: 2s, backoff: 5ms, max_backoff: 50ms, budget: 10%, budget_floor: 1, max_body: 1024 }
    shield: true
    breaker: { max_requests: 10, max_connections: 5, max_pending: 7, pending_timeout: 300ms, fallback: { status: 200, body: sorry, headers: { X-Fallback: \"yes\" } } }
    adaptive_concurrency: { min: 5, max: 50, tolerance: 2 }
    tripwire: { connect_failures: 3, timeouts: off, failed_requests: 100, hang: { requests: 4, silence: 1s } }",
    );
    let retries = all.retries.unwrap();
    assert!(
        retries.on.has(RetryOn::Http503) && !retries.on.has(RetryOn::ConnectFail) && retries.on.resends()
    );
    assert_eq!((retries.attempts, retries.max_body, retries.budget_floor), (2, 1024, 1));
    assert_eq!(retries.per_try_timeout, Some(Duration::from_secs(2)));
    assert!(all.shield);
    let fallback = all.breaker.fallback.unwrap();
    assert_eq!(fallback.headers, [("x-fallback".to_owned(), "yes".to_owned())]);
    assert_eq!((fallback.status, fallback.body.as_str()), (200, "sorry"));
    let adaptive = all.adaptive_concurrency.unwrap();
    assert_eq!((adaptive.min, adaptive.max, adaptive.initial), (5, 50, 50));
    let wire = all.tripwire.unwrap();
    assert_eq!((wire.connect_failures, wire.timeouts, wire.failed_requests), (Some(3), None, Some(100)));
    assert_eq!(wire.hang.unwrap().requests, 4);
}

#[test]
fn what_is_on_can_be_switched_off_and_what_is_off_on() {
    let off = resilience("retries: off\n    tripwire: off\n    adaptive_concurrency: on");
    assert!(off.retries.is_none() && off.tripwire.is_none());
    assert_eq!(off.adaptive_concurrency, Some(Default::default()));
    assert_eq!(resilience("adaptive_concurrency: off").adaptive_concurrency, None);
    assert_eq!(resilience("tripwire: { hang: off }").tripwire.unwrap().hang, None);
}

#[test]
fn what_is_wrong_is_placed_and_says_what_would_be_right() {
    for (lines, place, parts) in [
        ("retries: { attempts: 0 }", "retries.attempts", &["0 is out of range", "from 1 to 10"][..]),
        ("retries: { on: [conect_fail] }", "retries.on[0]", &["did you mean connect_fail?"]),
        ("retries: { on: [] }", "retries.on", &["nothing to try again after", "retries: off"]),
        ("retries: on", "retries", &["neither \"off\" nor settings"]),
        ("retries: { backoff: 1s }", "retries.backoff", &["shorter than the first"]),
        ("retries: { max_body: 9999999 }", "retries.max_body", &["out of range", "1048576"]),
        ("breaker: { max_requests: 0 }", "breaker.max_requests", &["out of range"]),
        ("breaker: { fallback: { status: 101 } }", "breaker.fallback.status", &["from 200 to 599"]),
        (
            "breaker: { fallback: { headers: { Content-Length: 3 } } }",
            "breaker.fallback.headers.Content-Length",
            &["belongs to the connection"],
        ),
        (
            "breaker: { fallback: { headers: { x: \"a\\r\\nb\" } } }",
            "breaker.fallback.headers.x",
            &["can't be the value of a header field"],
        ),
        (
            "breaker: { fallback: { headers: { \"a b\": c } } }",
            "breaker.fallback.headers.a b",
            &["can't be the name of a header field"],
        ),
        ("adaptive_concurrency: maybe", "adaptive_concurrency", &["neither \"on\" nor \"off\""]),
        ("adaptive_concurrency: { min: 9, max: 3 }", "adaptive_concurrency", &["min (9) is above max (3)"]),
        ("adaptive_concurrency: { initial: 5000 }", "adaptive_concurrency", &["not between min (3)"]),
        ("tripwire: { connect_failures: 0 }", "tripwire.connect_failures", &["or off"]),
        ("tripwire: { timeouts: never }", "tripwire.timeouts", &["not a whole number", "or off"]),
        (
            "tripwire: { connect_failures: off, timeouts: off, hang: off }",
            "tripwire",
            &["nothing can trip", "tripwire: off"],
        ),
        ("tripwire: { hang: { silence: 1ms } }", "tripwire.hang.silence", &["out of range"]),
        ("shield: yes", "shield", &["neither true nor false"]),
    ] {
        assert_problem(lines, place, parts);
    }
}

#[test]
fn the_summary_tells_what_is_on() {
    let text = summary(&read("").unwrap());
    assert!(
        text.contains("retries   once on connect_fail, connect_timeout, unsent, refused_stream"),
        "{text}"
    );
    assert!(
        text.contains("tripwire  5 connect failures in a row, 5 timeouts in a row, 10 requests"),
        "{text}"
    );
    let text = summary(&read("retries: off\n    shield: true\n    tripwire: off").unwrap());
    assert!(text.contains("retries   off; shield on") && text.contains("tripwire  off"), "{text}");
}

/// A file with these limits.
fn limits(text: &str) -> Result<Config, Problems> {
    read(&format!("sticky: {{ client_address: true }}\nlimits: {{ {text} }}"))
}

#[test]
fn memory_and_requests_in_all_can_be_bounded() {
    let none = limits("").unwrap().limits;
    assert_eq!((none.max_requests, none.max_memory), (None, MaxMemory::Auto));
    let some = limits("max_requests: 7, max_memory: 512MiB").unwrap().limits;
    assert_eq!((some.max_requests, some.max_memory), (Some(7), MaxMemory::Bytes(512 << 20)));
    assert_eq!(limits("max_memory: none").unwrap().limits.max_memory, MaxMemory::None);
    for (wrong, said) in [
        ("max_memory: 512", "not a size"),
        ("max_memory: 512MB", "KiB, MiB, GiB"),
        ("max_memory: 1MiB", "at least 16MiB"),
        ("max_memory: 99999999999999999999GiB", "not a size"),
        ("max_requests: 0", "out of range"),
    ] {
        let problems = limits(wrong).unwrap_err().lines();
        assert!(problems.len() == 1 && problems[0].contains(said), "{wrong}: {problems:?}");
    }
}
