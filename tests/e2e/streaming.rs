//! Bodies of any size and pace: they stream both ways with back-pressure, and arrive byte for byte.
//!
//! Bodies that break off are covered by `broken_off`; how long either side may take by `timeouts`.

use std::{
    io,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use crate::harness::{
    SOON, beside,
    config::one_version,
    endpoint::{Endpoint, ok, read_request},
    h2::{H2, empty},
    serin::Serin,
    until,
    wire::Wire,
};

const BIG: usize = 64 * 1024 * 1024;
const PIECE: usize = 64 * 1024;
/// What the proxy may hold of a body: its buffers and the allocator's slack, far below the body.
const MAY_HOLD: u64 = 12 * 1024 * 1024;

/// Bytes of a body at a place, so that a lost, doubled or moved piece shows.
fn piece(at: usize) -> Vec<u8> {
    (at..at + PIECE).map(|i| (i % 251) as u8 ^ (i / PIECE % 256) as u8).collect()
}

/// Sends a body, but waits in its middle until told to go on.
fn send_body(wire: &mut Wire, go_on: &mpsc::Receiver<()>) -> io::Result<()> {
    for at in (0..BIG).step_by(PIECE) {
        if at == BIG / 2 {
            go_on.recv().map_err(io::Error::other)?;
        }
        wire.send(piece(at))?;
    }
    Ok(())
}

fn read_body(wire: &mut Wire, from: usize, to: usize) {
    for at in (from..to).step_by(PIECE) {
        assert!(wire.exactly(PIECE).unwrap() == piece(at), "bytes from {at} on are others");
    }
}

/// A proxy that has served before, so that its first allocations are behind it.
fn warm(endpoint: &Endpoint) -> (Serin, u64) {
    let serin = Serin::start(one_version(endpoint.address()));
    for _ in 0..20 {
        assert_eq!(serin.get("/small").status, 200);
    }
    let held = serin.resident_bytes();
    (serin, held)
}

/// The writer of a body gets stuck when its reader does not read: nobody in between keeps the body.
fn until_stuck(serin: &Serin) {
    let mut before = (0, 0);
    until(SOON, "the body is stuck behind its reader", || {
        let now = (serin.resident_bytes(), moved(serin));
        std::mem::replace(&mut before, now) == now
    });
}

/// Bytes that the process has read and written.
fn moved(serin: &Serin) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", serin.id())).unwrap();
    let counts = io.lines().filter(|line| line.starts_with("rchar") || line.starts_with("wchar"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn a_large_answer_waits_for_a_slow_reader_outside_the_proxy_s_memory() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(move |wire, seen| {
        while let Some(head) = read_request(wire, seen)? {
            if head.word() == "/small" {
                wire.send(ok("small"))?;
                continue;
            }
            wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\n"))?;
            (0..BIG).step_by(PIECE).try_for_each(|at| wire.send(piece(at)))?;
        }
        Ok(())
    });
    let (serin, held) = warm(&endpoint);
    let mut client = Wire::connect(serin.web);
    client.send("GET /big HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert_eq!(client.head().unwrap().unwrap().one("content-length"), Some(BIG.to_string().as_str()));
    for at in [0, BIG / 2] {
        until_stuck(&serin);
        assert!(serin.resident_bytes() < held + MAY_HOLD, "{} bytes over {held}", serin.resident_bytes());
        read_body(&mut client, at, at + BIG / 2);
    }
    assert!(serin.resident_bytes() < held + MAY_HOLD, "{} bytes over {held}", serin.resident_bytes());
    until(SOON, "it is counted", || serin.metrics().outcome("v1", "ok") == 21.0);
}

#[test]
fn a_large_answer_over_http_2_waits_for_a_slow_reader_outside_the_proxy_s_memory() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(move |wire, seen| {
        while let Some(head) = read_request(wire, seen)? {
            if head.word() == "/small" {
                wire.send(ok("small"))?;
                continue;
            }
            wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\n"))?;
            (0..BIG).step_by(PIECE).try_for_each(|at| wire.send(piece(at)))?;
        }
        Ok(())
    });
    let (serin, held) = warm(&endpoint);
    let mut client = H2::connect(serin.web, 64 * 1024);
    let request = http::Request::get(format!("http://{}/big", serin.web)).body(empty()).unwrap();
    let answer = client.begin(request).unwrap();
    until_stuck(&serin);
    assert!(serin.resident_bytes() < held + MAY_HOLD, "{} bytes over {held}", serin.resident_bytes());
    let all = client.runtime.block_on(http_body_util::BodyExt::collect(answer.into_body())).unwrap();
    assert!(serin.resident_bytes() < held + MAY_HOLD, "{} bytes over {held}", serin.resident_bytes());
    let all = all.to_bytes();
    assert_eq!(all.len(), BIG);
    assert!(all.chunks(PIECE).enumerate().all(|(i, bytes)| bytes == piece(i * PIECE)), "bytes are others");
}

#[test]
fn a_large_upload_waits_for_a_slow_endpoint_outside_the_proxy_s_memory() {
    let _machine = beside();
    let (go_on, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let endpoint = Endpoint::scripted(move |wire, seen| {
        while let Some(head) = wire.head()? {
            if head.word() == "/small" {
                wire.send(ok("small"))?;
                continue;
            }
            wait.lock().unwrap().recv().map_err(io::Error::other)?;
            for at in (0..BIG).step_by(PIECE) {
                if wire.exactly(PIECE)? != piece(at) {
                    return wire.send(ok("other bytes"));
                }
            }
            wire.send(ok("all there"))?;
            let _ = seen;
        }
        Ok(())
    });
    let (serin, held) = warm(&endpoint);
    let mut client = Wire::connect(serin.web);
    let upload = thread::spawn(move || {
        client.send(format!("POST /big HTTP/1.1\r\nhost: a\r\ncontent-length: {BIG}\r\n\r\n")).unwrap();
        (0..BIG).step_by(PIECE).try_for_each(|at| client.send(piece(at))).unwrap();
        client.answer_to("POST").unwrap()
    });
    until_stuck(&serin);
    assert!(serin.resident_bytes() < held + MAY_HOLD, "{} bytes over {held}", serin.resident_bytes());
    go_on.send(()).unwrap();
    assert_eq!(upload.join().unwrap().text(), "all there");
    assert!(serin.resident_bytes() < held + MAY_HOLD, "{} bytes over {held}", serin.resident_bytes());
}

#[test]
fn the_first_bytes_arrive_before_the_last_are_sent() {
    let _machine = beside();
    // Each piece is sent only once the piece before it has arrived at the other side.
    let endpoint = Endpoint::scripted(|wire, _| {
        wire.head()?;
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            let chunk = wire.chunk()?;
            let echo = [format!("{:x}\r\n", chunk.len()).as_bytes(), &chunk, b"\r\n"].concat();
            wire.send(echo)?;
            if chunk.is_empty() {
                return Ok(());
            }
        }
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(client.head().unwrap().unwrap().word(), "200");
    for word in ["one", "two", "three"] {
        client.send(format!("{:x}\r\n{word}\r\n", word.len())).unwrap();
        assert_eq!(client.chunk().unwrap(), word.as_bytes());
    }
    client.send("0\r\n\r\n").unwrap();
    assert!(client.chunk().unwrap().is_empty());
    until(SOON, "it is counted", || serin.metrics().outcome("v1", "ok") == 1.0);
}

#[test]
fn an_answer_that_comes_before_the_upload_has_ended_reaches_the_client() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, _| {
        wire.head()?;
        wire.exactly(PIECE)?;
        wire.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 7\r\n\r\nenough!")?;
        wire.finish();
        wire.wait_for_close();
        Ok(())
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {BIG}\r\n\r\n")).unwrap();
    client.send(piece(0)).unwrap();
    let answer = client.answer_to("POST").unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "enough!"));
    until(SOON, "it is counted", || serin.metrics().outcome("v1", "http_4xx") == 1.0);
    until(SOON, "the connection is not used again", || endpoint.closed() == 1);
}

#[test]
fn a_client_that_writes_all_before_it_reads_is_not_locked_up() {
    let _machine = beside();
    // The endpoint answers each piece at once; the client reads nothing until it has sent everything.
    const PIECES: usize = 16;
    let endpoint = Endpoint::scripted(|wire, _| {
        wire.head()?;
        let length = PIECES * PIECE;
        wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"))?;
        for _ in 0..PIECES {
            let bytes = wire.exactly(PIECE)?;
            wire.send(bytes)?;
        }
        Ok(())
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    let length = PIECES * PIECE;
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n")).unwrap();
    (0..PIECES).try_for_each(|at| client.send(piece(at * PIECE))).unwrap();
    assert_eq!(client.head().unwrap().unwrap().word(), "200");
    read_body(&mut client, 0, length);
}

#[test]
fn many_streams_of_one_connection_keep_their_bytes_apart() {
    let _machine = beside();
    let endpoint = Endpoint::answering(|head| {
        let seed: usize = head.word()[1..].parse().unwrap_or(0);
        let body: String = (0..20_000).map(|i| char::from(b'a' + ((i * seed + seed) % 26) as u8)).collect();
        ok(&body)
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let client = H2::connect(serin.web, 4096);
    let answers = Arc::new(Mutex::new(Vec::new()));
    let all: Vec<_> = (1..80_usize)
        .map(|seed| {
            let mut sender = client.sender.clone();
            let request = http::Request::get(format!("http://{}/{seed}", serin.web)).body(empty()).unwrap();
            let answers = Arc::clone(&answers);
            client.runtime.spawn(async move {
                let answer = sender.send_request(request).await.unwrap();
                let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
                let mut own = (0..20_000).map(|i| b'a' + ((i * seed + seed) % 26) as u8);
                let same = body.len() == 20_000 && body.iter().all(|b| Some(*b) == own.next());
                answers.lock().unwrap().push(same);
            })
        })
        .collect();
    for one in all {
        client.runtime.block_on(one).unwrap();
    }
    assert_eq!(*answers.lock().unwrap(), vec![true; 79]);
}

#[test]
fn an_upload_that_pauses_goes_on_where_it_was() {
    let _machine = beside();
    let endpoint = Endpoint::scripted(|wire, _| {
        wire.head()?;
        for at in (0..BIG).step_by(PIECE) {
            if wire.exactly(PIECE)? != piece(at) {
                return wire.send(ok("other bytes"));
            }
        }
        wire.send(ok("all there"))
    });
    let serin = Serin::start(one_version(endpoint.address()));
    let mut client = Wire::connect(serin.web);
    let (go_on, wait) = mpsc::channel();
    let upload = thread::spawn(move || {
        client.send(format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {BIG}\r\n\r\n")).unwrap();
        send_body(&mut client, &wait).unwrap();
        client.answer_to("PUT").unwrap()
    });
    until_stuck(&serin);
    go_on.send(()).unwrap();
    assert_eq!(upload.join().unwrap().text(), "all there");
}
