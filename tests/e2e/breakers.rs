//! The bulkhead of a version, who may wait for a place in it, and the breaker in an operator's hand.
//!
//! A plain limit without a queue is covered by `limits`.

use std::time::{Duration, Instant};

use http::Request;
use serde_json::{Value, json};
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, one_version},
    h2::{self, H2},
    http as plain,
    serin::Serin,
    until,
    wire::Wire,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn bounded(stub: &Stub, breaker: Value, workers: usize) -> Serin {
    let mut config = one_version(stub.address());
    config["services"][SERVICE]["breaker"] = breaker;
    config["limits"]["workers"] = json!(workers);
    Serin::start(config)
}

/// So many requests that are in flight, and not answered.
fn hanging(serin: &Serin, stub: &Stub, count: u64) -> Vec<Wire> {
    stub.set_hang(true);
    let before = stub.requests();
    let mut clients: Vec<Wire> = (0..count).map(|_| Wire::connect(serin.web)).collect();
    for client in &mut clients {
        client.send(GET).unwrap();
    }
    until(SOON, "they are in flight", || stub.requests() == before + count);
    clients
}

#[test]
fn one_connection_may_use_all_of_a_version_s_places_whatever_worker_it_is_on() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = bounded(&stub, json!({ "max_requests": 6 }), 3);
    stub.set_hang(true);
    let client = H2::connect(serin.web, 65_535);
    let ask = || {
        let mut sender = client.sender.clone();
        let request = Request::get(format!("http://{}/", serin.web)).body(h2::empty()).unwrap();
        client.runtime.spawn(async move { sender.send_request(request).await })
    };
    let six: Vec<_> = (0..6).map(|_| ask()).collect();
    until(SOON, "six are in flight", || stub.requests() == 6);
    let seventh = client.runtime.block_on(ask()).unwrap().unwrap();
    assert_eq!(seventh.status(), 503);
    stub.set_hang(false);
    for answer in six {
        assert_eq!(client.runtime.block_on(answer).unwrap().unwrap().status(), 200);
    }
}

#[test]
fn who_finds_no_place_may_wait_for_one_and_the_queue_is_bounded() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let breaker = json!({ "max_requests": 1, "max_pending": 1, "pending_timeout": "10s" });
    let serin = bounded(&stub, breaker, 2);
    let mut first = hanging(&serin, &stub, 1);
    let mut second = Wire::connect(serin.web);
    second.send(GET).unwrap();
    until(SOON, "the second waits", || serin.metrics().sum("serin_requests_pending", &[]) == 1.0);
    assert_eq!(Wire::connect(serin.web).ask(GET).status(), 503, "a third may not wait");
    assert_eq!(stub.requests(), 1);
    stub.set_hang(false);
    assert_eq!(first[0].answer_to("GET").unwrap().status(), 200);
    assert_eq!(second.answer_to("GET").unwrap().status(), 200);
}

#[test]
fn the_wait_for_a_place_ends_and_the_fallback_is_the_answer() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let fallback = json!({ "status": 200, "body": "sorry", "headers": { "x-fallback": "yes" } });
    let breaker = json!({
        "max_requests": 1, "max_pending": 5, "pending_timeout": "300ms", "fallback": fallback,
    });
    let serin = bounded(&stub, breaker, 1);
    let _first = hanging(&serin, &stub, 1);
    let before = Instant::now();
    let answer = Wire::connect(serin.web).ask(GET);
    assert!((Duration::from_millis(300)..SOON).contains(&before.elapsed()), "{:?}", before.elapsed());
    assert_eq!((answer.status(), answer.text().as_str()), (200, "sorry"));
    assert_eq!(answer.head.one("x-fallback"), Some("yes"));
    until(SOON, "it is counted", || serin.metrics().outcome("v1", "overload_local") == 1.0);
}

#[test]
fn a_breaker_is_opened_and_closed_by_hand_and_closes_by_itself() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = bounded(&stub, json!({}), 2);
    let post = |path: &str, body: Value| plain::call(serin.admin, "POST", path, Some(&body)).unwrap();
    let open = |body| post(&format!("/breakers/{SERVICE}/v1/open"), body);
    assert_eq!(serin.get("/").status, 200);
    assert_eq!(open(json!({})).status, 200);
    let reply = serin.get("/");
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("overload_local"), "{}", reply.body);
    assert_eq!(serin.metrics().sum("serin_breaker_open", &[("version", "v1")]), 1.0);
    assert_eq!(post(&format!("/breakers/{SERVICE}/v1/close"), json!({})).status, 200);
    assert_eq!(serin.get("/").status, 200);
    assert_eq!(open(json!({ "expires": "1s" })).status, 200);
    assert_eq!(serin.get("/").status, 503);
    until(SOON, "it closes by itself", || serin.get("/").status == 200);
    let unknown = post("/breakers/shop/v9/open", json!({}));
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["error"].as_str().unwrap().contains("v9"), "{}", unknown.body);
    assert_eq!(open(json!({ "expires": "soon" })).status, 400);
    assert_eq!(plain::get(serin.admin, &format!("/breakers/{SERVICE}/v1/open")).unwrap().status, 405);
}
