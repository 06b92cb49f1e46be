//! Who may reach what: addresses, secrets, certificates, and the bounds on all of it.

use super::*;

#[test]
fn admin_and_control_stay_on_this_machine_unless_the_danger_is_named() {
    assert_problem(
        &and("admin: { address: 0.0.0.0:9901 }\n"),
        "12:19: admin.address",
        &["can be reached from other machines", "danger_beyond_loopback: true"],
    );
    assert_problem(
        &and("control: { address: 10.0.0.1:9902, danger_beyond_loopback: false }\n"),
        "12:21: control.address",
        &["needs a bearer token or client certificates", "identities"],
    );
    assert_problem(
        &and("control: { address: 10.0.0.1:9902, danger_beyond_loopback: true }\n"),
        "12:21: control.address",
        &["needs a bearer token", "token:"],
    );
    let clear = "address: 10.0.0.1:9902, token: \"${SET}\"";
    assert_problem(
        &and(&format!("control: {{ {clear} }}\n")),
        "12:21: control.address",
        &["not by TLS", "danger_beyond_loopback: true"],
    );
    assert!(read(&and(&format!("control: {{ {clear}, danger_beyond_loopback: true }}\n"))).is_ok());
    let tls = "tls: { certificates: [{ cert: a.crt, key: a.key }] }";
    let config = read(&and(&format!("control: {{ {clear}, {tls} }}\n"))).unwrap();
    assert_eq!(config.control.address.to_string(), "10.0.0.1:9902");
    let config = read(&and("admin: { address: 0.0.0.0:9901, danger_beyond_loopback: true }\n")).unwrap();
    assert_eq!(config.admin.address.to_string(), "0.0.0.0:9901");
}

#[test]
fn a_secret_is_found_and_never_written() {
    let token = |token: &str| and(&format!("control: {{ token: {token} }}\n"));
    for (written, part) in [
        ("hunter2", "a secret stands in clear text"),
        ("\"Bearer ${SET}\"", "must be the whole value"),
        ("\"${UNSET}\"", "UNSET is not set"),
        ("\"${EMPTY}\"", "EMPTY is empty"),
        ("\"${SPACED}\"", "SPACED does not hold a bearer token"),
        ("\"${file:missing}\"", "/etc/serin/missing can't be read: No such file or directory"),
        ("\"${1A}\"", "does not hold the name of an environment variable"),
    ] {
        assert_problem(&token(written), "12:19: control.token", &[part]);
    }
    for (written, found) in [("\"${SET}\"", "token"), ("\"${file:token}\"", "from-file")] {
        let config = read(&token(written)).unwrap();
        assert_eq!(config.control.token.unwrap().expose(), found);
    }
}

#[test]
fn client_certificates_get_roles_one_by_one() {
    let tls = "tls: { certificates: [{ cert: a.crt, key: a.key }], client_ca: ca.crt }";
    let with = |identities: &str| and(&format!("control:\n  {tls}\n  identities: [{identities}]\n"));
    for (written, place, part) in [
        ("{ role: admin }", "14:16: control.identities[0]", "nothing says whose"),
        ("{ dns: ci, uri: a://b, role: admin }", "14:23: control.identities[0].dns", "another name"),
        ("{ dns: ci }", "14:16: control.identities[0]", "\"role\" is missing"),
        ("{ dns: ci, role: root }", "14:33: control.identities[0].role", "viewer, operator or admin"),
        ("{ dns: ci, role: admin }, { dns: ci, role: viewer }", "14:42: control.identities[1]", "twice"),
        ("{ dns: ci, role: admin, services: [] }", "14:50: control.identities[0].services", "no service"),
        (
            "{ dns: ci, role: admin, services: [shpo] }",
            "14:51: control.identities[0].services[0]",
            "did you mean shop?",
        ),
    ] {
        assert_problem(&with(written), place, &[part]);
    }
    assert_problem(
        &and("control: { identities: [{ dns: ci, role: admin }] }\n"),
        "12:24: control.identities",
        &["not asked for certificates", "client_ca"],
    );
    let config =
        read(&with("{ subject: \"CN=ci,O=Acme\", role: operator, services: [shop] }, { uri: \"spiffe://a/b\", role: viewer }"))
            .unwrap();
    let found: Vec<String> =
        config.control.identities.iter().map(|each| format!("{} is {}", each.name, each.grant)).collect();
    assert_eq!(found, ["CN=ci,O=Acme is operator of shop", "spiffe://a/b is viewer"]);
    assert!(config.control.asks_who());
    let clients = config.control.tls.unwrap().client_certificates.unwrap();
    assert!(!clients.required, "who has none may have a token");
}

#[test]
fn only_secrets_are_replaced() {
    assert_problem(
        &with("127.0.0.1:8080", "\"${SET}\""),
        "2:27: listeners[0].address",
        &["\"${…}\" is replaced in secrets only"],
    );
    assert_problem(
        &and("telemetry: { instance: \"${SET}\" }\n"),
        "12:24: telemetry.instance",
        &["secrets only"],
    );
    assert_problem(
        &and("    split: { \"${SET}\": 100% }\n"),
        "12:14: services.shop.split.${SET}",
        &["secrets only"],
    );
}

#[test]
fn limits_have_limits() {
    for (limit, least_and_most) in [
        ("workers: 0", "from 1 to 256"),
        ("max_connections: 0", "from 1 to 1000000"),
        ("max_streams: 10001", "from 1 to 10000"),
        ("client_header_timeout: 0ms", "from 1ms to 24h"),
        ("idle_connections_per_endpoint: 70000", "from 0 to 65536"),
    ] {
        let (name, _) = limit.split_once(':').unwrap();
        assert_problem(
            &and(&format!("limits: {{ {limit} }}\n")),
            &format!("12:{}: limits.{name}", 13 + name.len()),
            &[least_and_most],
        );
    }
    assert_problem(
        &and("telemetry: { instance: \"a b\" }\n"),
        "12:24: telemetry.instance",
        &["\"a b\" is not a name"],
    );
}
