//! When one side goes away in the middle, the other learns it at once, and the count says who it was.
//!
//! Endpoints that are not there at all are covered by `endpoint_faults`, sides that only stop by `timeouts`.

use crate::harness::{
    SOON, beside,
    config::one_version,
    endpoint::{Endpoint, ok, read_request},
    h2::{H2, empty},
    serin::Serin,
    until,
    wire::Wire,
};

/// More than anybody will read of it.
const BIG: usize = 64 * 1024 * 1024;
const PIECE: usize = 64 * 1024;

#[test]
fn a_client_that_goes_away_is_no_fault_of_the_version_and_frees_the_endpoint() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, _| {
        let Some(head) = wire.head()? else { return Ok(()) };
        match head.word() {
            "/up" => drop(wire.exactly(PIECE)?),
            "/down" => wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\nbegun"))?,
            _ => {}
        }
        wire.wait_for_close();
        Ok(())
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let requests = [
        format!("POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: {BIG}\r\n\r\n"),
        "GET /down HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        "GET /wait HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
    ];
    for (i, request) in requests.iter().enumerate() {
        let mut client = Wire::connect(serin.web);
        client.send(request).unwrap();
        client.send_some(&[b'x'; PIECE][..if i == 0 { PIECE } else { 0 }]).unwrap();
        until(SOON, "the endpoint has the request", || endpoint.opened() == i + 1);
        if i == 1 {
            client.head().unwrap();
            assert_eq!(client.exactly(5).unwrap(), b"begun");
        }
        drop(client);
        until(SOON, "the endpoint's connection is closed", || endpoint.closed() == i + 1);
    }
    until(SOON, "all are counted", || serin.metrics().outcome("v1", "client_cancel") == 3.0);
    assert_eq!(serin.metrics().requests("v1"), 3.0);
}

#[test]
fn an_http_2_stream_that_is_given_up_is_no_fault_of_the_version_and_frees_the_endpoint() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, _| {
        let Some(head) = wire.head()? else { return Ok(()) };
        match head.word() {
            "/other" => wire.send(ok("still here"))?,
            "/down" => wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\nbegun"))?,
            _ => {}
        }
        wire.wait_for_close();
        Ok(())
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = H2::connect(serin.web, 64 * 1024);
    let get = |path: &str| http::Request::get(format!("http://{}{path}", serin.web)).body(empty()).unwrap();
    let down = client.begin(get("/down")).unwrap();
    drop(down);
    until(SOON, "the endpoint's connection is closed", || endpoint.closed() == 1);
    let waiting = client.sender.send_request(get("/wait"));
    let waiting = client.runtime.spawn(waiting);
    until(SOON, "the endpoint has the request", || endpoint.opened() == 2);
    waiting.abort();
    until(SOON, "the endpoint's connection is closed", || endpoint.closed() == 2);
    assert_eq!(client.ask(get("/other")).unwrap().body, "still here");
    until(SOON, "both are counted", || serin.metrics().outcome("v1", "client_cancel") == 2.0);
    assert_eq!(serin.metrics().outcome("v1", "ok"), 1.0);
}

#[test]
fn a_body_that_the_endpoint_cuts_looks_cut_to_every_client() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, seen| {
        let Some(head) = read_request(wire, seen)? else { return Ok(()) };
        let framing = match head.word() {
            "/length" => "content-length: 100000\r\n\r\n",
            _ => "transfer-encoding: chunked\r\n\r\n186a0\r\n",
        };
        wire.send(format!("HTTP/1.1 200 OK\r\n{framing}only this"))
    });
    let serin = Serin::start(one_version(endpoint.address()));
    for path in ["/length", "/chunks"] {
        let mut client = Wire::connect(serin.web);
        client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).unwrap();
        let cut = client.answer_to("GET");
        assert!(cut.is_err(), "{path}: {cut:?}");
        // HTTP/1.0 knows an end by the connection's; only a length can tell it from a cut.
        let request = http::Request::get(format!("http://{}{path}", serin.web)).body(empty()).unwrap();
        let cut = H2::connect(serin.web, 64 * 1024).ask(request);
        assert!(cut.is_err(), "{path} over HTTP/2: {cut:?}");
    }
    until(SOON, "all are counted", || serin.metrics().outcome("v1", "reset_mid_body") == 4.0);
    assert_eq!(serin.metrics().requests("v1"), 4.0);
}
