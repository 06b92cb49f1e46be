//! TLS to endpoints: what they must prove, what they are shown, and which HTTP is agreed on.
//!
//! nginx is the endpoint, since it is not made of the same library.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    SOON, beside,
    certs::{Authority, Files, arg},
    config::{SERVICE, one_version},
    serin::Serin,
    tools::Nginx,
    until,
};

/// An nginx that speaks TLS with this certificate, and more as `server` has it.
fn nginx(pair: &Files, listen: &str, server: &str) -> Nginx {
    let (cert, key) = (arg(&pair.cert), arg(&pair.key));
    let server = format!("ssl_certificate {cert}; ssl_certificate_key {key}; {server}");
    Nginx::start_with(&format!("ssl {listen}"), &server)
}

/// After this, a connection to an endpoint is not used again where a test says so.
const UNUSED: Duration = Duration::from_millis(700);
const HELLO: &str = "location / { return 200 \"hello\"; }";

fn config(nginx: &Nginx, protocol: &str, tls: Value) -> Value {
    let mut config = one_version(&nginx.address());
    config["services"][SERVICE]["versions"]["v1"]["tls"] = tls;
    config["services"][SERVICE]["versions"]["v1"]["protocol"] = protocol.into();
    config
}

fn asked(nginx: &Nginx, protocol: &str, tls: Value) -> (Serin, u16, String) {
    let serin = Serin::start(config(nginx, protocol, tls));
    let reply = serin.get("/");
    (serin, reply.status, reply.body)
}

#[test]
fn an_endpoint_that_proves_its_name_or_its_address_is_served_from() {
    let _machine = beside();
    let authority = Authority::new("authority");
    let named = nginx(&authority.server("named", &["shop.internal"]), "", HELLO);
    let by_address = nginx(&authority.server("by-address", &["127.0.0.1"]), "", HELLO);
    for (nginx, tls) in [
        (&named, json!({ "ca": authority.file(), "server_name": "shop.internal" })),
        (&by_address, json!({ "ca": authority.file() })),
    ] {
        let (serin, status, body) = asked(nginx, "http1", tls);
        assert_eq!((status, body.as_str()), (200, "hello"), "{}", serin.stderr());
        until(SOON, "it is counted", || serin.metrics().outcome("v1", "ok") == 1.0);
    }
}

#[test]
fn an_endpoint_that_proves_nothing_is_an_error_of_its_own_kind() {
    let _machine = beside();
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let named = nginx(&authority.server("named", &["shop.internal"]), "", HELLO);
    let in_clear = Nginx::start("hello");
    for (nginx, tls) in [
        (&named, json!({ "ca": authority.file() })),
        (&named, json!({ "ca": authority.file(), "server_name": "other.internal" })),
        (&named, json!({ "ca": other.file(), "server_name": "shop.internal" })),
        (&named, json!({ "server_name": "shop.internal" })),
        (&in_clear, json!({ "ca": authority.file() })),
    ] {
        let (serin, status, body) = asked(nginx, "http1", tls.clone());
        assert_eq!(status, 502, "{tls}: {body}");
        assert!(body.contains("tls_fail"), "{body}");
        until(SOON, "it is charged as such", || serin.metrics().outcome("v1", "tls_fail") >= 1.0);
    }
}

#[test]
fn an_endpoint_that_asks_is_shown_the_certificate_of_the_version() {
    let _machine = beside();
    let (authority, proxies) = (Authority::new("authority"), Authority::new("proxies"));
    let ask = format!(
        "ssl_client_certificate {}; ssl_verify_client on; location / {{ return 200 \"$ssl_client_s_dn\"; }}",
        arg(&proxies.file())
    );
    let nginx = nginx(&authority.server("endpoint", &["127.0.0.1"]), "", &ask);
    let own = proxies.client("serin", &[], &[]);
    let with = json!({ "ca": authority.file(), "cert": own.cert, "key": own.key });
    let mut config = config(&nginx, "http1", with);
    config["limits"]["endpoint_keep_alive"] = "500ms".into();
    let serin = Serin::start(config);
    let reply = serin.get("/");
    assert_eq!((reply.status, reply.body.as_str()), (200, "CN=serin"));
    let left = serin
        .metrics()
        .sum("serin_tls_certificate_expiry_seconds", &[("service", SERVICE), ("version", "v1")]);
    assert!(left > 0.0, "the certificate that endpoints are shown is watched too");
    let (_, status, body) = asked(&nginx, "http1", json!({ "ca": authority.file() }));
    assert_eq!(status, 400, "nginx says so in HTTP: {body}");

    let renewed = proxies.client("serin-renewed", &[], &[]);
    renewed.replace(&own);
    // A connection that is open keeps the old certificate.
    until(SOON, "the renewed certificate is shown", || {
        std::thread::sleep(UNUSED);
        let reply = serin.get("/");
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body == "CN=serin-renewed"
    });
}

#[test]
fn the_endpoint_chooses_the_protocol_where_it_may() {
    let _machine = beside();
    let authority = Authority::new("authority");
    let pair = authority.server("endpoint", &["127.0.0.1"]);
    let told = "location / { return 200 \"$server_protocol\"; }";
    let (both, older) = (nginx(&pair, "http2", told), nginx(&pair, "", told));
    for (nginx, protocol, spoken) in [
        (&both, "auto", "HTTP/2.0"),
        (&both, "http2", "HTTP/2.0"),
        (&both, "http1", "HTTP/1.1"),
        (&older, "auto", "HTTP/1.1"),
    ] {
        let (serin, status, body) = asked(nginx, protocol, json!({ "ca": authority.file() }));
        assert_eq!((status, body.as_str()), (200, spoken), "{protocol}: {}", serin.stderr());
    }
    let (_, status, body) = asked(&older, "http2", json!({ "ca": authority.file() }));
    assert_eq!(status, 502, "HTTP/2 was asked for and is not offered");
    assert!(body.contains("tls_fail"), "{body}");
}

#[test]
fn sessions_with_endpoints_are_resumed_and_connections_reused() {
    let _machine = beside();
    let authority = Authority::new("authority");
    let pair = authority.server("endpoint", &["127.0.0.1"]);
    let told = "ssl_session_cache shared:s:1m; location / { return 200 \"$ssl_session_reused $connection_requests\"; }";
    let nginx = nginx(&pair, "", told);
    let mut config = config(&nginx, "http1", json!({ "ca": authority.file() }));
    config["limits"]["endpoint_keep_alive"] = "500ms".into();
    let serin = Serin::start(config);
    assert_eq!(serin.get("/").body, ". 1");
    until(SOON, "the connection is reused", || serin.get("/").body.ends_with(" 2"));
    until(SOON, "there is a new connection of the same session", || {
        std::thread::sleep(UNUSED);
        serin.get("/").body == "r 1"
    });
}

#[test]
fn endpoints_are_trusted_by_the_authorities_that_the_file_holds_now() {
    let _machine = beside();
    let (wrong, right) = (Authority::new("wrong"), Authority::new("right"));
    let nginx = nginx(&right.server("endpoint", &["127.0.0.1"]), "", HELLO);
    let (serin, status, _) = asked(&nginx, "http1", json!({ "ca": wrong.file() }));
    assert_eq!(status, 502);
    std::fs::copy(right.file(), wrong.file()).unwrap();
    until(SOON, "the new authority is trusted", || serin.get("/").status == 200);
    std::fs::write(wrong.file(), "nothing").unwrap();
    until(SOON, "a broken file is refused", || {
        serin.metrics().sum("serin_tls_certificate_reloads_total", &[("result", "failure")]) == 1.0
    });
    assert_eq!(serin.get("/").status, 200, "the last good one stays");
}

#[test]
fn tls_to_endpoints_can_be_switched_on_and_off_while_requests_run() {
    let _machine = beside();
    let authority = Authority::new("authority");
    let secured =
        nginx(&authority.server("endpoint", &["127.0.0.1"]), "", "location / { return 200 \"secured\"; }");
    let in_clear = Nginx::start("in clear");
    let serin = Serin::start(one_version(&in_clear.address()));
    assert_eq!(serin.get("/").body, "in clear");
    let mut config = serin.config().clone();
    let before = config.to_string();
    let version = &mut config["services"][SERVICE]["versions"]["v1"];
    *version = json!({ "endpoints": [secured.address()], "tls": { "ca": authority.file() } });
    for (file, body) in
        [(config.to_string(), "secured"), (before, "in clear"), (config.to_string(), "secured")]
    {
        serin.replace_file(&file);
        until(SOON, "the new endpoints serve", || {
            let reply = serin.get("/");
            assert_eq!(reply.status, 200, "{}", reply.body);
            reply.body == body
        });
    }
}
