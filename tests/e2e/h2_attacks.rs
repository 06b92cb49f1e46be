//! Hostile clients of HTTP/2, frame by frame: each is cut off or refused, none reaches the endpoint with what
//! it should not, and the process serves others as before, in as much memory.
//!
//! The checks are in `tests/python/h2_attacks.py`; the budgets one by one are tested in `serin-split`.

use serde_json::json;

use crate::harness::{
    SOON, beside,
    config::one_version,
    endpoint::{Endpoint, ok, read_request},
    python::{python, run},
    serin::Serin,
    until,
};

/// What all the attacks together may leave behind.
const GROWTH_MAX: u64 = 32 * 1024 * 1024;

fn rig() -> (Endpoint, Serin) {
    let endpoint = Endpoint::scripted(|wire, seen| {
        while let Some(head) = read_request(wire, seen)? {
            match head.word() {
                "/hang" => {
                    // Until the proxy gives up.
                    wire.head()?;
                    return Ok(());
                }
                "/large" => wire.send(ok(&"x".repeat(4_000_000)))?,
                "/echo" => wire.send(ok(head.one("cookie").unwrap_or_default()))?,
                _ => wire.send(ok("hello"))?,
            }
        }
        Ok(())
    });
    let mut config = one_version(endpoint.address());
    config["limits"]["client_header_timeout"] = json!("2s");
    config["limits"]["client_stall_timeout"] = json!("2s");
    let serin = Serin::start(config);
    (endpoint, serin)
}

#[test]
fn attacks_on_http_2_are_cut_off_and_others_are_served() {
    let _machine = beside();
    let (endpoint, serin) = rig();
    let address = [serin.web.ip().to_string(), serin.web.port().to_string()];
    let address: Vec<&str> = address.iter().map(String::as_str).collect();
    // What the first run leaves in the allocator is no leak.
    let _ = run("h2_attacks.py", &address);
    until(SOON, "all of it is over", || serin.metrics().sum("serin_requests_in_flight", &[]) == 0.0);
    let before = serin.resident_bytes();
    let said = python("h2_attacks.py", &address);
    assert!(said.lines().count() >= 60, "{said}");
    until(SOON, "all of it is over", || serin.metrics().sum("serin_requests_in_flight", &[]) == 0.0);
    let after = serin.resident_bytes();
    println!("memory before {before}, after {after}");
    assert!(after < before + GROWTH_MAX, "memory grew from {before} to {after}");
    assert_eq!(serin.get("/").body, "hello");
    for (head, _) in endpoint.all() {
        let smuggled = head.word().contains("smuggled") || head.all("host").contains(&"smuggled");
        assert!(!smuggled && head.all("cookie").len() < 2, "{head:?}");
    }
    for kind in [
        "rapid_reset",
        "ping_flood",
        "settings_flood",
        "priority_flood",
        "window_update_flood",
        "empty_data_flood",
        "continuation_flood",
        "library_limit",
        "window_stall",
    ] {
        let counted = serin.metrics().sum("serin_client_abuse_total", &[("kind", kind)]);
        assert!(counted >= 1.0, "{kind} was not counted");
    }
    assert!(serin.stderr().contains("more work than is fair"), "{}", serin.stderr());
    assert!(!serin.stderr().contains("panicked"), "{}", serin.stderr());
}
