//! Nobody can hold a connection for nothing: neither an endpoint that is slow nor a client that drips.
//!
//! Timers are small here, and the tests wait for what must happen; the lower bounds that they check say only
//! that a timer was not early.

use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_config::Address;

use crate::harness::{
    SOON, beside,
    config::{SERVICE, one_version},
    endpoint::{Endpoint, ok, read_request},
    h2::{H2, empty},
    serin::Serin,
    until,
    wire::Wire,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
/// The timer under test.
const SHORT: Duration = Duration::from_millis(400);

fn with_timeouts(endpoint: &Address, timeouts: Value) -> Serin {
    let mut config = one_version(endpoint);
    config["services"][SERVICE]["timeouts"] = timeouts;
    Serin::start(config)
}

fn with_limits(endpoint: &Address, limits: &Value) -> Serin {
    let mut config = one_version(endpoint);
    for (name, value) in limits.as_object().unwrap() {
        config["limits"][name] = value.clone();
    }
    Serin::start(config)
}

fn counted(serin: &Serin, outcome: &str, times: f64) {
    until(SOON, outcome, || serin.metrics().outcome("v1", outcome) == times);
}

/// How long something took, which must be the timer's time at least, and far less than a test's patience.
fn after_the_timer(began: Instant) {
    let took = began.elapsed();
    assert!(took >= SHORT && took < SOON / 2, "took {took:?}, the timer says {SHORT:?}");
}

/// An address whose queue of connections is full: the next one waits for ever.
struct Full {
    _listener: TcpListener,
    _queued: Vec<std::net::TcpStream>,
    address: SocketAddr,
}

impl Full {
    fn new() -> Self {
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        // Listening again sets the queue's length.
        socket2::SockRef::from(&socket).listen(0).unwrap();
        let address = socket.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queued.push(stream);
            assert!(queued.len() < 1000, "the queue takes everything");
        }
        Self { _listener: socket, _queued: queued, address }
    }
}

#[test]
fn an_endpoint_that_does_not_accept_is_given_up_after_the_connect_timeout() {
    let _machine = beside();
    let full = Full::new();
    let serin = with_timeouts(&Address::Tcp(full.address), json!({ "connect": "400ms" }));
    let began = Instant::now();
    let reply = serin.get("/");
    after_the_timer(began);
    assert_eq!(reply.status, 504, "{reply:?}");
    // No endpoint has seen it, so it is tried once more; each attempt is charged.
    counted(&serin, "connect_timeout", 2.0);
}

#[test]
fn an_endpoint_that_stops_within_its_body_is_given_up_after_the_idle_timeout() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, seen| {
        if read_request(wire, seen)?.is_some() {
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun")?;
        }
        wire.wait_for_close();
        Ok(())
    });
    let serin = with_timeouts(endpoint.address(), json!({ "idle": "400ms" }));
    let mut client = Wire::connect(serin.web);
    let began = Instant::now();
    client.send(GET).unwrap();
    let cut = client.answer_to("GET");
    assert!(cut.is_err(), "{cut:?}");
    after_the_timer(began);
    let request = http::Request::get(format!("http://{}/", serin.web)).body(empty()).unwrap();
    assert!(H2::connect(serin.web, 65_535).ask(request).is_err());
    counted(&serin, "idle_timeout", 2.0);
    until(SOON, "the endpoint's connections are closed", || endpoint.closed() == 2);
}

#[test]
fn the_total_timeout_ends_an_exchange_wherever_it_is() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, seen| {
        let Some(head) = read_request(wire, seen)? else { return Ok(()) };
        if head.word() == "/silent" {
            wire.wait_for_close();
            return Ok(());
        }
        // Pieces without end: never idle for long, never over.
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            wire.send(format!("4000\r\n{}\r\n", "x".repeat(0x4000)))?;
        }
    });
    let serin = with_timeouts(endpoint.address(), json!({ "total": "400ms", "header": "none" }));
    let began = Instant::now();
    assert_eq!(serin.get("/silent").status, 504);
    after_the_timer(began);
    let began = Instant::now();
    let mut client = Wire::connect(serin.web);
    client.send(GET).unwrap();
    assert_eq!(client.head().unwrap().unwrap().word(), "200");
    while client.chunk().is_ok() {}
    after_the_timer(began);
    counted(&serin, "total_timeout", 2.0);
    until(SOON, "the endpoint's connections are closed", || endpoint.closed() == 2);
}

/// The header timeout is the endpoint's time, and begins when the endpoint has the request.
#[test]
fn an_upload_may_take_longer_than_the_header_timeout() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("all of it"));
    let serin = with_timeouts(endpoint.address(), json!({ "header": "400ms" }));
    let mut client = Wire::connect(serin.web);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\n").unwrap();
    let began = Instant::now();
    let mut sent = 0;
    until(SOON, "the client sends a piece now and then", || {
        if began.elapsed() > SHORT / 3 * (sent + 1) {
            client.send("x").unwrap();
            sent += 1;
        }
        sent == 8
    });
    let answer = client.answer_to("POST").unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "all of it"));
    counted(&serin, "ok", 1.0);
}

#[test]
fn an_endpoint_that_does_not_read_the_upload_is_given_up_after_the_header_timeout() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, _| {
        wire.head()?;
        let () = std::thread::park_timeout(SOON);
        Ok(())
    });
    let serin = with_timeouts(endpoint.address(), json!({ "header": "400ms" }));
    let mut client = Wire::connect(serin.web);
    let began = Instant::now();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 50000000\r\n\r\n").unwrap();
    let upload = std::thread::spawn(move || {
        while client.send([b'x'; 65_536]).is_ok() {}
        client
    });
    counted(&serin, "header_timeout", 1.0);
    after_the_timer(began);
    drop(upload.join().unwrap());
}

#[test]
fn a_client_that_says_nothing_or_drips_its_head_is_closed() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok(""));
    let serin = with_limits(endpoint.address(), &json!({ "client_header_timeout": "400ms" }));
    for (what, begin, drip) in [
        ("nothing", "", ""),
        ("a preface that drips", "PRI * ", "HTTP/2.0\r\n\r\nS"),
        ("a head that drips", "GET / HTTP/1.1\r\nhost: a\r\nx: ", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
        ("a preface and no more", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
        ("HTTP/2 without a request", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", ""),
    ] {
        let began = Instant::now();
        let mut client = Wire::connect(serin.web);
        client.send(begin).unwrap();
        let mut drops = drip.bytes();
        until(SOON, what, || {
            let Some(next) = drops.next() else { return true };
            // The proxy may close while it drips: that is what it should do.
            client.send([next]).is_err()
        });
        client.wait_for_close();
        let took = began.elapsed();
        assert!(took >= SHORT && took < SHORT * 2 + Duration::from_secs(3), "{what}: {took:?}");
    }
    assert_eq!(endpoint.requests(), 0);
    assert_eq!(serin.get("/").status, 200);
}

#[test]
fn the_second_head_on_a_connection_may_not_drip_either() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok(""));
    let serin = with_limits(endpoint.address(), &json!({ "client_header_timeout": "400ms" }));
    let mut client = Wire::connect(serin.web);
    assert_eq!(client.ask(GET).status(), 200);
    client.send("GET / HT").unwrap();
    let began = Instant::now();
    client.wait_for_close();
    after_the_timer(began);
}

#[test]
fn a_connection_without_requests_is_closed_after_the_keep_alive_time() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok(""));
    let serin = with_limits(
        endpoint.address(),
        &json!({ "client_keep_alive": "1s", "client_header_timeout": "400ms" }),
    );
    let mut client = Wire::connect(serin.web);
    for _ in 0..2 {
        assert_eq!(client.ask(GET).status(), 200);
    }
    let began = Instant::now();
    assert!(client.rest().unwrap().is_empty(), "a friendly end");
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}

/// SETTINGS without a setting, then HEADERS on stream 1: GET http://a/.
const H2_REQUEST: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
      \0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";
const H2_PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0 a ping ";

/// What a client of HTTP/2 says between requests (acknowledgements, windows, pings) is no head that drips.
#[test]
fn an_http_2_connection_between_requests_lives_for_the_keep_alive_time() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let serin = with_limits(
        endpoint.address(),
        &json!({ "client_keep_alive": "2s", "client_header_timeout": "400ms" }),
    );
    let mut client = Wire::connect(serin.web);
    client.send(H2_REQUEST).unwrap();
    until(SOON, "it is answered", || serin.metrics().outcome("v1", "ok") == 1.0);
    let began = Instant::now();
    client.send(H2_PING).unwrap();
    client.wait_for_close();
    // The answer was counted up to a second after it went out, when the time began to run.
    assert!(began.elapsed() >= Duration::from_millis(900), "closed after {:?}", began.elapsed());
}

/// One that does not answer when it is told to go is closed all the same.
#[test]
fn an_http_2_client_that_ignores_the_farewell_is_closed() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let serin = with_limits(
        endpoint.address(),
        &json!({ "client_keep_alive": "400ms", "client_header_timeout": "400ms" }),
    );
    let mut client = Wire::connect(serin.web);
    client.send(H2_REQUEST).unwrap();
    until(SOON, "the request arrives", || endpoint.requests() == 1);
    client.wait_for_close();
}

#[test]
fn a_client_that_stops_reading_is_dropped() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, seen| {
        if read_request(wire, seen)?.is_some() {
            wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            loop {
                wire.send(format!("10000\r\n{}\r\n", "x".repeat(0x10000)))?;
            }
        }
        Ok(())
    });
    let serin = with_limits(endpoint.address(), &json!({ "client_stall_timeout": "400ms" }));
    let mut slow = Wire::connect(serin.web);
    slow.send(GET).unwrap();
    let mut h2 = H2::connect(serin.web, 64 * 1024);
    let request = http::Request::get(format!("http://{}/", serin.web)).body(empty()).unwrap();
    let unread = h2.begin(request).unwrap();
    let began = Instant::now();
    until(SOON, "the endpoint is free again", || endpoint.closed() == 2);
    after_the_timer(began);
    counted(&serin, "client_cancel", 2.0);
    drop((slow, unread));
}

#[test]
fn a_client_that_stops_sending_its_body_is_dropped() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok(""));
    let serin = with_limits(endpoint.address(), &json!({ "client_stall_timeout": "400ms" }));
    let began = Instant::now();
    let mut client = Wire::connect(serin.web);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nxxx").unwrap();
    client.wait_for_close();
    after_the_timer(began);
    counted(&serin, "client_cancel", 1.0);
    until(SOON, "the endpoint is free again", || endpoint.closed() == 1);
}

/// A client of HTTP/2 can read the socket and still make no room for an answer; its pings are no progress.
#[test]
fn a_client_that_makes_no_room_for_its_answer_is_dropped_however_much_it_pings() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let serin = with_limits(endpoint.address(), &json!({ "client_stall_timeout": "400ms" }));
    let mut client = Wire::connect(serin.web);
    // SETTINGS with an initial window of 0 instead of none.
    let (preface, headers) = (&H2_REQUEST[..24], &H2_REQUEST[33..]);
    let no_room = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    let began = Instant::now();
    client.send([preface, no_room, headers].concat()).unwrap();
    until(SOON, "the connection is closed", || client.send(H2_PING).is_err());
    after_the_timer(began);
    assert_eq!(endpoint.requests(), 1);
    assert_eq!(serin.get("/").status, 200);
}
