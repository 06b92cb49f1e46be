//! W3C Trace Context: a valid `traceparent` is passed on as it came, with its `tracestate`; where there is
//! none, or a broken one, a new trace begins.
//!
//! The grammar is that of the specification, 3.2: version 00 is exact; of a higher version the first four
//! fields are read, and whatever follows must begin with a dash. A proxy that makes no span of its own
//! changes neither header.

use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// `00-` + 32 + `-` + 16 + `-` + 2.
const LENGTH: usize = 55;

/// Whether a `traceparent` is valid.
pub fn is_valid(value: &[u8]) -> bool {
    let hex = |bytes: &[u8]| bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |bytes: &[u8]| bytes.iter().all(|b| *b == b'0');
    let Some(fields) = value.get(..LENGTH) else { return false };
    let (version, trace, parent, flags) = (&fields[..2], &fields[3..35], &fields[36..52], &fields[53..]);
    let dashes = fields[2] == b'-' && fields[35] == b'-' && fields[52] == b'-';
    let ends = match version {
        b"00" => value.len() == LENGTH,
        b"ff" => false,
        _ => value.len() == LENGTH || value[LENGTH] == b'-',
    };
    dashes && ends && hex(version) && hex(trace) && hex(parent) && hex(flags) && !zero(trace) && !zero(parent)
}

/// What became of the trace headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// They were valid and stay.
    Passed,
    /// A new trace began.
    Begun,
}

/// Passes the context on, or begins a trace with `random` numbers; `sampled` sets its sampled flag.
pub fn propagate(
    headers: &mut HeaderMap,
    random: impl FnOnce() -> [u64; 3],
    sampled: impl FnOnce() -> bool,
) -> Context {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let one_valid = lines.next().is_some_and(|value| is_valid(value.as_bytes())) && lines.next().is_none();
    if one_valid {
        return Context::Passed;
    }
    // 3.2.3: a broken traceparent means that tracestate must not be read.
    headers.remove(TRACESTATE);
    headers.insert(TRACEPARENT, begin(random(), sampled()));
    Context::Begun
}

fn begin(random: [u64; 3], sampled: bool) -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-02";
    // Level 2, 3.2.2.5: bit 1 says that the trace id is random.
    text[LENGTH - 1] = if sampled { b'3' } else { b'2' };
    write_hex(&mut text[3..19], random[0]);
    // An id of zeros is invalid; one bit makes sure.
    write_hex(&mut text[19..35], random[1] | 1);
    write_hex(&mut text[36..52], random[2] | 1);
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""))
}

fn write_hex(into: &mut [u8], number: u64) {
    for (i, digit) in into.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (60 - 4 * i)) as usize & 15];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_grammar_is_that_of_the_specification() {
        let later = GOOD.replacen("00", "cc", 1);
        for (text, valid) in [
            (GOOD.to_owned(), true),
            (later.clone(), true),
            (format!("{later}-what-the-future-brings"), true),
            (format!("{later}."), false),
            (format!("{GOOD}-extra"), false),
            (GOOD.replacen("00", "ff", 1), false),
            (GOOD.to_uppercase(), false),
            (GOOD.replace("b7ad6b7169203331", "0000000000000000"), false),
            (GOOD.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"), false),
            (GOOD[..54].to_owned(), false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_valid(text.as_bytes()), valid, "{text}");
        }
    }

    #[test]
    fn a_valid_context_passes_untouched() {
        let mut headers = HeaderMap::from_iter([
            (TRACEPARENT, GOOD.parse().unwrap()),
            (TRACESTATE, "congo=t61rcWkgMzE, rojo=1".parse().unwrap()),
        ]);
        let before = headers.clone();
        assert_eq!(propagate(&mut headers, || unreachable!(), || unreachable!()), Context::Passed);
        assert_eq!(headers, before);
    }

    #[test]
    fn two_traceparents_are_none_and_take_the_tracestate_with_them() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, GOOD.parse().unwrap());
        headers.append(TRACEPARENT, GOOD.parse().unwrap());
        headers.append(TRACESTATE, "a=1".parse().unwrap());
        assert_eq!(propagate(&mut headers, || [1, 2, 3], || true), Context::Begun);
        assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
        assert_eq!(headers[TRACEPARENT], "00-00000000000000010000000000000003-0000000000000003-03");
        assert!(!headers.contains_key(TRACESTATE));
    }

    proptest! {
        #[test]
        fn a_trace_that_we_begin_is_valid(random: [u64; 3], sampled: bool) {
            let mut headers = HeaderMap::new();
            propagate(&mut headers, || random, || sampled);
            prop_assert!(is_valid(headers[TRACEPARENT].as_bytes()));
        }

        #[test]
        fn no_text_makes_it_panic(bytes: Vec<u8>) {
            is_valid(&bytes);
        }
    }
}
