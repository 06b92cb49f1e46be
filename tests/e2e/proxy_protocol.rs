//! The PROXY protocol: who the client is, said before TLS and HTTP by the load balancer in front.
//!
//! The form of its headers is tested where they are read, in the pure part.

use std::{net::Ipv4Addr, process::Command};

use serde_json::{Value, json};

use crate::harness::{
    SOON, beside,
    certs::Authority,
    config::{SERVICE, one_version, two_versions},
    endpoint::{Endpoint, ok},
    serin::Serin,
    tls::TlsClient,
    until,
    wire::Wire,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const FOR: &str = "x-forwarded-for";

fn start(endpoint: &Endpoint, listener: impl Into<Value>) -> Serin {
    let mut config = one_version(endpoint.address());
    config["listeners"] = json!([listener.into()]);
    config["limits"]["client_header_timeout"] = "1s".into();
    Serin::start(config)
}

/// Version 2, for a connection of this client.
fn block(client: Ipv4Addr) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f".to_vec();
    bytes.extend(client.octets());
    bytes.extend([10, 0, 0, 1, 0xdc, 4, 1, 187, 4, 0, 0]);
    bytes
}

fn line(client: &str) -> String {
    format!("PROXY TCP4 {client} 10.0.0.1 56324 443\r\n")
}

#[test]
fn either_version_says_who_the_client_is() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let serin = start(&endpoint, json!({ "proxy_protocol": true }));
    for (begin, client) in [
        (line("192.0.2.7").into_bytes(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n".to_vec(), "2001:db8::7"),
        (block(Ipv4Addr::new(192, 0, 2, 8)), "192.0.2.8"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), "127.0.0.1"),
    ] {
        let mut wire = Wire::connect(serin.web);
        // Slow on the way: the header comes in pieces.
        for piece in begin.chunks(7) {
            wire.send(piece).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(
                wire.ask(GET.replace("\r\n\r\n", "\r\nx-forwarded-for: 1.1.1.1\r\n\r\n")).status(),
                200
            );
            assert_eq!(endpoint.last().0.one(FOR), Some(client), "nobody else may say it");
        }
    }
    let by_curl = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--haproxy-protocol"])
        .arg(format!("http://{}/", serin.web))
        .output()
        .expect("curl is installed (the README's test command does)");
    assert_eq!(String::from_utf8_lossy(&by_curl.stdout), "hello", "{by_curl:?}");
}

#[test]
fn the_header_comes_before_tls_and_http2() {
    let _machine = beside();
    let authority = Authority::new("authority");
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let pair = authority.server("server", &["localhost"]);
    let tls = json!({ "certificates": [pair.json()] });
    let serin = start(&endpoint, json!({ "proxy_protocol": true, "tls": tls }));
    let client = TlsClient::trusting(&authority);
    for begin in [line("192.0.2.7").into_bytes(), block(Ipv4Addr::new(192, 0, 2, 7))] {
        let (mut wire, _) = client.connect_as(serin.web, "localhost", &begin).unwrap();
        assert_eq!(wire.ask(GET).status(), 200);
        let (head, _) = endpoint.last();
        assert_eq!((head.one(FOR), head.one("x-forwarded-proto")), (Some("192.0.2.7"), Some("https")));
    }
    let by_curl = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--haproxy-protocol", "--insecure", "--http2"])
        .args(["--write-out", " %{http_version}"])
        .arg(format!("https://{}/", serin.web))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&by_curl.stdout), "hello 2", "{by_curl:?}");
}

#[test]
fn a_connection_without_a_good_header_is_closed_and_counted() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let serin = start(&endpoint, json!({ "proxy_protocol": true }));
    let refused = |reason| serin.metrics().sum("serin_proxy_protocol_refused_total", &[("reason", reason)]);
    for wrong in
        [GET, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PROXY TCP4 999.0.2.7 10.0.0.1 1 2\r\nGET / HTTP/1.1\r\n"]
    {
        let mut wire = Wire::connect(serin.web);
        wire.send(wrong).unwrap();
        wire.wait_for_close();
    }
    until(SOON, "malformed ones are counted", || refused("malformed") == 3.0);
    let (mut silent, mut half) = (Wire::connect(serin.web), Wire::connect(serin.web));
    half.send("PROXY TCP4 192.0.2.7").unwrap();
    silent.wait_for_close();
    half.wait_for_close();
    until(SOON, "slow ones are counted", || refused("timeout") == 2.0);
    assert_eq!(endpoint.requests(), 0);
}

#[test]
fn with_trusted_proxies_nobody_else_may_claim_an_address() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let stranger = start(&endpoint, json!({ "proxy_protocol": true, "trusted_proxies": ["192.0.2.0/24"] }));
    let mut wire = Wire::connect(stranger.web);
    // It may be closed already.
    let _ = wire.send(line("192.0.2.7"));
    wire.wait_for_close();
    let refused = || stranger.metrics().sum("serin_proxy_protocol_refused_total", &[("reason", "untrusted")]);
    until(SOON, "it is counted", || refused() == 1.0);

    // A load balancer passes on what a client says, so the client must be trusted for that.
    let trusted =
        start(&endpoint, json!({ "proxy_protocol": true, "trusted_proxies": ["127.0.0.1", "10.0.0.0/8"] }));
    for (client, told) in [("198.51.100.9", "198.51.100.9"), ("10.1.1.1", "203.0.113.5, 10.1.1.1")] {
        let mut wire = Wire::connect(trusted.web);
        wire.send(line(client)).unwrap();
        let claim = GET.replace("\r\n\r\n", "\r\nx-forwarded-for: 203.0.113.5\r\n\r\n");
        assert_eq!(wire.ask(claim).status(), 200);
        assert_eq!(endpoint.last().0.one(FOR), Some(told), "{client}");
    }
}

#[test]
fn a_client_stays_on_its_version_by_the_address_that_the_header_names() {
    let _machine = beside();
    let (v1, v2) = (Endpoint::answering(|_| ok("v1")), Endpoint::answering(|_| ok("v2")));
    let mut config = two_versions(v1.address(), v2.address(), "50%", "50%");
    config["services"][SERVICE]["sticky"] = json!({ "client_address": true });
    config["listeners"] = json!([{ "proxy_protocol": true }]);
    let serin = Serin::start(config);
    let version_of = |client: &str| {
        let mut wire = Wire::connect(serin.web);
        wire.send(line(client)).unwrap();
        wire.ask(GET).text()
    };
    let mut seen = std::collections::BTreeSet::new();
    for last in 0..32 {
        let client = format!("192.0.2.{last}");
        let version = version_of(&client);
        assert_eq!(version_of(&client), version, "{client}");
        seen.insert(version);
    }
    assert_eq!(seen.len(), 2, "all on one version: the load balancer's address decided");
}

#[test]
fn over_a_unix_socket_whoever_may_connect_says_who_the_client_is_if_the_file_trusts_them() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let address = |name: &str| format!("unix:{}", at(name).display());
    let mut config = one_version(endpoint.address());
    config["listeners"] = json!([
        {},
        { "name": "plain", "address": address("plain") },
        { "name": "trusting", "address": address("trusting"), "trusted_proxies": ["unix"] },
        { "name": "proxied", "address": address("proxied"), "proxy_protocol": true },
    ]);
    let _serin = Serin::start(config);
    let claim = GET.replace("\r\n\r\n", "\r\nx-forwarded-for: 203.0.113.5\r\n\r\n");
    for (listener, begin, told) in [
        ("plain", String::new(), None),
        ("trusting", String::new(), Some("203.0.113.5")),
        ("proxied", line("192.0.2.7"), Some("192.0.2.7")),
    ] {
        let mut wire = Wire::connect_unix(&at(listener));
        wire.send(begin).unwrap();
        assert_eq!(wire.ask(&claim).status(), 200);
        assert_eq!(endpoint.last().0.one(FOR), told, "{listener}");
    }
}
