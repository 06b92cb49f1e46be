//! State in etcd: what is taken, its defaults, and every way to get it wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{path::Path, time::Duration};

use serin_config::{Config, Problems, Secrets, load, settings::Etcd, summary::summary};

struct Environment;

impl Secrets for Environment {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "SET" => Some("s3cret".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }
    fn file(&self, _: &Path) -> Result<String, String> {
        Err("No such file or directory".into())
    }
}

/// A file whose control section has these fields.
fn read(control: &str) -> Result<Config, Problems> {
    let text = format!(
        r#"listeners: [{{ name: web, address: 127.0.0.1:8080 }}]
routes: [{{ name: shop, service: shop }}]
services: {{ shop: {{ versions: {{ v1: {{ endpoints: ["127.0.0.1:9001"] }} }} }} }}
control:
{control}"#
    );
    load(&text, "f", Path::new("/etc/serin"), &Environment)
}

fn etcd(control: &str) -> Etcd {
    read(control).unwrap_or_else(|problems| panic!("{problems}")).control.etcd.unwrap()
}

/// Asserts that there is exactly the problem that begins with `place` and holds each of `parts`.
fn assert_problem(control: &str, place: &str, parts: &[&str]) {
    let text = match read(control) {
        Ok(_) => panic!("nothing was found wrong with\n{control}"),
        Err(problems) => problems.to_string(),
    };
    assert_eq!(text.lines().count(), 1, "one problem: {text}");
    assert!(text.starts_with(place), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn members_on_this_machine_are_enough_and_the_rest_has_defaults() {
    let etcd = etcd("  etcd: { endpoints: [\"127.0.0.1:2379\", \"[::1]:2379\", localhost:2379] }");
    assert_eq!(etcd.endpoints.len(), 3);
    assert_eq!((etcd.prefix.as_str(), etcd.lease), ("serin", Duration::from_secs(2)));
    assert_eq!((etcd.user, etcd.tls, etcd.compaction), (None, None, Some(Duration::from_secs(600))));
    assert_eq!((etcd.advertise.api, etcd.advertise.fleet), (None, None));
}

#[test]
fn everything_can_be_said_and_the_password_is_never_shown() {
    let control = r#"
  etcd:
    endpoints: [etcd-1.internal:2379]
    prefix: /serin/shop/
    lease: 5s
    user: serin
    password: "${SET}"
    tls: { server_name: etcd.internal }
    compaction: none
    advertise: { api: "https://control-1.internal:9902/", fleet: "control-1.internal:9903" }
"#;
    let config = read(control).unwrap_or_else(|problems| panic!("{problems}"));
    let shown = format!("{} {config:?}", summary(&config));
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(shown.contains("etcd under serin/shop at etcd-1.internal:2379 in TLS, lease 5s"), "{shown}");
    let etcd = config.control.etcd.unwrap();
    assert_eq!(etcd.user.unwrap().1.expose(), "s3cret");
    assert_eq!((etcd.prefix.as_str(), etcd.compaction), ("serin/shop", None));
    assert_eq!(etcd.advertise.api.as_deref(), Some("https://control-1.internal:9902"));
}

#[test]
fn members_elsewhere_need_tls_or_the_danger_by_its_name() {
    assert_problem(
        "  etcd: { endpoints: [\"10.0.0.1:2379\"] }\n",
        "f:5:23: control.etcd.endpoints[0]: 10.0.0.1:2379 is spoken to over the network in clear",
        &["tls: { }", "danger_plain: true"],
    );
    etcd("  etcd: { endpoints: [\"10.0.0.1:2379\"], danger_plain: true }");
    etcd("  etcd: { endpoints: [\"10.0.0.1:2379\"], tls: { } }");
}

#[test]
fn what_is_no_member_is_named() {
    for member in ["http://127.0.0.1:2379", "127.0.0.1", "localhost:0", ":2379", "[::1:2379", "a b:1"] {
        let control = format!("  etcd: {{ endpoints: [\"{member}\"] }}\n");
        assert_problem(
            &control,
            "f:5:23: control.etcd.endpoints[0]: ",
            &["is not a member of etcd", "10.0.0.1:2379"],
        );
    }
    assert_problem("  etcd: { endpoints: [] }\n", "f:5:22: control.etcd.endpoints: there is no member", &[]);
    assert_problem(
        "  etcd: { prefix: a }\n",
        "f:5:9: control.etcd: \"endpoints\" is missing",
        &["10.0.0.1:2379"],
    );
}

#[test]
fn state_is_in_one_place_only() {
    assert_problem(
        "  state: here.redb\n  etcd: { endpoints: [\"127.0.0.1:2379\"] }\n",
        "f:5:10: control.state: the state can't be both",
        &["leave out either"],
    );
}

#[test]
fn a_lease_a_prefix_and_a_compaction_have_their_bounds() {
    let with = |more: &str| format!("  etcd: {{ endpoints: [\"127.0.0.1:2379\"], {more} }}\n");
    for lease in ["1s", "2500ms", "61s"] {
        assert_problem(
            &with(&format!("lease: {lease}")),
            "f:5:49: control.etcd.lease: a lease of ",
            &["from 2s to 1m"],
        );
    }
    for prefix in ["/", "a b", "ä"] {
        assert_problem(
            &with(&format!("prefix: \"{prefix}\"")),
            "f:5:50: control.etcd.prefix: ",
            &["is not a prefix"],
        );
    }
    assert_problem(
        &with("compaction: 1s"),
        "f:5:54: control.etcd.compaction: to compact every 1s",
        &["1m or more"],
    );
}

#[test]
fn user_and_password_belong_together() {
    let with = |more: &str| format!("  etcd: {{ endpoints: [\"127.0.0.1:2379\"], {more} }}\n");
    assert_problem(&with("user: a"), "f:5:48: control.etcd.user: ", &["without a password"]);
    assert_problem(&with("password: \"${SET}\""), "f:5:52: control.etcd.password: ", &["without its user"]);
    assert_problem(
        &with("user: a, password: \"${EMPTY}\""),
        "f:5:61: control.etcd.password: EMPTY is empty",
        &[],
    );
}

#[test]
fn where_others_reach_it_must_be_an_address() {
    let with =
        |more: &str| format!("  etcd: {{ endpoints: [\"127.0.0.1:2379\"], advertise: {{ {more} }} }}\n");
    assert_problem(
        &with("api: \"10.0.0.1:9902\""),
        "f:5:60: control.etcd.advertise.api: ",
        &["https://HOST:PORT"],
    );
    assert_problem(
        &with("fleet: \"https://10.0.0.1:1\""),
        "f:5:62: control.etcd.advertise.fleet: ",
        &["HOST:PORT"],
    );
}
