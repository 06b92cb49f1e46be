//! B3, the older context of Zipkin: one header (`b3`) or several (`x-b3-…`).
//!
//! A trace id of 16 digits is one of 32 with zeros before it, and goes on as it came. Both forms may carry a
//! decision without ids, which then holds for the trace that begins here. Where both forms come, the single
//! header wins, as Zipkin's own rules have it. A broken header says nothing.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::id::{self, SpanId, TraceId, read_hex, write_hex};

const SINGLE: HeaderName = HeaderName::from_static("b3");
const TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const PARENT_ID: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// What B3 headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Received {
    /// The trace and the caller's span; none where only a decision came.
    pub(super) ids: Option<(TraceId, SpanId)>,
    /// Whether to sample; none leaves it to us.
    pub(super) sampled: Option<bool>,
    /// Sampled whatever anybody thinks.
    pub(super) debug: bool,
}

/// What goes out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) sampled: bool,
    pub(super) debug: bool,
}

/// What came in, if it can be read.
pub(super) fn received(headers: &HeaderMap) -> Option<Received> {
    if let Some(single) = one(headers, &SINGLE) {
        return read_single(single);
    }
    let debug = one(headers, &FLAGS) == Some(b"1");
    let sampled = match one(headers, &SAMPLED) {
        Some(b"1" | b"true") => Some(true),
        Some(b"0" | b"false") => Some(false),
        _ => None,
    };
    let ids = match (one(headers, &TRACE_ID), one(headers, &SPAN_ID)) {
        (Some(trace), Some(span)) => Some((trace_id(trace)?, id::span(span)?)),
        (None, None) => None,
        _ => return None,
    };
    let sampled = if debug { Some(true) } else { sampled };
    (ids.is_some() || sampled.is_some()).then_some(Received { ids, sampled, debug })
}

/// Writes the context, in the forms that came in, or else as the single header.
pub(super) fn write(headers: &mut HeaderMap, context: &Outgoing) {
    let several = [TRACE_ID, SPAN_ID, SAMPLED, FLAGS].iter().any(|name| headers.contains_key(name));
    if several {
        write_several(headers, context);
    }
    if !several || headers.contains_key(SINGLE) {
        headers.insert(SINGLE, single(context));
    }
}

/// Whether B3 came in any form.
pub(super) fn is_there(headers: &HeaderMap) -> bool {
    headers.contains_key(SINGLE) || headers.contains_key(TRACE_ID) || headers.contains_key(SAMPLED)
}

/// The value of a header that stands once.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut lines = headers.get_all(name).iter();
    let only = lines.next()?;
    if lines.next().is_some() { None } else { Some(only.as_bytes()) }
}

/// `{trace}-{span}`, `{trace}-{span}-{decision}`, `{trace}-{span}-{decision}-{parent}` or a decision alone.
fn read_single(value: &[u8]) -> Option<Received> {
    if let Some((sampled, debug)) = decision(value) {
        return Some(Received { ids: None, sampled: Some(sampled), debug });
    }
    let mut fields = value.split(|b| *b == b'-');
    let ids = (trace_id(fields.next()?)?, id::span(fields.next()?)?);
    let (sampled, debug) = match fields.next() {
        Some(field) => decision(field).map(|(sampled, debug)| (Some(sampled), debug))?,
        None => (None, false),
    };
    // Who the caller's caller was is of no use here, but a text that is no id makes the header a broken one.
    if let Some(parent) = fields.next() {
        id::span(parent)?;
    }
    fields.next().is_none().then_some(Received { ids: Some(ids), sampled, debug })
}

fn decision(field: &[u8]) -> Option<(bool, bool)> {
    match field {
        b"0" => Some((false, false)),
        b"1" => Some((true, false)),
        b"d" => Some((true, true)),
        _ => None,
    }
}

fn trace_id(text: &[u8]) -> Option<TraceId> {
    matches!(text.len(), 16 | 32).then(|| TraceId::new(read_hex(text)?)).flatten()
}

fn write_several(headers: &mut HeaderMap, context: &Outgoing) {
    headers.insert(TRACE_ID, hex(context.trace.get(), trace_digits(context.trace)));
    headers.insert(SPAN_ID, hex(context.span.get().into(), 16));
    match context.parent {
        Some(parent) => drop(headers.insert(PARENT_ID, hex(parent.get().into(), 16))),
        None => drop(headers.remove(PARENT_ID)),
    }
    if context.debug {
        // Debug says that it is sampled.
        headers.insert(FLAGS, HeaderValue::from_static("1"));
        headers.remove(SAMPLED);
    } else {
        headers.insert(SAMPLED, HeaderValue::from_static(if context.sampled { "1" } else { "0" }));
        headers.remove(FLAGS);
    }
}

fn single(context: &Outgoing) -> HeaderValue {
    let mut text = Vec::with_capacity(32 + 1 + 16 + 2 + 1 + 16);
    let mut push = |number: u128, digits: usize| {
        let begin = text.len();
        text.resize(begin + digits, b'0');
        write_hex(&mut text[begin..], number);
        text.push(b'-');
    };
    push(context.trace.get(), trace_digits(context.trace));
    push(context.span.get().into(), 16);
    text.push(match context {
        Outgoing { debug: true, .. } => b'd',
        Outgoing { sampled: true, .. } => b'1',
        _ => b'0',
    });
    if let Some(parent) = context.parent {
        text.push(b'-');
        let begin = text.len();
        text.resize(begin + 16, b'0');
        write_hex(&mut text[begin..], parent.get().into());
    }
    // Digits and dashes are a header value.
    HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static("0"))
}

/// Those who began with 16 digits may know no more.
fn trace_digits(trace: TraceId) -> usize {
    if trace.get() >> 64 == 0 { 16 } else { 32 }
}

fn hex(number: u128, digits: usize) -> HeaderValue {
    let mut text = [b'0'; 32];
    write_hex(&mut text[..digits], number);
    HeaderValue::from_bytes(&text[..digits]).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    const TRACE: u128 = 0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7;
    const SPAN: u64 = 0xe457_b5a2_e4d8_6bd1;

    #[test]
    fn the_single_header_is_read_in_all_its_forms() {
        let ids = Some((TraceId::new(TRACE).unwrap(), SpanId::new(SPAN).unwrap()));
        let short = Some((TraceId::new(TRACE & u128::from(u64::MAX)).unwrap(), SpanId::new(SPAN).unwrap()));
        for (text, expected) in [
            (
                "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
                Some((ids, Some(true), false)),
            ),
            ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0", Some((ids, Some(false), false))),
            ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d", Some((ids, Some(true), true))),
            ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1", Some((ids, None, false))),
            ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-1", Some((short, Some(true), false))),
            ("0", Some((None, Some(false), false))),
            ("1", Some((None, Some(true), false))),
            ("d", Some((None, Some(true), true))),
            ("", None),
            ("2", None),
            ("80f198ee56343ba864fe8b2a57d3eff7", None),
            ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-x", None),
            ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-short", None),
            ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-more", None),
            ("00000000000000000000000000000000-e457b5a2e4d86bd1-1", None),
            ("80f198ee56343ba864fe8b2a57d3eff7-0000000000000000-1", None),
            ("80f198ee56343ba8-e457b5a2e4d86b-1", None),
        ] {
            let expected = expected.map(|(ids, sampled, debug)| Received { ids, sampled, debug });
            assert_eq!(received(&headers(&[("b3", text)])), expected, "{text}");
        }
    }

    #[test]
    fn several_headers_are_read_and_the_single_one_goes_before_them() {
        let mut map = headers(&[
            ("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7"),
            ("x-b3-spanid", "e457b5a2e4d86bd1"),
            ("x-b3-sampled", "1"),
        ]);
        let ids = Some((TraceId::new(TRACE).unwrap(), SpanId::new(SPAN).unwrap()));
        assert_eq!(received(&map), Some(Received { ids, sampled: Some(true), debug: false }));
        map.insert(SAMPLED, "false".parse().unwrap());
        map.insert(FLAGS, "1".parse().unwrap());
        assert_eq!(received(&map), Some(Received { ids, sampled: Some(true), debug: true }));
        map.insert(SINGLE, "0".parse().unwrap());
        assert_eq!(received(&map), Some(Received { ids: None, sampled: Some(false), debug: false }));
        assert_eq!(received(&headers(&[("x-b3-sampled", "0")])).unwrap().sampled, Some(false));
        for broken in
            [&[("x-b3-traceid", "80f198ee56343ba8")][..], &[("x-b3-spanid", "x"), ("x-b3-traceid", "1")], &[]]
        {
            assert_eq!(received(&headers(broken)), None, "{broken:?}");
        }
    }

    #[test]
    fn what_goes_out_has_the_form_of_what_came_in() {
        let context = Outgoing {
            trace: TraceId::new(0x64fe_8b2a_57d3_eff7).unwrap(),
            span: SpanId::new(7).unwrap(),
            parent: SpanId::new(9),
            sampled: true,
            debug: false,
        };
        let mut map = headers(&[("x-b3-traceid", "1"), ("x-b3-flags", "1")]);
        write(&mut map, &context);
        assert_eq!(
            map,
            headers(&[
                ("x-b3-traceid", "64fe8b2a57d3eff7"),
                ("x-b3-spanid", "0000000000000007"),
                ("x-b3-parentspanid", "0000000000000009"),
                ("x-b3-sampled", "1"),
            ])
        );
        let mut map = HeaderMap::new();
        write(&mut map, &context);
        assert_eq!(map["b3"], "64fe8b2a57d3eff7-0000000000000007-1-0000000000000009");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(high: u64, low: u64, span: u64, parent: u64, sampled: bool, debug: bool, several: bool) {
            let context = Outgoing {
                trace: TraceId::random(high, low),
                span: SpanId::random(span),
                parent: SpanId::new(parent),
                sampled: sampled || debug,
                debug,
            };
            let mut map = if several { headers(&[("x-b3-sampled", "1")]) } else { HeaderMap::new() };
            write(&mut map, &context);
            let expected = Received { ids: Some((context.trace, context.span)), sampled: Some(context.sampled), debug };
            prop_assert_eq!(received(&map), Some(expected));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[ -~]{0,80}") {
            received(&headers(&[("b3", &text)]));
            received(&headers(&[("x-b3-traceid", &text), ("x-b3-spanid", &text)]));
        }
    }
}
