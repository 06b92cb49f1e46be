//! Connections that change protocols: when they do, when they must not, and how they end.
//!
//! That real clients and servers of WebSocket get along is in the conformance tests.

use std::{sync::mpsc, time::Duration};

use serde_json::json;

use crate::harness::{
    SOON, beside,
    config::{SERVICE, one_version},
    endpoint::{Endpoint, ok, read_request},
    serin::Serin,
    until,
    wire::Wire,
};

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Agrees, speaks first, and sends everything back.
fn echo() -> Endpoint {
    Endpoint::scripted(|wire, seen| {
        if read_request(wire, seen)?.is_none() {
            return Ok(());
        }
        wire.send(format!("{AGREED}hello "))?;
        while let Some(bytes) = wire.some()? {
            wire.send(bytes)?;
        }
        Ok(())
    })
}

#[test]
fn bytes_flow_both_ways_once_the_endpoint_has_agreed_and_the_exchange_counts_once() {
    let _machine = beside();
    let endpoint = echo();
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    client.send(ASK).unwrap();
    let head = client.head().unwrap().unwrap();
    assert_eq!(head.word(), "101");
    assert_eq!(head.one("upgrade"), Some("websocket"));
    assert_eq!(head.one("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    client.send("\x01\x02\r\n\r\nGET ").unwrap();
    assert_eq!(client.exactly(16).unwrap(), b"hello \x01\x02\r\n\r\nGET ");
    let (asked, _) = endpoint.last();
    assert_eq!((asked.one("connection"), asked.one("upgrade")), (Some("upgrade"), Some("websocket")));
    drop(client);
    until(SOON, "the endpoint's side ends with the client's", || endpoint.closed() == 1);
    let outcome = |name| serin.metrics().sum("serin_requests_total", &[("outcome", name)]);
    until(SOON, "the exchange is counted", || outcome("ok") + outcome("client_cancel") == 1.0);
}

#[test]
fn nothing_reaches_the_endpoint_before_it_has_agreed_and_a_refusal_ends_both_connections() {
    let _machine = beside();
    let (heard, hears) = mpsc::channel();
    let endpoint = Endpoint::scripted(move |wire, seen| {
        if read_request(wire, seen)?.is_none() {
            return Ok(());
        }
        wire.send(ok("no"))?;
        let _ = heard.send(wire.rest()?);
        Ok(())
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    client.send(format!("{ASK}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")).unwrap();
    let answer = client.answer_to("GET").unwrap();
    assert_eq!((answer.status(), answer.text()), (200, "no".into()));
    assert_eq!(client.rest().unwrap(), b"");
    assert_eq!(hears.recv_timeout(SOON).unwrap(), b"");
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn an_endpoint_that_changes_to_what_nobody_asked_for_is_not_followed() {
    let _machine = beside();
    for wrong in [
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket, h2c\r\nconnection: upgrade\r\n\r\n",
    ] {
        let endpoint = Endpoint::answering(move |_| wrong.into());
        let serin = Serin::start(one_version(endpoint.address()));
        let answer = Wire::connect(serin.web).ask(ASK);
        assert_eq!(answer.status(), 502, "{wrong}");
    }
}

#[test]
fn what_is_not_allowed_is_a_plain_request() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|head| ok(&format!("{:?}", head.one("upgrade"))));
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    let h2c = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
        http2-settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert_eq!(client.ask(h2c).text(), "None");
    let (asked, _) = endpoint.last();
    assert_eq!(asked.one("http2-settings"), None);
}

#[test]
fn a_tunnel_in_which_nothing_moves_ends() {
    let _machine = beside();
    let endpoint = echo();
    let mut config = one_version(endpoint.address());
    config["services"][SERVICE]["timeouts"] = json!({ "tunnel": "200ms" });
    let serin = Serin::start(config);
    let mut client = Wire::connect(serin.web);
    client.send(ASK).unwrap();
    assert_eq!(client.head().unwrap().unwrap().word(), "101");
    assert_eq!(client.rest().unwrap(), b"hello ");
    until(SOON, "the endpoint's side ends too", || endpoint.closed() == 1);
    until(SOON, "it is counted", || {
        serin.metrics().sum("serin_requests_total", &[("outcome", "idle_timeout")]) == 1.0
    });
}

#[test]
fn a_drain_lets_tunnels_be_until_its_deadline_and_then_cuts_them() {
    let _machine = beside();
    let endpoint = echo();
    let mut config = one_version(endpoint.address());
    config["limits"]["drain_deadline"] = json!("1s");
    let mut serin = Serin::start(config);
    let mut client = Wire::connect(serin.web);
    client.send(ASK).unwrap();
    assert_eq!(client.head().unwrap().unwrap().word(), "101");
    serin.signal("TERM");
    until(SOON, "no new connection is served", || std::net::TcpStream::connect(serin.web).is_err());
    client.send("still here").unwrap();
    assert_eq!(client.exactly(16).unwrap(), b"hello still here");
    assert!(serin.wait(Duration::from_secs(10)).success());
    assert_eq!(client.rest().unwrap_or_default(), b"");
}
