//! Connections to endpoints are kept and used again, and no request is lost when an endpoint closes one.
//!
//! An endpoint may close an idle connection at any moment, also just as a request is sent over it (RFC 9112,
//! 9.3.1). What may be sent twice is then sent again; what may not must not be.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::one_version,
    endpoint::{Endpoint, ok, read_request},
    serin::Serin,
    until,
    wire::Wire,
};

fn get(client: &mut Wire) -> u16 {
    client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").status()
}

#[test]
fn one_connection_serves_all_requests_that_come_one_after_another() {
    let _machine = beside();
    let stub = Stub::start(StubOptions { body_bytes: 100_000, ..StubOptions::default() }).unwrap();
    let serin = Serin::start(one_version(stub.address()));
    let mut client = Wire::connect(serin.web);
    for _ in 0..100 {
        assert_eq!(get(&mut client), 200);
        assert_eq!(client.ask("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").status(), 200);
        assert_eq!(client.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi").status(), 200);
    }
    assert_eq!((stub.requests(), stub.connections()), (300, 1));
}

#[test]
fn no_more_unused_connections_are_kept_than_allowed() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let mut config = one_version(stub.address());
    config["limits"]["idle_connections_per_endpoint"] = json!(2);
    let serin = Serin::start(config);
    stub.set_hang(true);
    let mut clients: Vec<Wire> = (0..6).map(|_| Wire::connect(serin.web)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    }
    until(SOON, "all are in flight", || stub.requests() == 6);
    stub.set_hang(false);
    for client in &mut clients {
        assert_eq!(client.answer_to("GET").unwrap().status(), 200);
    }
    until(SOON, "two are kept", || serin.metrics().sum("serin_endpoint_idle_connections", &[]) == 2.0);
}

/// Ours is the side that closes first where it is told to, exactly then and not at the next sweep.
#[test]
fn a_connection_is_not_used_after_its_keep_alive_time() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok(""));
    let mut config = one_version(endpoint.address());
    config["limits"]["endpoint_keep_alive"] = json!("1ms");
    let serin = Serin::start(config);
    let mut client = Wire::connect(serin.web);
    for _ in 0..20 {
        assert_eq!(get(&mut client), 200);
        let answered = std::time::Instant::now();
        until(SOON, "the keep-alive time is over", || answered.elapsed().as_millis() >= 1);
    }
    assert_eq!(endpoint.opened(), 20);
}

#[test]
fn an_endpoint_that_closes_after_a_few_requests_without_a_word_costs_no_request() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, seen| {
        for _ in 0..3 {
            let Some(_) = read_request(wire, seen)? else { return Ok(()) };
            wire.send(ok("served"))?;
        }
        Ok(())
    });
    let serin = Serin::start(one_version(endpoint.address()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Wire::connect(serin.web);
                for i in 0..250 {
                    let method = ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"][i % 5];
                    let answer = client.ask(format!("{method} /{i} HTTP/1.1\r\nhost: a\r\n\r\n"));
                    assert_eq!(answer.status(), 200, "{method} /{i}: {}", answer.text());
                }
            });
        }
    });
    until(SOON, "all are counted", || serin.metrics().outcome("v1", "ok") == 1000.0);
    assert_eq!(serin.metrics().requests("v1"), 1000.0, "what was sent again is one attempt");
}

/// An endpoint that serves one request on each connection and then waits for the second, whose head it reads
/// before it closes: the request was certainly sent, and the close comes instead of its answer.
fn closes_instead_of_a_second_answer(say: &'static str) -> (Endpoint, std::sync::Arc<AtomicUsize>) {
    let turned_away = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&turned_away);
    let endpoint = Endpoint::scripted(move |wire, seen| -> io::Result<()> {
        if read_request(wire, seen)?.is_some() {
            wire.send(ok("served"))?;
            if wire.head()?.is_some() {
                count.fetch_add(1, Ordering::Relaxed);
                wire.send(say)?;
            }
        }
        Ok(())
    });
    (endpoint, turned_away)
}

#[test]
fn a_request_that_may_be_repeated_is_sent_again_when_the_close_crossed_it() {
    let _machine = beside();
    let (endpoint, turned_away) = closes_instead_of_a_second_answer("");
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    assert_eq!(get(&mut client), 200);
    let again = client.ask(
        "GET /again?a=b HTTP/1.1\r\nhost: shop.example\r\ncookie: a=1\r\nx-many: 1\r\nx-many: 2\r\n\
         x-odd: \u{e4} : \r\n\r\n",
    );
    assert_eq!((again.status(), again.text().as_str()), (200, "served"));
    assert_eq!(turned_away.load(Ordering::Relaxed), 1, "the first try did reach the endpoint");
    let (head, _) = endpoint.last();
    assert_eq!(head.line, "GET /again?a=b HTTP/1.1");
    assert_eq!((head.one("host"), head.one("cookie")), (Some("shop.example"), Some("a=1")));
    assert_eq!(head.all("x-many"), ["1", "2"]);
    assert_eq!(head.one("x-odd"), Some("\u{e4} :"));
    assert!(head.one("traceparent").is_some() && head.one("x-forwarded-for").is_some(), "{head:?}");
    until(SOON, "both are counted once", || serin.metrics().outcome("v1", "ok") == 2.0);
    assert_eq!(serin.metrics().requests("v1"), 2.0);
}

#[test]
fn a_request_that_may_not_be_repeated_is_not() {
    let _machine = beside();
    let (endpoint, turned_away) = closes_instead_of_a_second_answer("");
    let serin = Serin::start(one_version(endpoint.address()));
    for (i, request) in [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        "PATCH / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi",
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Wire::connect(serin.web);
        assert_eq!(get(&mut client), 200);
        assert_eq!(client.ask(request).status(), 502, "{request}");
        assert_eq!(turned_away.load(Ordering::Relaxed), i + 1);
        assert_eq!(endpoint.requests(), i + 1, "it was sent once");
    }
    until(SOON, "they are counted", || serin.metrics().outcome("v1", "reset_before_headers") == 3.0);
}

#[test]
fn a_request_whose_answer_had_begun_is_not_sent_again() {
    let _machine = beside();
    let (endpoint, turned_away) = closes_instead_of_a_second_answer("HTTP/1.1 2");
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    assert_eq!(get(&mut client), 200);
    assert_eq!(get(&mut client), 502);
    assert_eq!((turned_away.load(Ordering::Relaxed), endpoint.requests()), (1, 1));
}

/// A fresh connection has nothing to cross: its endpoint does not answer, and that is a failure.
#[test]
fn a_request_on_a_fresh_connection_is_not_sent_again() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, _| wire.head().map(drop));
    let serin = Serin::start(one_version(endpoint.address()));
    assert_eq!(serin.get("/").status, 502);
    assert_eq!(endpoint.opened(), 1);
}

#[test]
fn posts_survive_an_endpoint_that_closes_connections_between_them() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, seen| {
        if read_request(wire, seen)?.is_some() {
            wire.send(ok("served"))?;
        }
        Ok(())
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    for i in 0..50 {
        let answer = client.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        until(SOON, "the endpoint has closed", || endpoint.closed() == i + 1);
    }
}
