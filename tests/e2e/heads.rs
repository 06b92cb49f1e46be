//! What the endpoint gets to read of a request's head, and the client of the answer's: what belongs to one hop
//! stays there, what says who the client is can be believed, a trace goes on, and nothing odd does harm.
//!
//! The rules themselves are tested case by case in `serin-split`; here it is the whole way.

use serde_json::json;

use crate::harness::{
    beside,
    config::one_version,
    endpoint::{Endpoint, ok},
    serin::Serin,
    wire::{Head, Wire},
};

fn rig(respond: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static) -> (Endpoint, Serin) {
    let endpoint = Endpoint::answering(respond);
    let serin = Serin::start(one_version(endpoint.address()));
    (endpoint, serin)
}

#[test]
fn a_target_in_absolute_form_is_asked_for_by_its_path_and_host() {
    let _machine = beside();
    let (endpoint, serin) = rig(|_| ok(""));
    let mut client = Wire::connect(serin.web);
    for (target, host, path) in [
        ("http://shop.example/a?b=c", "shop.example", "/a?b=c"),
        ("http://shop.example", "shop.example", "/"),
        ("http://shop.example?q=1", "shop.example", "/?q=1"),
        ("http://SHOP.example:8080/", "shop.example:8080", "/"),
    ] {
        let answer = client.ask(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        assert_eq!(answer.status(), 200, "{target}");
        let (head, _) = endpoint.last();
        assert_eq!(head.line, format!("GET {path} HTTP/1.1"));
        assert_eq!(head.one("host").map(str::to_ascii_lowercase).as_deref(), Some(host), "{target}");
    }
}

#[test]
fn options_about_the_server_itself_is_answered_by_it() {
    let _machine = beside();
    let (endpoint, serin) = rig(|_| ok(""));
    let answer = Wire::connect(serin.web).ask("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!((endpoint.requests(), answer.text()), (0, String::new()));
}

#[test]
fn what_belongs_to_one_hop_stays_there() {
    let _machine = beside();
    let (endpoint, serin) = rig(|_| {
        b"HTTP/1.1 200 OK\r\nconnection: x-inner\r\nx-inner: 1\r\nkeep-alive: timeout=5\r\n\
          x-serin-version: forged\r\netag: \"1\"\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\
          content-length: 0\r\n\r\n"
            .into()
    });
    let answer = Wire::connect(serin.web).ask(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: x-one, Authorization\r\nconnection: x-two\r\nx-one: 1\r\n\
         x-two: 2\r\nx-three: 3\r\nauthorization: secret\r\nproxy-authorization: other\r\nte: gzip\r\n\
         upgrade: h2c\r\nhttp2-settings: AAA\r\nproxy-connection: keep-alive\r\nx-serin-version: forged\r\n\r\n",
    );
    let (head, _) = endpoint.last();
    for gone in ["connection", "x-one", "x-two", "te", "upgrade", "http2-settings", "proxy-connection"] {
        assert!(head.all(gone).is_empty(), "{gone} went on: {head:?}");
    }
    assert!(head.one("proxy-authorization").is_none(), "{head:?}");
    assert_eq!((head.one("x-three"), head.one("authorization")), (Some("3"), Some("secret")));
    assert_eq!(head.one("x-serin-version"), Some("v1"), "what Serin says of itself, and nobody else");
    for gone in ["connection", "x-inner", "keep-alive"] {
        assert!(answer.head.all(gone).is_empty(), "{gone} came back: {:?}", answer.head);
    }
    assert_eq!(answer.head.one("etag"), Some("\"1\""));
    assert_eq!(answer.head.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.head.one("x-serin-version"), Some("v1"));
}

#[test]
fn a_stranger_can_not_say_who_the_client_is_and_a_trusted_proxy_can() {
    let _machine = beside();
    let claims = "GET / HTTP/1.1\r\nhost: shop.example\r\nx-forwarded-for: 198.51.100.4\r\n\
         x-forwarded-for: 10.0.0.9\r\nx-forwarded-proto: https\r\nx-forwarded-host: www.example\r\n\
         forwarded: for=198.51.100.4\r\nx-real-ip: 198.51.100.4\r\n\r\n";
    let endpoint = Endpoint::answering(|_| ok(""));
    let stranger = Serin::start(one_version(endpoint.address()));
    Wire::connect(stranger.web).ask(claims);
    let (head, _) = endpoint.last();
    assert_eq!(head.one("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.one("x-forwarded-proto"), Some("http"));
    assert_eq!(head.one("x-forwarded-host"), Some("shop.example"));
    assert!(head.one("forwarded").is_none() && head.one("x-real-ip").is_none(), "{head:?}");

    let mut config = one_version(endpoint.address());
    config["listeners"] = json!([{ "trusted_proxies": ["127.0.0.0/8"] }]);
    let trusting = Serin::start(config);
    Wire::connect(trusting.web).ask(claims);
    let (head, _) = endpoint.last();
    assert_eq!(head.one("x-forwarded-for"), Some("198.51.100.4, 10.0.0.9, 127.0.0.1"));
    assert_eq!(head.one("x-forwarded-proto"), Some("https"));
    assert_eq!(head.one("x-forwarded-host"), Some("www.example"));
    assert_eq!(head.one("forwarded"), Some("for=198.51.100.4"));
}

#[test]
fn a_trace_context_passes_byte_for_byte_and_a_broken_one_is_replaced() {
    let _machine = beside();
    let (endpoint, serin) = rig(|_| ok(""));
    let mut client = Wire::connect(serin.web);
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes-later";
    for parent in [good, later] {
        client.ask(format!(
            "GET / HTTP/1.1\r\nhost: a\r\nTraceparent: {parent}\r\ntracestate: a=1,b=2\r\ntracestate: c=3\r\n\r\n"
        ));
        let (head, _) = endpoint.last();
        assert_eq!(head.one("traceparent"), Some(parent));
        assert_eq!(head.all("tracestate"), ["a=1,b=2", "c=3"]);
    }
    let broken = ["", "00-0-0-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", &good[..54]];
    let mut made = Vec::new();
    for parent in broken {
        client.ask(format!("GET / HTTP/1.1\r\nhost: a\r\ntraceparent: {parent}\r\ntracestate: a=1\r\n\r\n"));
        let (head, _) = endpoint.last();
        let ours = head.one("traceparent").expect("a trace begins").to_owned();
        assert!(serin_split::trace::is_valid(ours.as_bytes()), "{ours}");
        assert_ne!(ours, parent);
        assert!(head.all("tracestate").is_empty(), "{head:?}");
        made.push(ours);
    }
    client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    made.push(endpoint.last().0.one("traceparent").expect("a trace begins").to_owned());
    made.sort();
    made.dedup();
    assert_eq!(made.len(), broken.len() + 1, "each trace has an id of its own");
}

#[test]
fn odd_requests_are_answered_and_the_proxy_lives_on() {
    let _machine = beside();
    let (_endpoint, serin) = rig(|_| ok("alive"));
    let long = format!("/{}", "a".repeat(20_000));
    let very_long = format!("/{}", "a".repeat(70_000));
    let cases: [(&str, Vec<u8>, &[u16]); 16] = [
        ("an empty host", b"GET / HTTP/1.1\r\nhost:\r\n\r\n".into(), &[200, 400]),
        ("a host that is only a port", b"GET / HTTP/1.1\r\nhost: :80\r\n\r\n".into(), &[200, 400]),
        ("a host of brackets", b"GET / HTTP/1.1\r\nhost: ]:[\r\n\r\n".into(), &[200, 400]),
        ("a host of a dot", b"GET / HTTP/1.1\r\nhost: .\r\n\r\n".into(), &[200, 400]),
        ("a host that is not ASCII", "GET / HTTP/1.1\r\nhost: ä\r\n\r\n".into(), &[400]),
        ("a long path", format!("GET {long} HTTP/1.1\r\nhost: a\r\n\r\n").into(), &[200]),
        ("a very long path", format!("GET {very_long} HTTP/1.1\r\nhost: a\r\n\r\n").into(), &[414, 431]),
        ("a path that is not ASCII", "GET /ä HTTP/1.1\r\nhost: a\r\n\r\n".into(), &[200, 400]),
        ("a path that is not UTF-8", b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n".into(), &[200, 400]),
        ("broken escapes", b"GET /%zz/%/%2 HTTP/1.1\r\nhost: a\r\n\r\n".into(), &[200, 400]),
        ("many dots", b"GET /b/..//.//a/.. HTTP/1.1\r\nhost: a\r\n\r\n".into(), &[200]),
        ("dots above the root", b"GET /../../..//.//a/.. HTTP/1.1\r\nhost: a\r\n\r\n".into(), &[400]),
        (
            "values that are not UTF-8",
            b"GET / HTTP/1.1\r\nhost: a\r\nx-a: \xff\xfe\r\ncookie: \xff\r\ntraceparent: \xff\r\n\
              x-forwarded-for: \xff\r\nconnection: \xff\r\n\r\n"
                .into(),
            &[200],
        ),
        ("an unknown method", b"BREW / HTTP/1.1\r\nhost: a\r\n\r\n".into(), &[200]),
        ("an empty connection field", b"GET / HTTP/1.1\r\nhost: a\r\nconnection: ,,\r\n\r\n".into(), &[200]),
        ("a query of question marks", b"GET /???#? HTTP/1.1\r\nhost: a\r\n\r\n".into(), &[200, 400]),
    ];
    for (what, request, allowed) in cases {
        let answer = Wire::connect(serin.web).ask(&request);
        assert!(allowed.contains(&answer.status()), "{what}: {:?} {}", answer.head, answer.text());
    }
    assert_eq!(serin.get("/").body, "alive");
    assert!(!serin.stderr().contains("panicked"), "{}", serin.stderr());
}
