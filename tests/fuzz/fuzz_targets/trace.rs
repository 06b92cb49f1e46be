//! Trace headers of any form: what goes on is valid, and what was valid goes on in its own trace.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serin_config::telemetry::B3;
use serin_split::trace::{Context, TraceParent, is_valid};

const NAMES: [&str; 7] =
    ["traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];

// Lines: each the value of the header of its first byte.
fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|b| *b == b'\n') {
        let Some((&which, value)) = line.split_first() else { continue };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(NAMES[usize::from(which) % NAMES.len()]), value);
        }
    }
    let before = TraceParent::received(&headers);
    for b3 in [B3::Off, B3::Both] {
        let mut numbers = 1;
        let mut random = || {
            numbers += 1;
            numbers
        };
        let context = Context::receive(&headers, b3, &mut random);
        if let Some(before) = before {
            assert_eq!(context.trace, before.trace);
        }
        let mut passed = headers.clone();
        context.pass(&mut passed, b3);
        let mut sent = headers.clone();
        context.send(&mut sent, b3, context.server);
        for out in [passed, sent] {
            let mut parents = out.get_all("traceparent").iter();
            let (Some(parent), None) = (parents.next(), parents.next()) else {
                panic!("not one traceparent: {out:?}")
            };
            assert!(is_valid(parent.as_bytes()), "{parent:?}");
        }
    }
});
