//! TLS, the PROXY protocol and connection age in the file: what is understood, what is wrong and where. The
//! files themselves are judged by the data plane; a stand-in here says which of them are broken.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{path::Path, time::Duration};

use serin_config::{
    Config, Problems, Secrets,
    file::{TlsFault, TlsFiles},
    load,
    summary::summary,
    tls::{ClientCertificates, HttpProtocol, TlsVersion},
};

struct Disk;

impl Secrets for Disk {
    fn env(&self, _: &str) -> Option<String> {
        None
    }
    fn file(&self, _: &Path) -> Result<String, String> {
        Err("not here".into())
    }
    fn tls(&self, files: TlsFiles<'_>) -> Result<(), TlsFault> {
        let broken = |path: &Path| path.to_string_lossy().contains("broken");
        match files {
            TlsFiles::Pair(pair) if broken(&pair.cert) => Err(TlsFault::Certificates("it is empty".into())),
            TlsFiles::Pair(pair) if broken(&pair.key) => Err(TlsFault::Key("it is another's".into())),
            TlsFiles::Authorities(path) if broken(path) => Err(TlsFault::Certificates("it is empty".into())),
            _ => Ok(()),
        }
    }
}

fn file(listener: &str, version: &str) -> String {
    format!(
        "listeners:
  - {{ name: web, address: 127.0.0.1:8443{listener} }}
routes: [{{ service: shop }}]
services:
  shop:
    versions:
      v1: {{ endpoints: [127.0.0.1:9001]{version} }}
"
    )
}

fn read(text: &str) -> Result<Config, Problems> {
    load(text, "f", Path::new("/etc/serin"), &Disk)
}

fn good(listener: &str, version: &str) -> Config {
    read(&file(listener, version)).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Asserts that there is one problem, at this path, with each of these parts.
fn assert_problem(listener: &str, version: &str, path: &str, parts: &[&str]) {
    let text = file(listener, version);
    let problems = read(&text).err().unwrap_or_else(|| panic!("nothing is wrong with\n{text}"));
    let lines = problems.lines();
    assert_eq!(lines.len(), 1, "{text}{lines:#?}");
    assert_eq!(problems.iter().next().unwrap().path, path, "{}", lines[0]);
    for part in parts {
        assert!(lines[0].contains(part), "{part:?} in {}", lines[0]);
    }
}

const PAIR: &str = "certificates: [{ cert: a.crt, key: /keys/a.key }]";

#[test]
fn a_listener_in_clear_has_neither_tls_nor_proxy_protocol_nor_an_age() {
    let config = good("", "");
    let listener = &config.listeners[0];
    assert_eq!((&listener.tls, listener.proxy_protocol, listener.max_connection_age), (&None, false, None));
    let version = &config.catalogue.service("shop").unwrap().versions[0];
    assert_eq!((&version.tls, version.protocol), (&None, HttpProtocol::Http1));
}

#[test]
fn a_pair_of_files_is_enough_and_the_rest_has_defaults() {
    let config = good(&format!(", tls: {{ {PAIR} }}"), "");
    let tls = config.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].cert, Path::new("/etc/serin/a.crt"), "relative to the file's directory");
    assert_eq!(tls.certificates[0].key, Path::new("/keys/a.key"));
    assert_eq!((tls.min_version, &tls.client_certificates, tls.http2), (TlsVersion::Tls12, &None, true));
}

#[test]
fn a_version_of_tls_reads_with_and_without_quotes() {
    for (text, version) in [
        ("1.2", TlsVersion::Tls12),
        ("\"1.2\"", TlsVersion::Tls12),
        ("1.3", TlsVersion::Tls13),
        ("TLSv1.3", TlsVersion::Tls13),
    ] {
        let config = good(&format!(", tls: {{ {PAIR}, min_version: {text} }}"), "");
        assert_eq!(config.listeners[0].tls.as_ref().unwrap().min_version, version, "{text}");
    }
}

#[test]
fn clients_must_show_certificates_where_an_authority_is_named_unless_the_file_says_otherwise() {
    let required = |required| Some(ClientCertificates { ca: "/etc/serin/ca.crt".into(), required });
    for (auth, wanted) in [
        ("", required(true)),
        (", client_auth: required", required(true)),
        (", client_auth: optional", required(false)),
        (", client_auth: none", None),
    ] {
        let config = good(&format!(", tls: {{ {PAIR}, client_ca: ca.crt{auth} }}"), "");
        assert_eq!(config.listeners[0].tls.as_ref().unwrap().client_certificates, wanted, "{auth}");
    }
}

#[test]
fn tls_to_endpoints_needs_no_settings_and_takes_some() {
    let version = |text: &str| good("", text).catalogue.service("shop").unwrap().versions[0].clone();
    let plain = version(", tls: { }, protocol: auto");
    assert_eq!((plain.tls, plain.protocol), (Some(Default::default()), HttpProtocol::Auto));
    let tls =
        version(", tls: { ca: ca.crt, server_name: Shop.Internal, cert: me.crt, key: me.key }").tls.unwrap();
    assert_eq!(tls.ca.as_deref(), Some(Path::new("/etc/serin/ca.crt")));
    assert_eq!(tls.server_name.as_deref(), Some("shop.internal"));
    assert_eq!(tls.client_certificate.unwrap().key, Path::new("/etc/serin/me.key"));
    assert_eq!(version(", protocol: http2").protocol, HttpProtocol::Http2);
}

#[test]
fn ages_and_the_proxy_protocol_are_read() {
    let listener = |text: &str| good(text, "").listeners[0].clone();
    assert_eq!(listener(", max_connection_age: 1h").max_connection_age, Some(Duration::from_secs(3600)));
    assert_eq!(listener(", max_connection_age: none").max_connection_age, None);
    assert!(listener(", proxy_protocol: true").proxy_protocol);
}

#[test]
fn what_is_wrong_with_a_listener_is_placed() {
    for (listener, path, parts) in [
        (", tls: { }", "listeners[0].tls", &["\"certificates\" is missing", "certificates: [{ cert"][..]),
        (", tls: { certificates: [] }", "listeners[0].tls.certificates", &["there is no certificate"]),
        (
            ", tls: { certificates: [{ cert: a.crt }] }",
            "listeners[0].tls.certificates[0]",
            &["\"key\" is missing", "private key"],
        ),
        (
            ", tls: { certificates: [{ cert: \"\", key: a.key }] }",
            "listeners[0].tls.certificates[0].cert",
            &["the path of the certificate is empty"],
        ),
        (
            ", tls: { certificates: [{ cert: a.crt, key: a.key }, { cert: broken.crt, key: b.key }] }",
            "listeners[0].tls.certificates[1].cert",
            &["/etc/serin/broken.crt can't be used: it is empty"],
        ),
        (
            ", tls: { certificates: [{ cert: a.crt, key: broken.key }] }",
            "listeners[0].tls.certificates[0].key",
            &["/etc/serin/broken.key can't be used: it is another's", "private key"],
        ),
        (
            ", tls: { certificates: [{ cert: a.crt, key: a.key }], client_ca: broken.crt }",
            "listeners[0].tls.client_ca",
            &["/etc/serin/broken.crt can't be used"],
        ),
        (
            ", tls: { certificates: [{ cert: a.crt, key: a.key }], client_auth: required }",
            "listeners[0].tls.client_auth",
            &["there is no client_ca", "client_ca: clients.crt"],
        ),
        (
            ", tls: { certificates: [{ cert: a.crt, key: a.key }], client_ca: c, client_auth: requird }",
            "listeners[0].tls.client_auth",
            &["\"requird\" is not", "did you mean required?"],
        ),
        (
            ", tls: { certificates: [{ cert: a.crt, key: a.key }], min_version: 1.1 }",
            "listeners[0].tls.min_version",
            &["TLS \"1.1\" is not spoken", "\"1.2\" or \"1.3\""],
        ),
        (
            ", max_connection_age: 10ms",
            "listeners[0].max_connection_age",
            &["10ms is out of range", "from 1s to 24h"],
        ),
    ] {
        assert_problem(listener, "", path, parts);
    }
}

#[test]
fn what_is_wrong_with_tls_to_endpoints_is_placed() {
    const AT: &str = "services.shop.versions.v1";
    for (version, path, parts) in [
        (", tls: { cert: a.crt }", "tls.cert", &["without its key"][..]),
        (", tls: { key: a.key }", "tls.key", &["without its certificate"]),
        (", tls: { cert: broken.crt, key: a.key }", "tls.cert", &["can't be used"]),
        (", tls: { ca: broken.crt }", "tls.ca", &["can't be used: it is empty"]),
        (", tls: { server_name: \"a b\" }", "tls.server_name", &["\"a b\" is neither a host name"]),
        (", tls: { server_name: 1.2.3 }", "tls.server_name", &["neither"]),
        (", tls: { server_name: \"*.a.example\" }", "tls.server_name", &["neither"]),
        (", protocol: h2", "protocol", &["\"h2\" is not a protocol", "http2"]),
    ] {
        assert_problem("", version, &format!("{AT}.{path}"), parts);
    }
}

#[test]
fn a_unix_socket_needs_a_name_for_its_certificate() {
    let file = |tls: &str| {
        format!(
            "listeners: [{{ address: 127.0.0.1:80 }}]\nroutes: [{{ service: s }}]\n\
             services: {{ s: {{ versions: {{ v1: {{ endpoints: [\"unix:/s.sock\"], tls: {tls} }} }} }} }}\n"
        )
    };
    let problems = read(&file("{ }")).unwrap_err().lines();
    assert!(problems[0].contains("unix:/s.sock has no name"), "{problems:?}");
    assert!(read(&file("{ server_name: shop.internal }")).is_ok());
}

#[test]
fn whoever_may_connect_to_a_unix_socket_can_be_trusted_there_and_only_there() {
    let file = |address: &str| {
        format!(
            "listeners: [{{ address: \"{address}\", trusted_proxies: [unix, 10.0.0.0/8] }}]\n\
             routes: [{{ service: s }}]\n\
             services: {{ s: {{ versions: {{ v1: {{ endpoints: [127.0.0.1:9] }} }} }} }}\n"
        )
    };
    let config = read(&file("unix:/s.sock")).unwrap();
    assert!(config.listeners[0].trusts_unix && config.listeners[0].trusted_proxies.len() == 1);
    assert!(summary(&config).contains("trusts 10.0.0.0/8, whoever may connect"), "{}", summary(&config));
    let problems = read(&file("127.0.0.1:80")).unwrap_err().lines();
    assert!(problems[0].contains("nobody reaches 127.0.0.1:80 over a Unix socket"), "{problems:?}");
}

#[test]
fn the_summary_says_what_clients_and_endpoints_meet() {
    let listener = format!(
        ", tls: {{ {PAIR}, client_ca: ca.crt, client_auth: optional }}, proxy_protocol: true, max_connection_age: 1h"
    );
    let text = summary(&good(&listener, ", protocol: http2, tls: { server_name: shop.internal }"));
    for line in [
        "                       TLS 1.2 or newer, HTTP/2 and HTTP/1.1, client certificates optional",
        "                       certificate /etc/serin/a.crt (default)",
        "                       PROXY protocol of everybody, who can so claim any client address",
        "                       connections end after 1h, give or take 10%",
        "  version   v1             stable  127.0.0.1:9001  http2 over TLS as shop.internal",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} is not in\n{text}");
    }
}
