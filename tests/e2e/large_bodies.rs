//! Bodies larger than memory, through readers that take their time: what the proxy holds does not grow with them.
//!
//! How pieces pass without being held up is covered by `streaming`.

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{alone, config::one_version, endpoint::Endpoint, serin::Serin, wire::Wire};

const BODY: u64 = 4 << 30;
const PIECE: usize = 1 << 20;
/// A slow reader stops this often, for so long. Whatever is sent meanwhile must wait where it was made.
const BYTES_BETWEEN_PAUSES: u64 = 64 << 20;
const PAUSE: Duration = Duration::from_millis(100);
const PEAK_MAX: u64 = 64 << 20;

fn write_all_of_it(wire: &mut Wire) -> io::Result<()> {
    let piece = vec![b'x'; PIECE];
    let mut left = BODY;
    while left > 0 {
        let now = left.min(PIECE as u64) as usize;
        wire.send(&piece[..now])?;
        left -= now as u64;
    }
    Ok(())
}

fn read_slowly(wire: &mut Wire) -> io::Result<()> {
    let mut read = 0;
    while read < BODY {
        let now = (BODY - read).min(PIECE as u64);
        wire.exactly(now as usize)?;
        read += now;
        if read.is_multiple_of(BYTES_BETWEEN_PAUSES) {
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

fn endpoint() -> Endpoint {
    Endpoint::scripted(|wire, _| {
        while let Some(head) = wire.head()? {
            if head.word() == "/down" {
                wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n"))?;
                write_all_of_it(wire)?;
            } else {
                read_slowly(wire)?;
                wire.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")?;
            }
        }
        Ok(())
    })
}

fn download(at: SocketAddr) {
    let mut wire = Wire::connect(at);
    wire.send("GET /down HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let head = wire.head().unwrap().expect("an answer");
    assert_eq!(head.one("content-length"), Some(BODY.to_string().as_str()), "{head:?}");
    read_slowly(&mut wire).unwrap();
}

fn upload(at: SocketAddr) {
    let mut wire = Wire::connect(at);
    wire.send(format!("POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: {BODY}\r\n\r\n")).unwrap();
    write_all_of_it(&mut wire).unwrap();
    assert_eq!(wire.answer_to("POST").unwrap().text(), "done");
}

#[test]
fn four_gigabytes_each_way_through_slow_readers_need_no_memory() {
    let _machine = alone();
    let endpoint = endpoint();
    let mut config = one_version(endpoint.address());
    config["limits"]["workers"] = json!(2);
    let serin = Serin::start(config);
    let web = serin.web;
    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| download(web));
        scope.spawn(|| upload(web));
    });
    let peak = serin.peak_bytes();
    println!(
        "4 GiB each way at once in {:.1?}, at most {:.1} MiB of memory",
        begun.elapsed(),
        peak as f64 / (1 << 20) as f64
    );
    assert!(peak < PEAK_MAX, "{peak} bytes");
    let metrics = serin.metrics();
    assert_eq!(metrics.requests("v1"), metrics.outcome("v1", "ok"));
}
