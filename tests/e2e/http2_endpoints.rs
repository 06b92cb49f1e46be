//! Endpoints of HTTP/2: connections are shared, within what the endpoint allows, and no request is lost with one.

use h2::Reason;
use serde_json::{Value, json};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, one_version},
    h2_endpoint::{Act, H2Endpoint},
    in_parallel,
    serin::Serin,
    until,
    wire::Wire,
};

fn config(endpoint: &H2Endpoint) -> Value {
    let mut config = one_version(&endpoint.address());
    config["services"][SERVICE]["versions"]["v1"]["protocol"] = json!("http2");
    config
}

fn get(client: &mut Wire) -> u16 {
    client.ask("GET / HTTP/1.1\r\nhost: a\r\n\r\n").status()
}

#[test]
fn a_burst_of_clients_shares_one_connection() {
    let _machine = beside();
    let endpoint = H2Endpoint::start(200, |_, _| Act::Answer("hi"));
    let serin = Serin::start(config(&endpoint));
    let statuses = in_parallel(64, 64, |_| {
        let mut client = Wire::connect(serin.web);
        (0..5).map(|_| get(&mut client)).collect::<Vec<_>>()
    });
    assert!(statuses.iter().flatten().all(|status| *status == 200), "{statuses:?}");
    assert_eq!((endpoint.connections(), endpoint.requests()), (1, 320));
}

#[test]
fn an_endpoint_that_allows_few_streams_gets_more_connections_and_never_more_streams() {
    let _machine = beside();
    let endpoint = H2Endpoint::start(2, |_, _| Act::Hang);
    let serin = Serin::start(config(&endpoint));
    // The first tells how many streams there may be; before that a client may take it for a hundred.
    let mut clients: Vec<Wire> = Vec::new();
    for i in 1..=6 {
        let mut client = Wire::connect(serin.web);
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        clients.push(client);
        until(SOON, "the request has arrived", || endpoint.requests() == i);
    }
    assert_eq!(endpoint.connections(), 3);
}

#[test]
fn a_farewell_costs_no_request() {
    let _machine = beside();
    let endpoint = H2Endpoint::start(100, |number, _| match number % 10 {
        9 => Act::AnswerLast("bye"),
        _ => Act::Answer("hi"),
    });
    let serin = Serin::start(config(&endpoint));
    let statuses = in_parallel(8, 8, |_| {
        let mut client = Wire::connect(serin.web);
        (0..50).map(|_| get(&mut client)).collect::<Vec<_>>()
    });
    assert!(statuses.iter().flatten().all(|status| *status == 200), "{statuses:?}");
    assert!(endpoint.connections() > 10, "{}", endpoint.connections());
}

#[test]
fn a_request_that_hangs_is_given_up_without_harm_to_its_neighbours() {
    let _machine = beside();
    let endpoint = H2Endpoint::start(100, |_, request| match request.uri().path() {
        "/hang" => Act::Hang,
        "/reset" => Act::Reset(Reason::INTERNAL_ERROR),
        _ => Act::Answer("hi"),
    });
    let mut config = config(&endpoint);
    config["services"][SERVICE]["timeouts"] = json!({ "header": "300ms" });
    let serin = Serin::start(config);
    let mut hanging = Wire::connect(serin.web);
    hanging.send("GET /hang HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    until(SOON, "the request has arrived", || endpoint.requests() == 1);
    let mut client = Wire::connect(serin.web);
    assert_eq!(get(&mut client), 200);
    assert_eq!(client.ask("POST /reset HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx").status(), 502);
    assert_eq!(hanging.answer_to("GET").unwrap().status(), 504);
    assert_eq!(get(&mut client), 200);
    assert_eq!(endpoint.connections(), 1);
}

#[test]
fn pseudo_fields_say_what_the_client_asked_for() {
    let _machine = beside();
    let endpoint = H2Endpoint::start(100, |_, request| {
        let uri = request.uri();
        let whole = uri.scheme_str() == Some("http")
            && uri.authority().is_some_and(|host| host == "shop.example:81")
            && uri.path_and_query().is_some_and(|path| path == "/a/../b?c=%20d")
            && !request.headers().contains_key("host")
            && !request.headers().contains_key("connection");
        if whole { Act::Answer("as asked") } else { Act::Reset(Reason::PROTOCOL_ERROR) }
    });
    let serin = Serin::start(config(&endpoint));
    let mut client = Wire::connect(serin.web);
    let answer =
        client.ask("GET /a/../b?c=%20d HTTP/1.1\r\nhost: shop.example:81\r\nconnection: keep-alive\r\n\r\n");
    assert_eq!((answer.status(), answer.text()), (200, "as asked".into()));
}
