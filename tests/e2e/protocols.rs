//! HTTP in all its forms: what a client says in HTTP/1.0, 1.1 or 2 reaches the endpoint as one clean
//! HTTP/1.1 message, and the endpoint's answer comes back as the client understands it.
//!
//! What becomes of a request's fields is covered by `heads`, requests that are refused for their form by
//! `malformed`, bodies that take time by `streaming`.

use http::{Request, Version};
use serde_json::json;

use crate::harness::{
    SOON, beside,
    config::one_version,
    endpoint::{Endpoint, ok, read_request},
    h2::{H2, Outgoing, empty, whole},
    serin::Serin,
    until,
    wire::{Head, Wire},
};

const WINDOW: u32 = 64 * 1024;

fn rig(respond: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static) -> (Endpoint, Serin) {
    let endpoint = Endpoint::answering(respond);
    let serin = Serin::start(one_version(endpoint.address()));
    (endpoint, serin)
}

fn by_h2(serin: &Serin, method: &str, path: &str, body: Outgoing) -> Request<Outgoing> {
    let uri = format!("http://{}{path}", serin.web);
    Request::builder().method(method).uri(uri).version(Version::HTTP_2).body(body).unwrap()
}

#[test]
fn an_http_1_0_client_gets_no_chunks_and_the_end_of_the_connection() {
    let _machine = beside();
    let (endpoint, serin) =
        rig(|_| b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".into());
    let mut client = Wire::connect(serin.web);
    let answer = client.ask("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "abc"));
    assert!(answer.head.one("transfer-encoding").is_none(), "{:?}", answer.head);
    let (head, _) = endpoint.last();
    assert_eq!(head.line, "GET /old HTTP/1.1");
    assert!(head.one("host").is_some(), "HTTP/1.1 needs a host: {head:?}");
}

#[test]
fn an_answer_without_body_keeps_its_length_and_the_connection() {
    let _machine = beside();
    let (endpoint, serin) = rig(|head| {
        let fields = match head.word() {
            "/length" => "200 OK\r\ncontent-length: 1234",
            "/chunked" => "200 OK\r\ntransfer-encoding: chunked",
            "/304" => "304 Not Modified\r\netag: \"a\"",
            _ => "204 No Content",
        };
        format!("HTTP/1.1 {fields}\r\n\r\n").into()
    });
    let cases = [
        ("HEAD", "/length", 200, Some("1234")),
        ("HEAD", "/chunked", 200, None),
        ("GET", "/304", 304, None),
        ("GET", "/204", 204, None),
    ];
    let mut client = Wire::connect(serin.web);
    for (method, path, status, length) in cases {
        let answer = client.ask(format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(answer.status(), status, "{path}: {:?}", answer.head);
        assert_eq!(answer.head.one("content-length"), length, "{path}: {:?}", answer.head);
    }
    let mut client = H2::connect(serin.web, WINDOW);
    for (method, path, status, length) in cases {
        let answer = client.ask(by_h2(&serin, method, path, empty())).unwrap();
        assert_eq!(answer.status, status, "{path} over HTTP/2");
        let told = answer.headers.get("content-length").map(|value| value.to_str().unwrap());
        assert_eq!(told, length, "{path} over HTTP/2");
        assert!(answer.body.is_empty());
    }
    assert_eq!(endpoint.opened(), 1, "all of it went over one connection to the endpoint");
}

#[test]
fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, seen| {
        read_request(wire, seen)?;
        wire.send("HTTP/1.1 200 OK\r\n\r\nfirst ")?;
        wire.send("second")
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    for _ in 0..2 {
        let answer = client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "first second"));
    }
    let answer = H2::connect(serin.web, WINDOW).ask(by_h2(&serin, "GET", "/", empty())).unwrap();
    assert_eq!(answer.body, "first second");
    assert_eq!(endpoint.opened(), 3);
    until(SOON, "all are counted", || serin.metrics().outcome("v1", "ok") == 3.0);
}

#[test]
fn a_chunked_answer_that_also_states_a_length_arrives_whole_and_without_it() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, seen| {
        let Some(head) = read_request(wire, seen)? else { return Ok(()) };
        let length = head.word().trim_start_matches('/').to_owned();
        wire.send(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ))?;
        wire.wait_for_close();
        Ok(())
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    for length in ["3", "5", "30"] {
        // RFC 9112, 6.3: the coding overrides the length, which is not to be passed on.
        let answer = client.ask(format!("GET /{length} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!((answer.status(), answer.text().as_str()), (200, "hello"), "{length}: {answer:?}");
        assert_eq!(answer.head.one("content-length"), None, "{length}");
    }
    until(SOON, "all are counted", || serin.metrics().outcome("v1", "ok") == 3.0);
}

#[test]
fn a_client_that_expects_100_continue_gets_it_and_the_endpoint_is_not_asked() {
    let _machine = beside();
    let (endpoint, serin) = rig(|_| ok("done"));
    let mut client = Wire::connect(serin.web);
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n").unwrap();
    let go_on = client.head().unwrap().unwrap();
    assert_eq!(go_on.word(), "100", "{go_on:?}");
    let answer = client.ask("body");
    assert_eq!(answer.text(), "done");
    let (head, body) = endpoint.last();
    assert_eq!(body, b"body");
    assert!(head.one("expect").is_none(), "{head:?}");
}

#[test]
fn an_http_2_request_arrives_as_one_clean_http_1_1_message() {
    let _machine = beside();
    let (endpoint, serin) = rig(|_| ok("hello"));
    let mut client = H2::connect(serin.web, WINDOW);
    let mut request = by_h2(&serin, "POST", "/path?a=1", whole("the body"));
    for crumb in ["a=1", "b=2", "c=3; d=4"] {
        request.headers_mut().append("cookie", crumb.parse().unwrap());
    }
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let answer = client.ask(request).unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    let (head, body) = endpoint.last();
    assert_eq!(head.line, "POST /path?a=1 HTTP/1.1");
    assert_eq!(head.one("host"), Some(serin.web.to_string().as_str()));
    assert_eq!(head.one("cookie"), Some("a=1; b=2; c=3; d=4"));
    assert_eq!((head.one("content-length"), body.as_slice()), (Some("8"), &b"the body"[..]));
    // A second Host that contradicts the first is how requests are smuggled past a rule.
    let mut request = by_h2(&serin, "GET", "/", empty());
    request.headers_mut().insert("host", "other.example".parse().unwrap());
    assert_eq!(client.ask(request).unwrap().status, 400);
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn an_http_2_request_with_too_many_fields_is_refused() {
    let _machine = beside();
    let (endpoint, serin) = rig(|_| ok(""));
    let mut client = H2::connect(serin.web, WINDOW);
    let mut request = by_h2(&serin, "GET", "/", empty());
    for i in 0..200 {
        let name: http::HeaderName = format!("x-{i}").parse().unwrap();
        request.headers_mut().insert(name, "1".parse().unwrap());
    }
    assert_eq!(client.ask(request).unwrap().status, 431);
    assert_eq!(endpoint.requests(), 0);
    assert_eq!(client.ask(by_h2(&serin, "GET", "/", empty())).unwrap().status, 200);
}

#[test]
fn a_get_with_a_body_of_unknown_length_keeps_it() {
    let _machine = beside();
    let (endpoint, serin) = rig(|_| ok("done"));
    let mut client = Wire::connect(serin.web);
    let chunked = "transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    for method in ["GET", "POST", "DELETE", "OPTIONS"] {
        let answer = client.ask(format!("{method} / HTTP/1.1\r\nhost: a\r\n{chunked}"));
        assert_eq!(answer.text(), "done", "{method}");
        assert_eq!(endpoint.last().1, b"body", "{method}");
    }
}

/// A gRPC status stands in the trailers; an HTTP/1.1 server sends these only to who says `te: trailers`.
#[test]
fn trailers_of_an_endpoint_reach_an_http_2_client_and_are_judged() {
    let _machine = beside();
    let (endpoint, serin) = rig(|head| {
        let asked = head.all("te").contains(&"trailers");
        let named = head.all("connection").iter().any(|value| value.eq_ignore_ascii_case("te"));
        let status = if head.word() == "/good" { 0 } else { 14 };
        let trailers = if asked && named { format!("grpc-status: {status}\r\n") } else { String::new() };
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\
             trailer: grpc-status\r\n\r\n5\r\nhello\r\n0\r\n{trailers}\r\n"
        )
        .into()
    });
    let mut client = H2::connect(serin.web, WINDOW);
    for (path, status) in [("/good", "0"), ("/bad", "14")] {
        let mut request = by_h2(&serin, "POST", path, whole("q"));
        request.headers_mut().insert("te", "trailers".parse().unwrap());
        let answer = client.ask(request).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
        assert_eq!(answer.trailers.expect("trailers")["grpc-status"], status, "{path}");
    }
    until(SOON, "both are counted by their status", || {
        let metrics = serin.metrics();
        metrics.outcome("v1", "ok") == 1.0 && metrics.outcome("v1", "grpc_error") == 1.0
    });
    assert_eq!(endpoint.opened(), 1);
    // HTTP/1.1 has trailers, too, for who asks for them.
    let answer = Wire::connect(serin.web)
        .ask("GET /good HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\n\r\n");
    assert_eq!(answer.trailers.one("grpc-status"), Some("0"), "{answer:?}");
}

#[test]
fn unix_sockets_serve_on_both_sides() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let (front, back) = (directory.path().join("front.sock"), directory.path().join("back.sock"));
    let endpoint = Endpoint::answering_at(&back, |_| ok("by file"));
    let mut config = one_version(endpoint.address());
    config["listeners"] = json!([{}, { "name": "file", "address": format!("unix:{}", front.display()) }]);
    let serin = Serin::start(config);
    let mut client = Wire::connect_unix(&front);
    for _ in 0..3 {
        let answer = client
            .ask("POST / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 1.2.3.4\r\ncontent-length: 2\r\n\r\nhi");
        assert_eq!(answer.text(), "by file");
    }
    let (head, body) = endpoint.last();
    assert_eq!(body, b"hi");
    assert!(head.one("x-forwarded-for").is_none(), "nobody knows the address: {head:?}");
    assert_eq!(endpoint.opened(), 1, "the connection is reused");
    // The same endpoint by the listener of the other kind.
    assert_eq!(serin.get("/").body, "by file");
}

#[test]
fn an_answer_that_is_not_http_is_the_endpoint_s_fault() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, seen| {
        let Some(head) = read_request(wire, seen)? else { return Ok(()) };
        let big = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(100_000));
        wire.send(match head.word() {
            "/banner" => "SSH-2.0-OpenSSH\r\n\r\n",
            "/big" => &big,
            "/coded" => "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "/lengths" => "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            // Nobody asked for another protocol.
            _ => "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        })?;
        wire.wait_for_close();
        Ok(())
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    for path in ["/banner", "/big", "/coded", "/lengths", "/101"] {
        let answer = client.ask(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(answer.status(), 502, "{path}: {answer:?}");
        assert!(answer.text().contains("protocol_error"), "{path}: {}", answer.text());
    }
    until(SOON, "all are counted", || serin.metrics().outcome("v1", "protocol_error") == 5.0);
    until(SOON, "their connections are closed", || endpoint.closed() == 5);
}
