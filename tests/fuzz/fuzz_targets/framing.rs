//! Heads and bodies of HTTP/1: however the bytes are cut, the same passes; and whatever passes is one whole head
//! to the parser of the HTTP library too, with the same framing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin_config::limits::HEADER_FIELDS_MAX;
use serin_split::framing::{Framer, Then};

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let mut whole = Framer::default();
    let taken = whole.take(bytes);
    assert!(taken.passed <= bytes.len());

    let (mut pieces, mut kept, mut passed, mut then) = (Framer::default(), Vec::new(), 0, Then::More);
    for piece in bytes.chunks(usize::from(cut).max(1)) {
        kept.extend_from_slice(piece);
        let taken = pieces.take(&kept);
        kept.drain(..taken.passed);
        (passed, then) = (passed + taken.passed, taken.then);
        if matches!(then, Then::Refuse(_) | Then::Broken) {
            break;
        }
    }
    assert_eq!((passed, pieces.heads()), (taken.passed, whole.heads()));
    if !bytes.is_empty() {
        assert_eq!(then, taken.then);
    }
    if whole.heads() > 0 {
        agrees(&bytes[..taken.passed]);
    }
});

/// The first head, as the library reads it.
fn agrees(passed: &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; HEADER_FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(length)) = request.parse(passed) else {
        panic!("what passed is no head to the library");
    };
    let target = request.path.expect("a whole head has one");
    assert!(target.parse::<http::Uri>().is_ok(), "{target}");
    let all = |name: &str| request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    assert!(lengths + codings <= 1, "the body is framed twice");
    // The same head alone ends where the library says that it ends.
    let mut again = Framer::default();
    assert_eq!(again.take(&passed[..length]).passed, length);
    assert_eq!(again.heads(), 1);
    let mut short = Framer::default();
    let _ = short.take(&passed[..length - 1]);
    assert_eq!(short.heads(), 0);
}
