//! What the HTTP/1.1 client makes of servers that answer in every way that the standard allows, and in some that it
//! does not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use serin_loadtest::{Ask, ErrorKind, Load, Pace, Report, Stop, Target, measure::VersionTally};

/// A server that answers each connection's requests one after the other with these bytes, and closes then.
fn server(answers: &'static [&'static [u8]]) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            thread::spawn(move || serve(stream, answers));
        }
    });
    Target::new(address.to_string().parse().unwrap())
}

fn serve(mut stream: TcpStream, answers: &[&[u8]]) {
    for answer in answers {
        if !read_head(&mut stream) {
            return;
        }
        // In two pieces, so that heads and bodies are cut.
        let (first, second) = answer.split_at(answer.len() / 2);
        if stream.write_all(first).and_then(|()| stream.flush()).is_err() {
            return;
        }
        let _ = stream.write_all(second);
    }
}

fn read_head(stream: &mut TcpStream) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return false;
        }
        head.push(byte[0]);
    }
    true
}

/// So many requests, one after the other over one connection.
fn ask(target: Target, requests: u64) -> Report {
    let load = Load::new(target, Pace::Closed { connections: 1 }, Stop::Count(requests));
    load.start().unwrap().blocking_report().unwrap()
}

fn statuses(report: &Report) -> Vec<(u16, u64)> {
    report.tally.versions().flat_map(VersionTally::statuses).collect()
}

#[test]
fn bodies_end_by_length_by_chunks_or_not_at_all() {
    let target = server(&[
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 700\r\n\r\n",
    ]);
    let report = ask(target, 4);
    assert_eq!(statuses(&report), [(200, 1), (201, 1), (204, 1), (304, 1)]);
    assert_eq!(report.progress.connections, 1, "all of them over one connection");
}

#[test]
fn what_comes_before_the_answer_is_not_the_answer() {
    let target = server(&[
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ]);
    let report = ask(target, 2);
    assert_eq!((statuses(&report), report.progress.connections), (vec![(200, 2)], 1));
}

#[test]
fn a_connection_that_the_answer_ends_is_not_used_again() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"[..],
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nuntil it is closed",
    ] {
        let answers: &'static [&'static [u8]] = Box::leak(Box::new([answer]));
        let report = ask(server(answers), 3);
        assert_eq!(statuses(&report), [(200, 3)]);
        assert_eq!((report.progress.connections, report.progress.resent), (3, 0));
    }
    let keeps =
        server(&[b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n" as &[u8]; 3]);
    assert_eq!(ask(keeps, 3).progress.connections, 1);
}

#[test]
fn the_answer_to_head_has_no_body() {
    let target = server(&[b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n" as &[u8]; 2]);
    let target = target.asks(vec![Ask::get().method("HEAD").unwrap()]).unwrap();
    let report = ask(target, 2);
    assert_eq!((statuses(&report), report.progress.connections), (vec![(200, 2)], 1));
}

#[test]
fn what_is_no_http_or_ends_too_early_is_an_error_of_its_kind() {
    let kind = |answer: &'static [u8]| {
        let answers: &'static [&'static [u8]] = Box::leak(Box::new([answer]));
        let report = ask(server(answers), 1);
        let errors: Vec<ErrorKind> =
            report.tally.versions().flat_map(|version| version.errors().into_keys()).collect();
        assert_eq!(errors.len(), 1, "{:?}", statuses(&report));
        errors[0]
    };
    assert_eq!(kind(b"SSH-2.0-OpenSSH\r\n\r\n"), ErrorKind::Protocol);
    assert_eq!(
        kind(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        ErrorKind::Protocol
    );
    assert_eq!(kind(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"), ErrorKind::Protocol);
    assert_eq!(kind(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), ErrorKind::Protocol);
    assert_eq!(kind(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"), ErrorKind::BodyCut);
    assert_eq!(kind(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe"), ErrorKind::BodyCut);
    assert_eq!(kind(b""), ErrorKind::Closed);
}

#[test]
fn a_server_that_refuses_a_large_body_half_way_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap().to_string().parse().unwrap());
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(read_head(&mut stream));
        stream.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n").unwrap();
        // It reads no more, and stays open until the other side has gone.
        let mut rest = [0; 65_536];
        thread::park_timeout(std::time::Duration::from_millis(200));
        while stream.read(&mut rest).is_ok_and(|bytes| bytes > 0) {}
    });
    let ask_large = Ask::get().method("POST").unwrap().body(vec![0; 32 << 20].into());
    let report = ask(target.asks(vec![ask_large]).unwrap(), 1);
    assert_eq!(statuses(&report), [(413, 1)]);
    served.join().unwrap();
}

#[test]
fn a_kept_connection_that_was_closed_is_opened_anew_without_a_loss() {
    // Each connection answers once, promises to stay open, and closes.
    let target = server(&[b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]);
    let report = ask(target, 50);
    assert_eq!(statuses(&report), [(200, 50)]);
    assert_eq!(report.progress.connections, 50);
}

#[test]
fn a_version_is_told_by_its_header_whatever_its_case() {
    let target = server(&[
        b"HTTP/1.1 200 OK\r\nX-Serin-VERSION: v1\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 503 No\r\nx-serin-version: v2\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ]);
    let report = ask(target, 3);
    let labels: Vec<String> = report.tally.versions().map(|version| version.version.to_string()).collect();
    assert_eq!(labels, ["v1", "v2", ""]);
    assert_eq!((report.tally.total(), report.tally.failed()), (3, 1));
}
