//! Every way in and every way out, with what HTTP can do: methods, bodies in both directions, `Expect`, trailers, early
//! answers, ends before their time, framing without bodies.

use std::{
    fs,
    time::{Duration, Instant},
};

use super::{
    curl::{Cell, Got},
    rig::{Back, Front, Rig},
};
use crate::harness::{
    SOON, beside, in_parallel,
    origin::{LARGE, SUM},
    python,
    wire::Wire,
};

/// How often a server is asked whether it has noticed something.
const POLL: Duration = Duration::from_millis(20);

type Verdict = Result<(), String>;

/// What is tried in a cell.
type Check = fn(Cell<'_>) -> Verdict;

/// Named things that must hold in every cell.
const CHECKS: [(&str, Check); 16] = [
    ("GET", get),
    ("HEAD", head),
    ("POST with a length", post),
    ("POST of unknown length", post_unknown_length),
    ("POST streamed both ways", streamed_both_ways),
    ("Expect: 100-continue", expect),
    ("Expect that is refused", expect_refused),
    ("trailers of an answer", trailers_down),
    ("trailers of a request", trailers_up),
    ("early answer", early_answer),
    ("client gives up waiting", client_gives_up_waiting),
    ("client gives up reading", client_gives_up_reading),
    ("endpoint cuts its answer", endpoint_cuts),
    ("204 and 304, and the connection goes on", without_body),
    ("cookie crumbs", cookie_crumbs),
    ("OPTIONS * and absolute form", special_targets),
];

#[test]
fn every_way_in_and_every_way_out_holds_what_http_promises() {
    let _machine = beside();
    let rig = Rig::start();
    fs::write(rig.path("body"), body()).unwrap();
    fs::write(rig.path("small"), "some text").unwrap();
    let cells: Vec<_> = Front::ALL
        .into_iter()
        .flat_map(|front| Back::ALL.map(|back| (front, back)))
        .flat_map(|(front, back)| CHECKS.map(|check| (front, back, check)))
        .collect();
    let verdicts = in_parallel(cells.len(), 6, |number| {
        let (front, back, (_, check)) = cells[number];
        check(Cell { rig: &rig, front, back })
    });
    let mut failed = Vec::new();
    for ((front, back, (name, _)), verdict) in cells.iter().zip(&verdicts) {
        if let Err(why) = verdict {
            failed.push(format!("{front:?} → {back:?}: {name}: {why}"));
        }
    }
    println!("{} cells hold, {} do not", verdicts.len() - failed.len(), failed.len());
    assert!(failed.is_empty(), "\n{}\n{}", failed.join("\n"), rig.serin.stderr());
}

/// Many pieces, none like another.
fn body() -> Vec<u8> {
    (0..1_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn that(holds: bool, what: &str, got: &Got) -> Verdict {
    if holds {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&got.body[..got.body.len().min(80)]).into_owned();
    Err(format!(
        "{what}; exit {}, status {}, HTTP/{}, {} bytes up, {} down {text:?}, {:?}",
        got.exit,
        got.status,
        got.version,
        got.uploaded,
        got.body.len(),
        got.fields
    ))
}

fn well(cell: Cell<'_>, got: &Got, status: u16) -> Verdict {
    let version = if cell.front.is_h2() { "2" } else { "1.1" };
    that(got.exit == 0 && got.status == status && got.version == version, "it did not go well", got)
}

fn get(cell: Cell<'_>) -> Verdict {
    let got = cell.curl("/large", &[]);
    well(cell, &got, 200)?;
    that(got.body.len() == LARGE, "all of it", &got)?;
    let version = if cell.back.is_h2() { "HTTP/2.0" } else { "HTTP/1.1" };
    that(got.field("x-seen-version") == Some(version), "the endpoint was spoken to as the file says", &got)?;
    let host = got.field("x-seen-host").unwrap_or_default();
    that(host.split(':').next() == Some(&cell.host()), "the host is kept", &got)
}

fn head(cell: Cell<'_>) -> Verdict {
    let got = cell.curl("/large", &["--head"]);
    well(cell, &got, 200)?;
    that(
        got.field("content-length") == Some(&LARGE.to_string()),
        "the length of what GET would bring",
        &got,
    )?;
    that(got.field("x-seen-method") == Some("HEAD"), "the endpoint is asked for the head only", &got)
}

fn post(cell: Cell<'_>) -> Verdict {
    let data = format!("@{}", cell.rig.path("body").display());
    let got = cell.curl("/echo", &["--data-binary", &data, "-H", "expect:"]);
    well(cell, &got, 200)?;
    that(got.body == body(), "every byte comes back", &got)
}

fn post_unknown_length(cell: Cell<'_>) -> Verdict {
    let file = cell.rig.path("body");
    let upload = ["--request", "POST", "--upload-file", file.to_str().unwrap_or_default(), "-H", "expect:"];
    let got = cell.curl("/echo", &[&upload[..], &["-H", "transfer-encoding: chunked"]].concat());
    well(cell, &got, 200)?;
    that(got.body == body(), "every byte comes back", &got)
}

fn streamed_both_ways(cell: Cell<'_>) -> Verdict {
    // curl reads no answer while it waits for more to send.
    let address = match cell.front {
        Front::Unix1 => format!("unix:{}", cell.rig.unix.display()),
        front if front.is_tls() => cell.rig.tls.to_string(),
        _ => cell.rig.serin.web.to_string(),
    };
    let (host, ca) = (cell.host(), cell.rig.authority.file().display().to_string());
    let mut args = vec![address.as_str(), "--host", &host];
    if cell.front.is_h2() {
        args.push("--http2");
    }
    if cell.front.is_tls() {
        args.extend(["--ca", &ca]);
    }
    match python::run("stream_client.py", &args) {
        (status, _) if status.success() => Ok(()),
        (_, said) => Err(said),
    }
}

fn expect(cell: Cell<'_>) -> Verdict {
    if cell.front.is_h2() {
        // The HTTP library has no way to send a 100 over HTTP/2; clients there do not wait for one.
        return Ok(());
    }
    let data = format!("@{}", cell.rig.path("body").display());
    // Were there no 100, the body would be sent only after curl's whole time.
    let got = cell
        .curl("/echo", &["--data-binary", &data, "-H", "expect: 100-continue", "--expect100-timeout", "60"]);
    well(cell, &got, 200)?;
    that(got.body == body(), "every byte comes back", &got)
}

fn expect_refused(cell: Cell<'_>) -> Verdict {
    if cell.front.is_h2() || cell.front == Front::Unix1 {
        // curl does not wait over HTTP/2; and over a Unix socket it loses an answer that comes while it sends.
        return Ok(());
    }
    let data = format!("@{}", cell.rig.path("body").display());
    let got = cell.curl(
        "/refuse-to-continue",
        &["--data-binary", &data, "-H", "expect: 100-continue", "--expect100-timeout", "60"],
    );
    // curl tries again without the field, as the RFC says it may; the first answer must have come without a body.
    that(got.status == 417, "the endpoint's own refusal", &got)
}

fn trailers_down(cell: Cell<'_>) -> Verdict {
    let got = cell.curl("/trailers", &["-H", "te: trailers"]);
    well(cell, &got, 200)?;
    that(got.body == b"before the trailers", "the body before them", &got)?;
    that(got.field("x-sum") == Some(SUM), "the trailer", &got)
}

fn trailers_up(cell: Cell<'_>) -> Verdict {
    if cell.front.is_h2() {
        let data = cell.rig.path("small");
        let data = data.to_str().unwrap_or_default();
        let trailer = ["-H", "te: trailers", "--trailer", "x-up: there and back"];
        // A length would leave no room for trailers where the request goes on in HTTP/1.1.
        let fields = [&trailer[..], &["--no-content-length", "--data", data]].concat();
        let said = cell.nghttp("/echo", &fields);
        let back = said.lines().any(|line| line.contains("recv") && line.contains("x-up: there and back"));
        return if back { Ok(()) } else { Err(format!("the trailer did not come back: {said}")) };
    }
    if cell.front.is_tls() {
        // No client at hand sends trailers there.
        return Ok(());
    }
    let mut wire = match cell.front {
        Front::Unix1 => Wire::connect_unix(&cell.rig.unix),
        _ => Wire::connect(cell.rig.serin.web),
    };
    let answer = wire.ask(format!(
        "POST /echo HTTP/1.1\r\nhost: {}\r\nte: trailers\r\nconnection: te\r\ntrailer: x-up\r\n\
         transfer-encoding: chunked\r\n\r\n9\r\nsome text\r\n0\r\nx-up: there and back\r\n\r\n",
        cell.host()
    ));
    if answer.text() == "some text" && answer.trailers.one("x-up") == Some("there and back") {
        Ok(())
    } else {
        Err(format!("the trailer did not come back: {answer:?}"))
    }
}

fn early_answer(cell: Cell<'_>) -> Verdict {
    if cell.front.is_h2() {
        // curl 7.88 loses an answer that is followed by the stream's reset (which RFC 9113, 8.1 asks for).
        let file = cell.rig.path("body");
        let said = cell.nghttp("/early", &["--data", file.to_str().unwrap_or_default()]);
        let passed = said.contains(":status: 413") && said.contains("enough of that");
        return if passed { Ok(()) } else { Err(said) };
    }
    let data = format!("@{}", cell.rig.path("body").display());
    let got = cell.curl("/early", &["--data-binary", &data, "-H", "expect:"]);
    // Whether curl calls the broken upload an error depends on how far it had come.
    that(got.status == 413, "the answer that came before the body's end", &got)?;
    that(got.body == b"enough of that", "all of it", &got)
}

fn client_gives_up_waiting(cell: Cell<'_>) -> Verdict {
    gives_up(cell, "/hang")
}

fn client_gives_up_reading(cell: Cell<'_>) -> Verdict {
    gives_up(cell, "/hang-in-body")
}

fn gives_up(cell: Cell<'_>, path: &str) -> Verdict {
    let query = format!("{:?}{path}", cell.front);
    let got = cell.curl(&format!("{path}?{query}"), &["--max-time", "1"]);
    that(got.exit == 28, "curl gives up", &got)?;
    let origin = cell.rig.origin(cell.back);
    let deadline = Instant::now() + SOON;
    while !origin.was_given_up(&query) {
        if Instant::now() > deadline {
            return Err("the endpoint does not learn of it".into());
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn endpoint_cuts(cell: Cell<'_>) -> Verdict {
    let got = cell.curl("/cut", &[]);
    that(
        got.status == 200 && got.exit != 0 && got.exit != 28,
        "the client is told that it is not whole",
        &got,
    )
}

fn without_body(cell: Cell<'_>) -> Verdict {
    for (path, status) in [("/no-content", 204), ("/not-modified", 304)] {
        if cell.front != Front::Clear2 {
            // curl 7.88 can't use a connection again that it began with prior knowledge.
            let again = cell.url("/trailers");
            let got = cell.curl(path, &["--output", "/dev/null", &again]);
            that(got.exit == 0 && got.opened == 0, "the connection is kept", &got)?;
        }
        let got = cell.curl(path, &[]);
        well(cell, &got, status)?;
        that(got.body.is_empty(), "no body", &got)?;
        let framed = got.field("content-length").is_some() || got.field("transfer-encoding").is_some();
        that(status != 204 || !framed, "no framing of a body", &got)?;
    }
    Ok(())
}

fn cookie_crumbs(cell: Cell<'_>) -> Verdict {
    if !cell.front.is_h2() {
        let got = cell.curl("/echo", &["--cookie", "a=1; b=2"]);
        return that(got.field("x-seen-cookie") == Some("a=1; b=2"), "the cookies as they were", &got);
    }
    let said = cell.nghttp("/echo", &["-H", "cookie: a=1", "-H", "cookie: b=2"]);
    if said.contains("x-seen-cookie: a=1; b=2") {
        Ok(())
    } else {
        Err(format!("crumbs are joined to one field: {said}"))
    }
}

fn special_targets(cell: Cell<'_>) -> Verdict {
    // It asks about the server that is spoken to, and that is Serin.
    let got = cell.curl("/", &["--request", "OPTIONS", "--request-target", "*"]);
    well(cell, &got, 200)?;
    that(got.body.is_empty() && got.field("x-seen-path").is_none(), "OPTIONS * is answered here", &got)?;
    if cell.front == Front::Clear1 {
        let absolute = cell.url("/large?a=b");
        let got = cell.curl("/large", &["--request-target", &absolute]);
        well(cell, &got, 200)?;
        that(got.field("x-seen-path") == Some("/large"), "the endpoint sees a path", &got)?;
    }
    Ok(())
}
