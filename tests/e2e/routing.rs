//! Which route a request takes by all that it may be told by, and what routes do besides leading to a service:
//! answers, redirects, rewrites, changed heads.
//!
//! The order of routes and every single condition are tested in `serin-split`; what the file may say in
//! `serin-config`. Here it is the whole way, over both protocols where they differ.

use serde_json::{Value, json};

use crate::harness::{
    beside,
    config::{SERVICE, one_version},
    endpoint::{Endpoint, ok},
    serin::Serin,
    wire::Wire,
};

/// A service of one endpoint, which answers with the line and host it was asked for, and these routes.
fn rig(routes: Value, trusted: &[&str]) -> (Endpoint, Serin) {
    let endpoint = Endpoint::answering(|_| ok("endpoint"));
    let mut config = one_version(endpoint.address());
    config["routes"] = routes;
    config["listeners"] = json!([{ "trusted_proxies": trusted }]);
    let serin = Serin::start(config);
    (endpoint, serin)
}

#[test]
fn a_request_takes_the_route_that_it_fits_best() {
    let _machine = beside();
    let answer = |name: &str, more: Value| {
        let mut route = json!({ "name": name, "respond": { "body": name } });
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    let (_endpoint, serin) = rig(
        json!([
            answer("any", json!({})),
            answer("wildcard", json!({ "host": "*.shop.example" })),
            answer("exact", json!({ "host": "a.shop.example", "path": "/only" })),
            answer("regex", json!({ "path_regex": "/v[0-9]+/items" })),
            answer("prefix", json!({ "path_prefix": "/v1" })),
            answer("put", json!({ "methods": ["PUT"] })),
            answer("beta", json!({ "headers": { "x-beta": { "prefix": "y" } } })),
            answer("page", json!({ "query": { "page": { "regex": "[0-9]+" } } })),
            answer("cookie", json!({ "cookies": { "group": "b" } })),
            answer("office", json!({ "client": ["198.51.100.0/24"] })),
        ]),
        &["127.0.0.0/8"],
    );
    let mut client = Wire::connect(serin.web);
    for (line, more, name) in [
        ("GET /", "host: other", "any"),
        ("GET /", "host: b.shop.example", "wildcard"),
        ("GET /only?x=y", "host: A.SHOP.example:8080", "exact"),
        ("GET /%6Fnly", "host: a.shop.example", "exact"),
        ("GET /v12/items", "host: other", "regex"),
        ("GET /v1/items", "host: other", "regex"),
        ("GET /v1/item", "host: other", "prefix"),
        ("GET /v2/../v1/x", "host: other", "prefix"),
        ("PUT /", "host: other\r\ncontent-length: 0", "put"),
        ("GET /", "host: other\r\nx-beta: yes", "beta"),
        ("GET /?a&page=7", "host: other", "page"),
        ("GET /?page=seven", "host: other", "any"),
        ("GET /", "host: other\r\ncookie: a=1; group=b", "cookie"),
        ("GET /", "host: other\r\nx-forwarded-for: 198.51.100.7", "office"),
        ("GET /", "host: other\r\nx-forwarded-for: 198.51.100.7, 203.0.113.9", "any"),
    ] {
        let answer = client.ask(format!("{line} HTTP/1.1\r\n{more}\r\n\r\n"));
        assert_eq!((answer.status(), answer.text().as_str()), (200, name), "{line} {more}");
    }
}

#[test]
fn a_path_that_has_two_meanings_reaches_no_endpoint() {
    let _machine = beside();
    let (endpoint, serin) = rig(json!([{ "service": SERVICE }]), &[]);
    for path in [
        "/../x",
        "/a/%2e%2e/../x",
        "/public%2f..%2fadmin",
        "/public/..;/admin",
        "/a%00",
        "/a\\..\\b",
        "/b//../a",
    ] {
        let answer = Wire::connect(serin.web).ask(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(answer.status(), 400, "{path}");
    }
    assert_eq!(endpoint.requests(), 0);
    for path in ["/a/../x", "/@scope%2Fname", "/a;v=1", "/a%5Cb"] {
        let answer = Wire::connect(serin.web).ask(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(endpoint.last().0.line, format!("GET {path} HTTP/1.1"), "as it was sent");
    }
}

#[test]
fn an_answer_comes_from_the_file() {
    let _machine = beside();
    let (endpoint, serin) = rig(
        json!([
            { "path": "/closed", "respond": { "status": 503, "body": "closed\n", "headers": { "Retry-After": 60 } } },
            { "path": "/empty", "respond": { "status": 204 } },
            { "service": SERVICE },
        ]),
        &[],
    );
    let mut client = Wire::connect(serin.web);
    let closed = client.ask("POST /closed HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
    assert_eq!((closed.status(), closed.text().as_str()), (503, "closed\n"));
    assert_eq!(closed.head.one("retry-after"), Some("60"));
    assert_eq!(closed.head.one("content-type"), Some("text/plain; charset=utf-8"));
    let head = Wire::connect(serin.web).ask("HEAD /closed HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!((head.status(), head.head.one("content-length")), (503, Some("7")));
    let empty = Wire::connect(serin.web).ask("GET /empty HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!((empty.status(), empty.text().as_str()), (204, ""));
    assert_eq!(endpoint.requests(), 0);
}

#[test]
fn a_redirect_names_an_absolute_place() {
    let _machine = beside();
    let (_endpoint, serin) = rig(
        json!([
            { "path_prefix": "/old", "redirect": { "prefix": "/new", "status": 308 } },
            { "host": "plain.example", "redirect": { "scheme": "https", "status": 301 } },
            { "host": "moved.example", "redirect": { "host": "www.example", "path": "/" } },
            { "service": SERVICE },
        ]),
        &[],
    );
    for (target, host, status, location) in [
        ("/old/a?b=c", "a.example:8080", 308, "http://a.example:8080/new/a?b=c"),
        ("/x/../old", "a.example", 308, "http://a.example/new"),
        ("/x?y", "plain.example:8080", 301, "https://plain.example/x?y"),
        ("//evil.example/", "plain.example", 301, "https://plain.example//evil.example/"),
        ("/x?y", "moved.example", 307, "http://www.example/?y"),
    ] {
        let answer = Wire::connect(serin.web).ask(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        assert_eq!((answer.status(), answer.head.one("location")), (status, Some(location)), "{target}");
    }
}

#[test]
fn targets_and_heads_change_as_the_route_says() {
    let _machine = beside();
    let (endpoint, serin) = rig(
        json!([
            {
                "path_prefix": "/api",
                "service": SERVICE,
                "rewrite": { "prefix": "/v2", "host": "inner.example:81" },
                "request_headers": {
                    "remove": ["cookie"],
                    "set": { "x-env": "prod", "x-forwarded-for": "hidden" },
                    "add": { "x-tag": "b" },
                },
                "response_headers": { "remove": ["server"], "set": { "x-frame-options": "DENY" } },
            },
            { "service": SERVICE },
        ]),
        &[],
    );
    let mut client = Wire::connect(serin.web);
    let answer = client.ask(
        "GET /api/./x%79?q=1 HTTP/1.1\r\nhost: shop.example\r\ncookie: a=1\r\nx-env: forged\r\nx-env: twice\r\n\
         x-tag: a\r\n\r\n",
    );
    let (head, _) = endpoint.last();
    assert_eq!(head.line, "GET /v2/xy?q=1 HTTP/1.1");
    assert_eq!(
        (head.one("host"), head.one("x-forwarded-host")),
        (Some("inner.example:81"), Some("shop.example"))
    );
    assert!(head.all("cookie").is_empty(), "{head:?}");
    assert_eq!((head.all("x-env"), head.all("x-tag")), (vec!["prod"], vec!["a", "b"]));
    assert_eq!(head.one("x-forwarded-for"), Some("hidden"));
    assert_eq!(answer.head.one("x-frame-options"), Some("DENY"));
    assert!(answer.head.one("server").is_none());

    let other = client.ask("GET /b HTTP/1.1\r\nhost: shop.example\r\ncookie: a=1\r\n\r\n");
    let (head, _) = endpoint.last();
    assert_eq!((head.one("host"), head.one("cookie")), (Some("shop.example"), Some("a=1")));
    assert!(other.head.one("x-frame-options").is_none());
}

#[test]
fn a_route_has_timeouts_of_its_own() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, seen| {
        // It takes requests, and never answers.
        while crate::harness::endpoint::read_request(wire, seen)?.is_some() {}
        Ok(())
    });
    let mut config = one_version(endpoint.address());
    config["routes"] = json!([{ "service": SERVICE, "timeouts": { "header": "100ms" } }]);
    let serin = Serin::start(config);
    assert_eq!(serin.get("/").status, 504);
    let late = || serin.metrics().outcome("v1", "header_timeout");
    crate::harness::until(crate::harness::SOON, "it is charged as such", || late() == 1.0);
}
