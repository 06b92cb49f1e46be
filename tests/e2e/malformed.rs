//! Requests that are not HTTP, or mean two things at once: 400 (or what RFC 9110 names for the case), the
//! connection is closed, and no endpoint hears of them.
//!
//! What is forwarded of a good request (hop-by-hop headers, `x-forwarded-*`) is covered by `serin-split`.

use serin_loadtest::{Stub, StubOptions};

use crate::harness::{beside, config::one_version, http::raw, serin::Serin};

#[test]
fn a_malformed_request_gets_400_and_reaches_no_endpoint() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = Serin::start(one_version(stub.address()));
    let cases: [(&str, &str); 12] = [
        ("no HTTP at all", "hello\r\n\r\n"),
        ("no version", "GET /\r\n\r\n"),
        ("a space in the target", "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("no host", "GET / HTTP/1.1\r\nconnection: close\r\n\r\n"),
        ("two hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n"),
        ("a space before the colon", "GET / HTTP/1.1\r\nhost : a\r\n\r\n"),
        ("a folded header", "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n"),
        ("a NUL in a value", "GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n"),
        ("two lengths", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        ("a length that is no number", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n"),
        (
            "a coding beside a length",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        ),
        ("a bad host", "GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n"),
    ];
    for (what, bytes) in cases {
        let answer = raw(serin.web, bytes.as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "),
            "{what}: {answer:?}"
        );
        assert_eq!(stub.requests(), 0, "{what} reached the endpoint");
    }
    assert_eq!(serin.get("/").status, 200, "good requests are served as before");
}

/// RFC 9112, 6.3: a request with both may be served by its chunks alone if the connection is closed after
/// it. Then neither a second framing nor what hides behind it may get through.
#[test]
fn a_request_with_length_and_chunks_smuggles_nothing() {
    let _machine = beside();
    let stub = Stub::start(StubOptions { echo: true, ..StubOptions::default() }).unwrap();
    let serin = Serin::start(one_version(stub.address()));
    let framed_twice = "POST /outer HTTP/1.1\r\nhost: a\r\n\
         content-length: 40\r\ntransfer-encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let answer = raw(serin.web, framed_twice.as_bytes());
    assert!(!answer.contains("/smuggled"), "{answer}");
    if answer.starts_with("HTTP/1.1 200 ") {
        assert_eq!(stub.requests(), 1, "{answer}");
        let told = answer.split_once("\r\n\r\n").unwrap().1;
        let told: serde_json::Value = serde_json::from_str(told).unwrap();
        assert!(told["headers"]["content-length"].is_null(), "{told}");
    } else {
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(stub.requests(), 0, "{answer}");
    }
}

#[test]
fn a_head_that_is_too_large_is_refused_and_reaches_no_endpoint() {
    let _machine = beside();
    let stub = Stub::start(StubOptions::default()).unwrap();
    let serin = Serin::start(one_version(stub.address()));
    let many = (0..200).map(|i| format!("x-{i}: 1\r\n")).collect::<String>();
    let long = format!("x: {}\r\n", "y".repeat(100_000));
    for (what, headers) in [("200 fields", many), ("100 kB", long)] {
        let answer = raw(serin.web, format!("GET / HTTP/1.1\r\nhost: a\r\n{headers}\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 431 "), "{what}: {answer:?}");
    }
    assert_eq!(stub.requests(), 0);
}
