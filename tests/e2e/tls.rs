//! TLS with clients: which certificate they get to see, what is agreed, whom they prove to be, and sessions that
//! are resumed.
//!
//! Changing files are covered by `tls_reload`, TLS to endpoints by `tls_endpoints`; what a file may say of TLS is
//! tested in the configuration's own crate.

use std::{
    net::SocketAddr,
    process::{Command, Output, Stdio},
};

use rustls::{
    ProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::json;

use crate::harness::{
    SOON, beside,
    certs::{Authority, Files, arg},
    config::one_version,
    endpoint::{Endpoint, ok},
    serin::{Serin, binary},
    tls::{TlsClient, start_secured},
    tools::{h2load_to, promtool_check},
    until,
    wire::Wire,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const FORGED: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\
    x-forwarded-client-cert: Hash=00;URI=spiffe://shop.example/admin\r\n\
    X-Forwarded-Client-Cert: Hash=01\r\n\r\n";
const TOLD: &str = "x-forwarded-client-cert";

fn endpoint() -> Endpoint {
    Endpoint::answering(|_| ok("hello"))
}

/// What openssl's client says when it connects, with these arguments.
fn s_client(address: SocketAddr, args: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string()])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed (the README's test command does)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// curl, trusting the authority, to the listener by the name `localhost`.
fn curl(authority: &Authority, serin: &Serin, args: &[&str]) -> Output {
    Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert", arg(&authority.file())])
        .args(args)
        .arg(format!("https://localhost:{}/", serin.web.port()))
        .args(["--resolve", &format!("localhost:{}:127.0.0.1", serin.web.port())])
        .output()
        .expect("curl is installed (the README's test command does)")
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether openssl was shown this certificate.
fn is_shown(text: &str, files: &Files) -> bool {
    text.contains(std::fs::read_to_string(&files.cert).unwrap().trim())
}

#[test]
fn a_client_sees_the_certificate_of_the_name_it_asks_for_and_else_the_first() {
    let _machine = beside();
    let (authority, endpoint) = (Authority::new("authority"), endpoint());
    let first = authority.server("first", &["first.example"]);
    let wildcard = authority.server("wildcard", &["*.shop.example"]);
    let exact = authority.server("exact", &["api.shop.example", "shop.example"]);
    let tls = json!({ "certificates": [first.json(), wildcard.json(), exact.json()] });
    let serin = start_secured(one_version(endpoint.address()), tls);
    for (name, files) in [
        ("first.example", &first),
        ("www.shop.example", &wildcard),
        ("API.shop.example", &exact),
        ("shop.example", &exact),
        ("a.b.shop.example", &first),
        ("elsewhere.example", &first),
    ] {
        let text = s_client(serin.web, &["-servername", name]);
        assert!(is_shown(&text, files), "{name}: {text}");
    }
    assert!(is_shown(&s_client(serin.web, &["-noservername"]), &first));
    let (mut wire, agreed) =
        TlsClient::trusting(&authority).connect_as(serin.web, "www.shop.example", b"").unwrap();
    assert_eq!(agreed.server, wildcard.der);
    assert_eq!(wire.ask(GET).text(), "hello");
}

#[test]
fn both_versions_of_tls_are_spoken_unless_the_older_is_excluded() {
    let _machine = beside();
    let (authority, endpoint) = (Authority::new("authority"), endpoint());
    let pair = authority.server("server", &["localhost"]);
    let start = |min: &str| {
        let tls = json!({ "certificates": [pair.json()], "min_version": min });
        start_secured(one_version(endpoint.address()), tls)
    };
    let (both, newer) = (start("1.2"), start("1.3"));
    for (version, spoken) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let (mut wire, agreed) = TlsClient::of_version(&authority, version).connect(both.web).unwrap();
        assert_eq!((agreed.version, agreed.alpn.as_deref()), (spoken, Some("http/1.1")));
        assert_eq!(wire.ask(GET).status(), 200);
    }
    assert_eq!(said(&curl(&authority, &both, &["--tls-max", "1.2"])), "hello");
    assert!(!curl(&authority, &newer, &["--tls-max", "1.2"]).status.success());
    assert_eq!(said(&curl(&authority, &newer, &["--tlsv1.3"])), "hello");
    let refused = || newer.metrics().sum("serin_tls_handshake_failures_total", &[("reason", "incompatible")]);
    until(SOON, "the refusal is counted", || refused() == 1.0);
    let done = |version| both.metrics().sum("serin_tls_handshakes_total", &[("version", version)]);
    assert_eq!((done("1.2"), done("1.3")), (2.0, 1.0));
}

#[test]
fn http2_is_agreed_on_where_it_is_offered() {
    let _machine = beside();
    let (authority, endpoint) = (Authority::new("authority"), endpoint());
    let pair = authority.server("server", &["localhost"]);
    let start = |http2: bool| {
        let tls = json!({ "certificates": [pair.json()], "http2": http2 });
        start_secured(one_version(endpoint.address()), tls)
    };
    let (offered, not) = (start(true), start(false));
    let spoken = ["--http2", "--write-out", " %{http_version}"];
    assert_eq!(said(&curl(&authority, &offered, &spoken)), "hello 2");
    assert_eq!(endpoint.last().0.one("x-forwarded-proto"), Some("https"));
    assert_eq!(said(&curl(&authority, &not, &spoken)), "hello 1.1");
    assert_eq!(
        said(&curl(&authority, &offered, &["--http1.1", "--write-out", " %{http_version}"])),
        "hello 1.1"
    );
    assert!(s_client(offered.web, &[]).contains("No ALPN negotiated"), "who asks for nothing is let in");
    let text = s_client(offered.web, &["-alpn", "unknown/9"]);
    assert!(text.contains("no peer certificate available"), "nothing that both speak: {text}");
    h2load_to(&format!("https://{}/", offered.web), 2_000, 8, &["-m", "10"]);
}

#[test]
fn a_required_certificate_is_the_way_in_and_its_identity_is_what_endpoints_are_told() {
    let _machine = beside();
    let (authority, clients, others) =
        (Authority::new("authority"), Authority::new("clients"), Authority::new("others"));
    let endpoint = endpoint();
    let pair = authority.server("server", &["localhost"]);
    let tls = json!({ "certificates": [pair.json()], "client_ca": clients.file() });
    let serin = start_secured(one_version(endpoint.address()), tls);
    let known = clients.client(
        "orders, \"eu\"",
        &["spiffe://shop.example/ns/eu/sa/orders"],
        &["orders.shop.example", "orders"],
    );
    let unknown = others.client("orders", &["spiffe://shop.example/ns/eu/sa/orders"], &[]);

    let (mut wire, _) = TlsClient::with_certificate(&authority, &known).connect(serin.web).unwrap();
    assert_eq!(wire.ask(FORGED).status(), 200);
    let (head, _) = endpoint.last();
    let told = head.one(TOLD).expect("one, and not the forged ones");
    let hash = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in", arg(&known.cert)])
        .output()
        .unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    let hash = hash.trim().split_once('=').unwrap().1.replace(':', "").to_lowercase();
    assert_eq!(
        told,
        format!(
            "Hash={hash};Subject=\"CN=orders\\2C \\22eu\\22\";URI=spiffe://shop.example/ns/eu/sa/orders;\
             DNS=orders.shop.example;DNS=orders"
        )
    );

    let asked = endpoint.requests();
    for client in [TlsClient::trusting(&authority), TlsClient::with_certificate(&authority, &unknown)] {
        // In TLS 1.3 the client learns of the refusal after its own handshake is over.
        let refused = client.connect(serin.web).and_then(|(mut wire, _)| {
            wire.send(GET)?;
            wire.answer_to("GET")
        });
        assert!(refused.is_err(), "{refused:?}");
    }
    assert!(!curl(&authority, &serin, &[]).status.success(), "curl has no certificate");
    assert_eq!(endpoint.requests(), asked, "nothing reached the endpoint");
    let failed = |reason| serin.metrics().sum("serin_tls_handshake_failures_total", &[("reason", reason)]);
    until(SOON, "the failures are counted", || {
        failed("no_certificate") == 2.0 && failed("bad_certificate") == 1.0
    });
    let own = ["--cert", arg(&known.cert), "--key", arg(&known.key)];
    assert_eq!(said(&curl(&authority, &serin, &own)), "hello");
}

#[test]
fn an_optional_certificate_is_told_of_and_its_absence_can_not_be_forged() {
    let _machine = beside();
    let (authority, clients, others) =
        (Authority::new("authority"), Authority::new("clients"), Authority::new("others"));
    let endpoint = endpoint();
    let pair = authority.server("server", &["localhost"]);
    let tls =
        json!({ "certificates": [pair.json()], "client_ca": clients.file(), "client_auth": "optional" });
    let mut config = one_version(endpoint.address());
    // Not even a trusted proxy may say who the client is.
    config["listeners"] = json!([{ "tls": tls, "trusted_proxies": ["127.0.0.1"] }]);
    let serin = Serin::start(config);
    let (mut wire, _) = TlsClient::trusting(&authority).connect(serin.web).unwrap();
    assert_eq!(wire.ask(FORGED).status(), 200);
    assert_eq!(endpoint.last().0.one(TOLD), None);
    let known = clients.client("orders", &[], &[]);
    let (mut wire, _) = TlsClient::with_certificate(&authority, &known).connect(serin.web).unwrap();
    assert_eq!(wire.ask(GET).status(), 200);
    let (head, _) = endpoint.last();
    assert!(head.one(TOLD).is_some_and(|told| told.ends_with(";Subject=\"CN=orders\"")), "{head:?}");
    let unknown = TlsClient::with_certificate(&authority, &others.client("orders", &[], &[]));
    let refused = unknown.connect(serin.web).and_then(|(mut wire, _)| {
        wire.send(GET)?;
        wire.answer_to("GET")
    });
    assert!(refused.is_err(), "a certificate that does not verify is no certificate: {refused:?}");
}

#[test]
fn in_clear_nobody_can_say_who_they_are() {
    let _machine = beside();
    let endpoint = endpoint();
    let serin = Serin::start(one_version(endpoint.address()));
    assert_eq!(Wire::connect(serin.web).ask(FORGED).status(), 200);
    let (head, _) = endpoint.last();
    assert_eq!((head.one(TOLD), head.one("x-forwarded-proto")), (None, Some("http")));
}

#[test]
fn sessions_are_resumed_in_both_versions_and_keep_the_identity_of_the_client() {
    let _machine = beside();
    let (authority, clients, endpoint) = (Authority::new("authority"), Authority::new("clients"), endpoint());
    let pair = authority.server("server", &["localhost"]);
    let tls =
        json!({ "certificates": [pair.json()], "client_ca": clients.file(), "client_auth": "optional" });
    let mut config = one_version(endpoint.address());
    config["limits"]["workers"] = 2.into();
    let serin = start_secured(config, tls);
    let resumed = |version| {
        serin.metrics().sum("serin_tls_handshakes_total", &[("version", version), ("resumed", "true")])
    };
    let session = authority.path("session");
    for (flag, version) in [("-tls1_2", "1.2"), ("-tls1_3", "1.3")] {
        // TLS 1.3 sends its tickets after the handshake: the client has to stay until an answer comes.
        let connect = |more: &[&str]| {
            let script =
                "printf 'GET / HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n'; sleep 1";
            let output = Command::new("sh")
                .args([
                    "-c",
                    &format!(
                        "({script}) | openssl s_client -ign_eof -connect {} {flag} {}",
                        serin.web,
                        more.join(" ")
                    ),
                ])
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let first = connect(&["-sess_out", arg(&session)]);
        assert!(first.contains("New, TLSv1"), "{first}");
        let second = connect(&["-sess_in", arg(&session)]);
        assert!(second.contains("Reused, TLSv1"), "{second}");
        until(SOON, "the resumption is counted", || resumed(version) == 1.0);
    }
    let known = TlsClient::with_certificate(&authority, &clients.client("orders", &[], &[]));
    for again in [false, true] {
        let (mut wire, agreed) = known.connect(serin.web).unwrap();
        assert_eq!(wire.ask(GET).status(), 200);
        assert_eq!(agreed.resumed, again);
        let (head, _) = endpoint.last();
        assert!(head.one(TOLD).is_some_and(|told| told.contains("CN=orders")), "resumed: {again}, {head:?}");
    }
}

#[test]
fn who_does_not_come_to_a_handshake_is_closed_and_counted() {
    let _machine = beside();
    let (authority, endpoint) = (Authority::new("authority"), endpoint());
    let pair = authority.server("server", &["localhost"]);
    let mut config = one_version(endpoint.address());
    config["limits"]["client_header_timeout"] = "500ms".into();
    let serin = start_secured(config, json!({ "certificates": [pair.json()] }));
    let failed = |reason| serin.metrics().sum("serin_tls_handshake_failures_total", &[("reason", reason)]);
    let mut in_clear = Wire::connect(serin.web);
    in_clear.send(GET).unwrap();
    in_clear.wait_for_close();
    until(SOON, "clear text is counted", || failed("not_tls") == 1.0);
    let mut silent = Wire::connect(serin.web);
    let mut half = Wire::connect(serin.web);
    half.send(b"\x16\x03\x01\x02\x00\x01\x00").unwrap();
    silent.wait_for_close();
    half.wait_for_close();
    until(SOON, "silence is counted", || failed("timeout") == 2.0);
    drop(Wire::connect(serin.web));
    until(SOON, "leaving is counted", || failed("closed") == 1.0);
    let stranger = TlsClient::trusting(&Authority::new("another"));
    assert!(stranger.connect(serin.web).is_err());
    until(SOON, "a client that does not trust is counted", || failed("refused_by_client") == 1.0);
    assert_eq!(said(&curl(&authority, &serin, &[])), "hello");
    let page = crate::harness::http::get(serin.admin, "/metrics").unwrap().body;
    assert!(page.contains("serin_tls_certificate_expiry_seconds{listener=\"web\",path="), "{page}");
    promtool_check(&page);
}

#[test]
fn the_check_names_files_that_can_not_be_used_and_where() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let pair = authority.server("server", &["localhost"]);
    let foreign = other.server("foreign", &["localhost"]);
    let file = authority.path("serin.yaml");
    let check = |cert: &str, key: &str, ca: &str| {
        let text = format!(
            "listeners:\n  - address: 127.0.0.1:8443\n    tls:\n      certificates:\n        - {{ cert: \"{cert}\", key: \"{key}\" }}\n      \
             client_ca: \"{ca}\"\nroutes: [{{ service: s }}]\n\
             services: {{ s: {{ versions: {{ v1: {{ endpoints: [127.0.0.1:9] }} }} }} }}\n"
        );
        std::fs::write(&file, text).unwrap();
        let output = binary().args(["check", "-c", arg(&file)]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (good, key, ca) = (arg(&pair.cert), arg(&pair.key), authority.file());
    let ca = arg(&ca);
    assert_eq!(check("server.crt", "server.key", "ca.crt").0, Some(0), "relative to the file");
    for ((cert, key, ca), place, what) in [
        (("gone.crt", key, ca), ":5:19: listeners[0].tls.certificates[0].cert: ", "there is no such file"),
        ((good, arg(&foreign.key), ca), "certificates[0].key: ", "it is not the key of the certificate"),
        ((good, good, ca), "certificates[0].key: ", "no private key is in it"),
        ((key, key, ca), "certificates[0].cert: ", "no certificate is in it"),
        ((good, key, key), "listeners[0].tls.client_ca: ", "no certificate is in it"),
    ] {
        let (code, said) = check(cert, key, ca);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(place) && said.contains(what) && said.lines().count() == 1, "{said}");
    }
}
