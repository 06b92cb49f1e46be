use proptest::prelude::*;
use serin_config::limits::{HEAD_BYTES_MAX, HEADER_FIELDS_MAX};

use super::*;

/// Offers everything at once.
fn whole(bytes: &[u8]) -> (Framer, Taken) {
    let mut framer = Framer::default();
    let taken = framer.take(bytes);
    (framer, taken)
}

/// Offers it piece by piece, keeping what did not pass, as the connection does.
fn in_pieces(bytes: &[u8], cuts: &[usize]) -> (usize, Then) {
    let (mut framer, mut kept, mut total) = (Framer::default(), Vec::new(), 0);
    let mut from = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(bytes.len());
    let mut then = Then::More;
    for cut in cuts {
        kept.extend_from_slice(&bytes[from..cut]);
        from = cut;
        let taken = framer.take(&kept);
        kept.drain(..taken.passed);
        total += taken.passed;
        then = taken.then;
        if matches!(then, Then::Refuse(_) | Then::Broken) {
            break;
        }
    }
    (total, then)
}

fn status(bytes: &str) -> Option<u16> {
    match whole(bytes.as_bytes()).1.then {
        Then::Refuse(refusal) => Some(refusal.status.as_u16()),
        _ => None,
    }
}

#[test]
fn sound_requests_pass_to_their_last_byte() {
    for request in [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://a.example:80/x?y HTTP/1.1\r\nhost: a.example:80\r\n\r\n",
        "\r\nGET /%20?a={b}|^` HTTP/1.1\r\nhost:a\r\nx:\r\ny: \t z \t\r\nz: \u{e4}\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabcGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n00\r\nt: 1\r\n\r\n",
    ] {
        let taken = whole(request.as_bytes()).1;
        assert_eq!(taken, Taken { passed: request.len(), then: Then::More }, "{request:?}");
    }
}

#[test]
fn a_body_is_followed_to_the_next_head() {
    let bytes = b"POST / HTTP/1.1\r\ncontent-length: 31\r\n\r\nGET / HTTP/1.1\r\nhost: inner\r\n\r\nGET / HT";
    let (framer, taken) = whole(bytes);
    assert_eq!((framer.heads(), &bytes[taken.passed..]), (1, &b"GET / HT"[..]));
    let bytes = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n\r\n\r\n0\r\n\r\nPOST / HTTP";
    let (framer, taken) = whole(bytes);
    assert_eq!((framer.heads(), &bytes[taken.passed..]), (1, &b"POST / HTTP"[..]));
}

#[test]
fn two_framings_of_one_body_are_refused() {
    let with = |lines: &str| status(&format!("POST / HTTP/1.1\r\nhost: a\r\n{lines}\r\n"));
    assert_eq!(with("content-length: 1\r\ntransfer-encoding: chunked\r\n"), Some(400));
    assert_eq!(with("transfer-encoding: chunked\r\ncontent-length: 1\r\n"), Some(400));
    assert_eq!(with("content-length: 1\r\ncontent-length: 1\r\n"), Some(400));
    for length in ["", "+1", "-1", "1, 1", "0x1", "1 1", "a", "9999999999999999999", "1\u{b2}"] {
        assert_eq!(with(&format!("content-length: {length}\r\n")), Some(400), "{length}");
    }
    for coding in
        ["", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "xchunked", "\"chunked\""]
    {
        assert_eq!(with(&format!("transfer-encoding: {coding}\r\n")), Some(501), "{coding}");
    }
    assert_eq!(with("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"), Some(501));
    assert_eq!(status("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n"), Some(400));
}

#[test]
fn lines_that_readers_could_split_differently_are_refused() {
    for head in [
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\n",
        "GET / HTTP/1.1\r\nhost: a\rx: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: \x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n",
        "GET / HTTP/1.1\r\n host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nho st: a\r\n\r\n",
        "GET / HTTP/1.1\r\n: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost\r\n\r\n",
        "GET / HTTP/1.1\r\nh\u{f6}st: a\r\n\r\n",
    ] {
        assert_eq!(status(head), Some(400), "{head:?}");
    }
}

#[test]
fn a_request_line_is_three_words() {
    for line in [
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.1x",
        "GET / HTTP/11",
        "G\u{cb}T / HTTP/1.1",
        "GET /#x HTTP/1.1",
        "GET /\u{e4} HTTP/1.1",
        "GET /<> HTTP/1.1",
        "GET a HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
        "GET http:// HTTP/1.1",
        "GET http://a:b:c/ HTTP/1.1",
        "GET HTTP/1.1",
        "hello",
        "\x16\x03\x01",
    ] {
        assert_eq!(status(&format!("{line}\r\nhost: a\r\n\r\n")), Some(400), "{line:?}");
    }
    assert_eq!(status("GET / HTTP/2.0\r\n\r\n"), Some(505));
    assert_eq!(status("PRI * HTTP/2.0\r\n\r\n"), Some(505));
    assert_eq!(status("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n"), Some(405));
    assert_eq!(status("\x16\x03\x01\x02"), Some(400), "what can be no request is not waited for");
    assert_eq!(status("\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Some(400));
}

#[test]
fn what_is_too_large_is_named() {
    let long = "a".repeat(HEAD_BYTES_MAX);
    assert_eq!(status(&format!("GET /{long}")), Some(414));
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nx: {long}")), Some(431));
    let fields = |n| (0..n).map(|i| format!("x-{i}: 1\r\n")).collect::<String>();
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}\r\n", fields(HEADER_FIELDS_MAX))), None);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}\r\n", fields(HEADER_FIELDS_MAX + 1))), Some(431));
}

#[test]
fn chunks_that_readers_could_count_differently_break_off() {
    for (body, sound) in [
        ("5 \r\nabcde\r\n0\r\n\r\n", true),
        ("+5\r\n", false),
        ("0x5\r\n", false),
        ("-1\r\n", false),
        ("\r\n", false),
        (";a\r\n", false),
        ("5\nabcde", false),
        ("5\r\nabcdeX", false),
        ("5\r\nabcde\n0\r\n\r\n", false),
        ("5;a\nb\r\n", false),
        ("5;a\rb\r\n", false),
        ("5 5\r\n", false),
        ("10000000000000000\r\n", false),
        ("0000000000000005\r\nabcde\r\n0\r\n\r\n", true),
        ("0\r\nt: 1\n\r\n", false),
        ("0\r\n folded\r\n\r\n", false),
        ("0\r\n\rX", false),
    ] {
        let bytes = format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{body}");
        let then = whole(bytes.as_bytes()).1.then;
        assert_eq!(then, if sound { Then::More } else { Then::Broken }, "{body:?}");
    }
    let padded = format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;{}", "x".repeat(40_000));
    assert_eq!(whole(padded.as_bytes()).1.then, Then::Broken);
}

#[test]
fn what_follows_a_request_for_another_protocol_is_held_until_that_is_answered() {
    let request = "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n";
    let early = format!("{request}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n");
    let (mut framer, taken) = whole(early.as_bytes());
    assert_eq!(taken, Taken { passed: request.len(), then: Then::Hold });
    assert!(framer.holds());
    framer.stay();
    assert_eq!(framer.take(b"GET / HTTP/1.1\r\n\r\n").then, Then::More);
    assert_eq!(framer.heads(), 2);
    assert!(!whole(b"GET / HTTP/1.0\r\nupgrade: websocket\r\n\r\n").0.holds());
}

/// Exactly the characters that the HTTP library takes, so that it never has to answer for a target.
#[test]
fn each_character_of_a_target_is_judged_as_the_library_does() {
    for byte in 0..=127_u8 {
        for target in [format!("/a{}b", char::from(byte)), format!("/?a{}b", char::from(byte))] {
            let passes = whole(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()).0.heads() == 1;
            let taken = target.parse::<http::Uri>().is_ok() && byte != b'#';
            assert_eq!(passes, taken, "{target:?}");
        }
    }
}

/// Fragments that matter, so that mixtures of them come near to the rules.
fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /a?b HTTP/1.1\r\n",
        "host: a\r\n",
        "\r\n",
        "\r",
        "\n",
        " ",
        ":",
        "\0",
        "content-length: 5\r\n",
        "transfer-encoding: chunked\r\n",
        "upgrade: websocket\r\n",
        "abcde",
        "5\r\n",
        "0\r\n\r\n",
        "5;x\r\nabcde\r\n",
        "x: y\r\n",
        "HTTP/1.0",
        "#",
        "\t",
    ])
}

proptest! {
    #[test]
    fn how_bytes_are_cut_changes_nothing(
        fragments in prop::collection::vec(fragment(), 0..24),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let bytes = fragments.concat();
        let taken = whole(bytes.as_bytes()).1;
        prop_assert_eq!(in_pieces(bytes.as_bytes(), &cuts), (taken.passed, taken.then));
    }

    #[test]
    fn a_target_that_passes_can_be_read_as_one(target in "[ -~]{1,12}|/[ -~]{0,12}|https?://[!-~]{0,12}") {
        let bytes = format!("GET {target} HTTP/1.1\r\n\r\n");
        if let (1, Then::More) = { let (framer, taken) = whole(bytes.as_bytes()); (framer.heads(), taken.then) } {
            prop_assert!(target.parse::<http::Uri>().is_ok(), "{}", target);
        }
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let taken = whole(&bytes).1;
        prop_assert!(taken.passed <= bytes.len());
    }
}
