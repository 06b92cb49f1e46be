//! What the endpoint gets to see, for each way in and each way on. The formats are tested in their own files.

use http::{HeaderMap, HeaderName};
use proptest::prelude::*;

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SPAN: SpanId = SpanId::random(0xabcd);

fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    map
}

fn receive(headers: &HeaderMap, b3: B3) -> Context {
    let mut next = 0;
    let random = || {
        next += 1;
        next
    };
    let mut context = Context::receive(headers, b3, random);
    context.settle(|| true);
    context
}

fn passed(lines: &[(&'static str, &str)], b3: B3) -> HeaderMap {
    let mut headers = map(lines);
    receive(&headers, b3).pass(&mut headers, b3);
    headers
}

fn sent(lines: &[(&'static str, &str)], b3: B3) -> HeaderMap {
    let mut headers = map(lines);
    receive(&headers, b3).send(&mut headers, b3, SPAN);
    headers
}

#[test]
fn without_a_span_a_valid_context_passes_byte_for_byte() {
    for parent in [GOOD, "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0d-what-the-future-brings"] {
        let lines = [
            ("traceparent", parent),
            ("tracestate", "congo=t61rcWkgMzE, rojo=1"),
            ("tracestate", "BROKEN"),
            ("baggage", "a=1"),
            ("b3", "0"),
        ];
        assert_eq!(passed(&lines, B3::Off), map(&lines));
        assert_eq!(passed(&lines, B3::In), map(&lines));
        assert_eq!(passed(&lines, B3::Both), map(&lines));
    }
}

#[test]
fn with_a_span_only_the_parents_id_changes() {
    let lines = [("traceparent", GOOD), ("tracestate", "congo=t61rcWkgMzE"), ("baggage", "a=1,b=2")];
    let ours = format!("00-{TRACE}-000000000000abcd-01");
    let expected =
        [("traceparent", ours.as_str()), ("tracestate", "congo=t61rcWkgMzE"), ("baggage", "a=1,b=2")];
    assert_eq!(sent(&lines, B3::Off), map(&expected));
}

#[test]
fn with_a_span_the_lines_of_tracestate_are_combined() {
    let headers = sent(&[("traceparent", GOOD), ("tracestate", "foo=1"), ("tracestate", "bar=2")], B3::Off);
    assert_eq!(headers.get_all("tracestate").iter().collect::<Vec<_>>(), ["foo=1,bar=2"]);
}

#[test]
fn a_span_s_record_has_the_lines_of_tracestate_combined() {
    assert_eq!(state(&map(&[("tracestate", "foo=1"), ("tracestate", "bar=2")])), "foo=1,bar=2");
    assert_eq!(state(&HeaderMap::new()), "");
}

#[test]
fn a_broken_tracestate_does_not_harm_traceparent() {
    let headers = sent(&[("traceparent", GOOD), ("tracestate", "FOO")], B3::Off);
    assert_eq!(headers["traceparent"], format!("00-{TRACE}-000000000000abcd-01"));
    assert!(!headers.contains_key("tracestate"));
}

#[test]
fn a_broken_or_doubled_traceparent_takes_its_tracestate_with_it() {
    for lines in [
        &[("traceparent", "00-0-0-01"), ("tracestate", "a=1")][..],
        &[("traceparent", GOOD), ("traceparent", GOOD), ("tracestate", "a=1")],
        &[("tracestate", "a=1")],
    ] {
        for headers in [passed(lines, B3::Off), sent(lines, B3::Off)] {
            assert_eq!(headers.get_all("traceparent").iter().count(), 1);
            assert!(
                headers["traceparent"].to_str().unwrap().starts_with("00-00000000000000020000000000000003-")
            );
            assert!(!headers.contains_key("tracestate"));
        }
    }
}

#[test]
fn a_trace_that_begins_here_has_a_random_id_and_says_so() {
    assert_eq!(
        passed(&[], B3::Off)["traceparent"],
        "00-00000000000000020000000000000003-0000000000000001-03"
    );
    let mut unsampled = Context::receive(&HeaderMap::new(), B3::Off, || 5);
    unsampled.settle(|| false);
    let mut headers = HeaderMap::new();
    unsampled.pass(&mut headers, B3::Off);
    assert!(headers["traceparent"].to_str().unwrap().ends_with("-02"));
}

#[test]
fn the_callers_decision_is_honoured_and_nobody_else_is_asked() {
    for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("03", true)] {
        let headers = map(&[("traceparent", &GOOD.replace("-01", &format!("-{flags}")))]);
        let mut context = Context::receive(&headers, B3::Off, || 1);
        context.settle(|| unreachable!("the caller has decided"));
        assert_eq!((context.is_sampled(), context.flags.random()), (sampled, flags > "01"));
        let mut headers = headers;
        context.send(&mut headers, B3::Off, SPAN);
        assert!(headers["traceparent"].to_str().unwrap().ends_with(flags));
    }
}

#[test]
fn b3_is_read_only_where_it_is_asked_for_and_after_w3c() {
    let b3 = ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0");
    assert_eq!(receive(&map(&[b3]), B3::Off).caller, None);
    let context = receive(&map(&[b3]), B3::In);
    assert_eq!(context.trace.to_string(), "80f198ee56343ba864fe8b2a57d3eff7");
    assert_eq!(context.caller.unwrap().to_string(), "e457b5a2e4d86bd1");
    assert!(!context.is_sampled());
    assert_eq!(receive(&map(&[b3, ("traceparent", GOOD)]), B3::Both).trace.to_string(), TRACE);
}

#[test]
fn b3_goes_on_as_w3c_and_as_b3_only_where_that_is_asked_for() {
    let b3 = ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1");
    let headers = passed(&[b3, ("tracestate", "a=1")], B3::In);
    assert_eq!(headers["traceparent"], "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01");
    assert_eq!(headers["b3"], b3.1);
    assert!(!headers.contains_key("tracestate"));
    let headers = sent(&[b3], B3::In);
    assert_eq!(headers["traceparent"], "00-80f198ee56343ba864fe8b2a57d3eff7-000000000000abcd-01");
    assert_eq!(headers["b3"], b3.1);
    let headers = sent(&[b3], B3::Both);
    assert_eq!(headers["b3"], "80f198ee56343ba864fe8b2a57d3eff7-000000000000abcd-1-0000000000000001");
}

#[test]
fn with_both_an_endpoint_that_knows_b3_alone_is_in_the_trace() {
    assert_eq!(passed(&[("traceparent", GOOD)], B3::Both)["b3"], format!("{TRACE}-b7ad6b7169203331-1"));
    assert_eq!(
        sent(&[("traceparent", GOOD)], B3::Both)["b3"],
        format!("{TRACE}-000000000000abcd-1-0000000000000001")
    );
    assert_eq!(passed(&[], B3::Both)["b3"], "00000000000000020000000000000003-0000000000000001-1");
}

#[test]
fn a_decision_of_b3_without_ids_holds_for_the_trace_that_begins() {
    for (value, sampled) in [("0", false), ("1", true), ("d", true)] {
        let mut context = Context::receive(&map(&[("b3", value)]), B3::In, || 5);
        context.settle(|| unreachable!("it was decided"));
        assert_eq!((context.caller, context.is_sampled()), (None, sampled));
    }
}

#[test]
fn a_second_attempt_has_a_parent_of_its_own() {
    let mut headers = map(&[("traceparent", GOOD), ("tracestate", "a=1"), ("tracestate", "b=2")]);
    let context = receive(&headers, B3::Both);
    context.send(&mut headers, B3::Both, SPAN);
    context.send(&mut headers, B3::Both, SpanId::random(0xef));
    assert_eq!(headers["traceparent"], format!("00-{TRACE}-00000000000000ef-01"));
    assert_eq!(headers["b3"], format!("{TRACE}-00000000000000ef-1-0000000000000001"));
    assert_eq!(headers["tracestate"], "a=1,b=2");
}

proptest! {
    #[test]
    fn whatever_comes_the_endpoint_gets_one_valid_traceparent(
        parents in proptest::collection::vec("[ -~]{0,70}", 0..3),
        b3 in "[ -~]{0,70}",
        random: [u64; 3],
        with_span: bool,
    ) {
        let mut headers = map(&[("b3", &b3)]);
        for parent in &parents {
            headers.append(TRACEPARENT, parent.parse().unwrap());
        }
        let mut numbers = random.into_iter().cycle();
        let context = Context::receive(&headers, B3::Both, || numbers.next().unwrap_or(0));
        if with_span {
            context.send(&mut headers, B3::Both, SPAN);
        } else {
            context.pass(&mut headers, B3::Both);
        }
        let received = TraceParent::received(&headers);
        prop_assert_eq!(received.map(|parent| parent.trace), Some(context.trace));
    }
}

#[test]
fn b3_without_a_decision_leaves_it_to_us() {
    let b3 = ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1");
    for sampled in [true, false] {
        let mut context = Context::receive(&map(&[b3]), B3::In, || 5);
        context.settle(|| sampled);
        context.settle(|| unreachable!("one decision is enough"));
        assert_eq!(context.is_sampled(), sampled);
    }
}

#[test]
fn what_is_sent_is_the_same_whether_or_not_it_was_passed_before() {
    let single = ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1");
    let several = [("x-b3-traceid", "80f198ee56343ba8"), ("x-b3-spanid", "e457b5a2e4d86bd1")];
    for lines in [&[][..], &[("traceparent", GOOD), ("tracestate", "a=1")], &[single], &several] {
        for b3 in [B3::Off, B3::In, B3::Both] {
            let mut headers = map(lines);
            let context = receive(&headers, b3);
            context.pass(&mut headers, b3);
            context.send(&mut headers, b3, SPAN);
            assert_eq!(headers, sent(lines, b3), "{lines:?} {b3:?}");
        }
    }
}
