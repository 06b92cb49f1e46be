//! Users stay where they are: the key decides the version, on every connection and after every change of
//! weight that leaves room for them.
//!
//! That shares follow weights over a million keys is covered by `serin-split`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use serin_config::Weight;

use crate::harness::{
    SOON, beside,
    config::{SERVICE, two_versions},
    endpoint::{Endpoint, ok},
    serin::Serin,
    until,
    wire::{Head, Wire},
};

const USERS: usize = 2000;

fn rig(sticky: Value, trusted: &[&str]) -> ([Endpoint; 2], Serin) {
    let versions = [(); 2].map(|()| Endpoint::answering(|_| ok("")));
    let mut config = two_versions(versions[0].address(), versions[1].address(), "90%", "10%");
    config["services"][SERVICE]["sticky"] = sticky;
    config["listeners"] = json!([{ "trusted_proxies": trusted }]);
    let serin = Serin::start(config);
    (versions, serin)
}

fn version(head: &Head) -> String {
    head.one("x-serin-version").expect("debug_headers is on").to_owned()
}

/// Which of the users are on the canary; each is asked for with the field that `say` makes.
fn on_canary(serin: &Serin, say: impl Fn(usize) -> String) -> BTreeSet<usize> {
    let mut client = Wire::connect(serin.web);
    let mut ask = |user: usize| {
        let answer = client.ask(format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n\r\n", say(user)));
        version(&answer.head) == "v2"
    };
    (0..USERS).filter(|user| ask(*user)).collect()
}

fn set_canary(serin: &Serin, ppm: u32) {
    let control = serin.control();
    let now = control.now().unwrap();
    let weight = Weight::from_ppm(ppm).unwrap();
    assert_eq!(control.set_canary(weight, now.generation).unwrap().status, 200);
    let generation = control.now().unwrap().generation;
    until(SOON, "the new plan serves", || {
        serin.get("/").header("x-serin-generation") == generation.to_string()
    });
}

/// Four standard deviations around a share of the users.
fn assert_share(users: &BTreeSet<usize>, share: f64) {
    let (expected, deviation) = (USERS as f64 * share, (USERS as f64 * share * (1.0 - share)).sqrt());
    let off = (users.len() as f64 - expected) / deviation;
    assert!(off.abs() <= 4.0, "{} of {USERS} users at {share}: {off:+.1} deviations", users.len());
}

fn users_stay(serin: &Serin, say: impl Fn(usize) -> String) {
    let at_ten = on_canary(serin, &say);
    assert_share(&at_ten, 0.1);
    assert_eq!(on_canary(serin, &say), at_ten, "the same users on another connection");
    set_canary(serin, 300_000);
    let at_thirty = on_canary(serin, &say);
    assert_share(&at_thirty, 0.3);
    assert!(at_ten.is_subset(&at_thirty), "a user left the canary: {:?}", at_ten.difference(&at_thirty));
    set_canary(serin, 100_000);
    assert_eq!(on_canary(serin, &say), at_ten, "and back");
}

#[test]
fn the_user_of_a_cookie_stays_on_a_version() {
    let _machine = beside();
    let (_versions, serin) = rig(json!({ "cookie": "uid" }), &[]);
    users_stay(&serin, |user| format!("cookie: theme=dark; uid=user-{user}; uidx=1"));
}

#[test]
fn the_user_of_a_header_stays_on_a_version() {
    let _machine = beside();
    let (_versions, serin) = rig(json!({ "header": "X-User" }), &[]);
    users_stay(&serin, |user| format!("x-uSER: {user}"));
}

#[test]
fn the_user_behind_a_trusted_proxy_stays_on_a_version() {
    let _machine = beside();
    let (_versions, serin) = rig(json!({ "client_address": true }), &["127.0.0.1"]);
    users_stay(&serin, |user| format!("x-forwarded-for: 6.6.6.6, 198.51.{}.{}", user / 250, user % 250));
}

#[test]
fn a_stranger_can_not_choose_its_version_by_claiming_an_address() {
    let _machine = beside();
    let (_versions, serin) = rig(json!({ "client_address": true }), &[]);
    let on_canary =
        on_canary(&serin, |user| format!("x-forwarded-for: 198.51.{}.{}", user / 250, user % 250));
    assert!(matches!(on_canary.len(), 0 | USERS), "{} of {USERS}: it is one client", on_canary.len());
}

#[test]
fn a_request_without_its_key_is_split_by_chance() {
    let _machine = beside();
    let (_versions, serin) = rig(json!({ "cookie": "uid" }), &[]);
    assert_share(&on_canary(&serin, |_| "cookie: uid=".to_owned()), 0.1);
}
