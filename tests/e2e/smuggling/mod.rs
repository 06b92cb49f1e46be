//! Requests that two readers could understand differently, over raw sockets: what the client is told, whether
//! the connection ends, and what the endpoint got to read, which is exactly one sound request or nothing.
//!
//! The cases stand in [`cases`]. The rules one by one are tested in `serin-split`; here it is the whole way,
//! the HTTP library included. Attacks on HTTP/2 are in `h2_attacks`.

mod cases;

use std::{
    io::{self, Read},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::harness::{
    beside,
    config::one_version,
    endpoint::{Endpoint, ok, read_request},
    in_parallel,
    serin::Serin,
    wire::{Head, Wire},
};
use cases::{Case, Closes, Reaches};

/// Longer than anything here takes; a connection that is still open then, stays open.
const PATIENCE: Duration = Duration::from_secs(10);
/// A request that is served says what comes behind: if the connection is still usable, this is answered.
const PROBE: &str = "GET /probe HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// What came back.
#[derive(Debug)]
struct Told {
    /// Of each answer, in order; 100 is left out.
    statuses: Vec<u16>,
    text: String,
    probe_answered: bool,
    closed: bool,
}

#[test]
fn nothing_is_smuggled_and_every_refusal_says_why() {
    let _machine = beside();
    let cases = cases::all();
    let failures: Vec<String> =
        in_parallel(cases.len(), 8, |n| judge(cases[n])).into_iter().filter_map(Result::err).collect();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

thread_local! {
    /// One proxy and endpoint for each thread that judges.
    static RIG: (Endpoint, Serin) = rig();
}

fn rig() -> (Endpoint, Serin) {
    let endpoint = Endpoint::scripted(|wire, seen| {
        while let Some(head) = read_request(wire, seen)? {
            wire.send(ok(head.word()))?;
        }
        Ok(())
    });
    let mut config = one_version(endpoint.address());
    config["limits"]["client_header_timeout"] = "2s".into();
    config["limits"]["client_stall_timeout"] = "2s".into();
    let serin = Serin::start(config);
    (endpoint, serin)
}

fn judge(case: &Case) -> Result<(), String> {
    RIG.with(|(endpoint, serin)| {
        let before = endpoint.requests();
        let told = send(serin.web, case).map_err(|error| format!("{}: {error}", case.name))?;
        let reached: Vec<(Head, Vec<u8>)> = endpoint
            .all()
            .split_off(before)
            .into_iter()
            .filter(|(head, _)| head.word() != "/probe")
            .collect();
        check(case, &told, &reached)
            .map_err(|wrong| format!("{}: {wrong}; {told:?}, reached: {reached:?}", case.name))
    })
}

fn send(address: SocketAddr, case: &Case) -> io::Result<Told> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut wire_bytes = case.bytes();
    wire_bytes.extend_from_slice(PROBE.as_bytes());
    // The proxy may have had enough before it has read all.
    let _ = io::Write::write_all(&mut stream, &wire_bytes);
    let mut all = Vec::new();
    let closed = match stream.read_to_end(&mut all) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    };
    let text = String::from_utf8_lossy(&all).into_owned();
    let statuses: Vec<u16> = text
        .match_indices("HTTP/1.")
        .filter_map(|(at, _)| text.get(at + 9..)?.split(' ').next()?.parse().ok())
        .filter(|status| *status != 100)
        .collect();
    let probe_answered = text.ends_with("/probe");
    Ok(Told { statuses, text, probe_answered, closed })
}

fn check(case: &Case, told: &Told, reached: &[(Head, Vec<u8>)]) -> Result<(), String> {
    if !told.closed {
        return Err("the connection stayed open".into());
    }
    let own: &[u16] =
        if told.probe_answered { &told.statuses[..told.statuses.len() - 1] } else { &told.statuses };
    let wanted: &[u16] = case.status.map_or(&[], |_| case.status.as_slice());
    if own != wanted {
        return Err(format!("statuses {own:?} instead of {wanted:?}"));
    }
    match case.closes {
        Closes::Yes if told.probe_answered => return Err("what came behind was read as a request".into()),
        Closes::No if !told.probe_answered => return Err("the connection was closed".into()),
        _ => {}
    }
    let refused = case.status.is_some_and(|status| status >= 400);
    if refused && !told.text.contains("serin: ") {
        return Err("the refusal does not say why".into());
    }
    if refused && case.closes == Closes::Yes && !told.text.contains("connection: close") {
        return Err("the refusal does not say that the connection ends".into());
    }
    match (case.reaches, reached) {
        (Reaches::Nothing, []) => Ok(()),
        (Reaches::Request(line, body), [(head, read)]) => {
            let hidden = head
                .fields
                .iter()
                .any(|(name, value)| name.contains("smuggled") || value.contains("smuggled"));
            if head.line != line || read != body.as_bytes() {
                Err(format!("another request reached the endpoint than {line:?} {body:?}"))
            } else if hidden || head.all("host").len() != 1 {
                Err("its head carries what it should not".into())
            } else if head.all("content-length").len() + head.all("transfer-encoding").len() > 1 {
                Err("its body is framed twice".into())
            } else {
                Ok(())
            }
        }
        (Reaches::Nothing, _) => Err("it reached the endpoint".into()),
        (Reaches::Request(..), others) => Err(format!("{} requests reached the endpoint", others.len())),
    }
}

/// However the bytes of a request are cut, it is the same request.
#[test]
fn a_request_that_comes_byte_by_byte_is_the_same_request() {
    let _machine = beside();
    let (endpoint, serin) = rig();
    let request = "POST /slow HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nt: 1\r\n\r\n";
    let mut client = Wire::connect(serin.web);
    for _ in 0..2 {
        for byte in request.bytes() {
            client.send([byte]).unwrap();
        }
        assert_eq!(client.answer_to("POST").unwrap().status(), 200);
        let (head, body) = endpoint.last();
        assert_eq!((head.line.as_str(), body.as_slice()), ("POST /slow HTTP/1.1", &b"abc"[..]));
    }
    assert_eq!(endpoint.requests(), 2);
}

/// A refusal takes its turn: the answers to what came before it are whole.
#[test]
fn a_bad_request_in_a_pipeline_is_refused_behind_the_good_ones() {
    let _machine = beside();
    let (endpoint, serin) = rig();
    let good = "GET /good HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut client = Wire::connect(serin.web);
    client.send(format!("{good}{good}GET /bad HTTP/1.1\r\nhost : a\r\n\r\n{good}")).unwrap();
    for _ in 0..2 {
        let answer = client.answer_to("GET").unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "/good"));
    }
    let refusal = client.answer_to("GET").unwrap();
    assert_eq!(refusal.status(), 400);
    assert!(refusal.text().starts_with("serin: bad_request: white space"), "{}", refusal.text());
    client.wait_for_close();
    assert_eq!(endpoint.requests(), 2);
    assert_eq!(serin.metrics().sum("serin_requests_refused_total", &[("reason", "bad_request")]), 1.0);
}

/// A client that is parked is served as if it had never been.
#[test]
fn a_connection_that_was_quiet_goes_on_where_it_was() {
    let _machine = beside();
    let (endpoint, serin) = rig();
    let mut client = Wire::connect(serin.web);
    for round in 0..4 {
        let answer = client.ask(format!("GET /{round} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!((answer.status(), answer.text()), (200, format!("/{round}")));
        // Longer than a connection must be quiet to be parked: what is under test is the time itself.
        std::thread::sleep(serin_config::limits::PARK_AFTER * 3);
    }
    client.send("GET /half HTTP/1.1\r\nho").unwrap();
    std::thread::sleep(serin_config::limits::PARK_AFTER * 3);
    assert_eq!(client.ask("st: a\r\n\r\n").text(), "/half");
    assert_eq!(endpoint.requests(), 5);
}
