//! The `traceparent` header (W3C Trace Context level 2, 3.2): reading any version, writing version 00.
//!
//! Version 00 is exact. Of a higher version the first four fields are read, and whatever follows must begin
//! with a dash; what is written back is version 00, the highest that is known here. Of the flags, `sampled`
//! and `random` have a meaning; the others must be zero when we write.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::id::{self, SpanId, TraceId, read_hex, write_hex};

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `00-` + 32 + `-` + 16 + `-` + 2.
const LENGTH: usize = 55;

/// The flags of a trace that level 2 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    const SAMPLED: u8 = 1;
    const RANDOM: u8 = 2;

    /// Flags of a trace.
    pub const fn new(sampled: bool, random: bool) -> Self {
        Self((if sampled { Self::SAMPLED } else { 0 }) | (if random { Self::RANDOM } else { 0 }))
    }

    /// Whether the caller may have recorded the trace.
    pub const fn sampled(self) -> bool {
        self.0 & Self::SAMPLED != 0
    }

    /// Whether the rightmost seven bytes of the trace id are random.
    pub const fn random(self) -> bool {
        self.0 & Self::RANDOM != 0
    }

    /// Both as the bits of the header.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// What a `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span.
    pub parent: SpanId,
    /// Sampled, random.
    pub flags: Flags,
}

impl TraceParent {
    /// Reads a value; none if the trace must be restarted.
    pub fn read(value: &[u8]) -> Option<Self> {
        let fields = value.get(..LENGTH)?;
        let dashes = fields[2] == b'-' && fields[35] == b'-' && fields[52] == b'-';
        let ends = match &fields[..2] {
            b"00" => value.len() == LENGTH,
            b"ff" => false,
            _ => value.len() == LENGTH || value[LENGTH] == b'-',
        };
        if !dashes || !ends {
            return None;
        }
        read_hex(&fields[..2])?;
        let trace = TraceId::new(read_hex(&fields[3..35])?)?;
        let parent = id::span(&fields[36..52])?;
        let flags = u8::try_from(read_hex(&fields[53..])?).ok()?;
        Some(Self { trace, parent, flags: Flags(flags & (Flags::SAMPLED | Flags::RANDOM)) })
    }

    /// The one value in `headers`; two are as good as none.
    pub fn received(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let only = lines.next()?;
        if lines.next().is_some() { None } else { Self::read(only.as_bytes()) }
    }

    /// As a header of version 00.
    pub fn to_header(self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], self.trace.get());
        write_hex(&mut text[36..52], self.parent.get().into());
        write_hex(&mut text[53..], self.flags.0.into());
        // Digits and dashes are a header value.
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "12345678901234567890123456789012";

    fn read(text: &str) -> Option<TraceParent> {
        TraceParent::read(text.as_bytes())
    }

    /// The cases of the W3C's test-suite for `traceparent`: text, and whether the trace goes on.
    const VECTORS: [(&str, bool); 31] = [
        ("00-12345678901234567890123456789012-1234567890123456-01", true),
        ("00-12345678901234567890123456789012-1234567890123456-00", true),
        ("00-12345678901234567890123456789012-1234567890123456-01.", false),
        ("00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like", false),
        ("cc-12345678901234567890123456789012-1234567890123456-01", true),
        ("cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like", true),
        ("cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like", false),
        ("ff-12345678901234567890123456789012-1234567890123456-01", false),
        (".0-12345678901234567890123456789012-1234567890123456-01", false),
        ("0.-12345678901234567890123456789012-1234567890123456-01", false),
        ("000-12345678901234567890123456789012-1234567890123456-01", false),
        ("0000-12345678901234567890123456789012-1234567890123456-01", false),
        ("0-12345678901234567890123456789012-1234567890123456-01", false),
        ("00-00000000000000000000000000000000-1234567890123456-01", false),
        ("00-.2345678901234567890123456789012-1234567890123456-01", false),
        ("00-1234567890123456789012345678901.-1234567890123456-01", false),
        ("00-123456789012345678901234567890123-1234567890123456-01", false),
        ("00-1234567890123456789012345678901-1234567890123456-01", false),
        ("00-12345678901234567890123456789012-0000000000000000-01", false),
        ("00-12345678901234567890123456789012-.234567890123456-01", false),
        ("00-12345678901234567890123456789012-123456789012345.-01", false),
        ("00-12345678901234567890123456789012-12345678901234567-01", false),
        ("00-12345678901234567890123456789012-123456789012345-01", false),
        ("00-12345678901234567890123456789012-1234567890123456-.0", false),
        ("00-12345678901234567890123456789012-1234567890123456-0.", false),
        ("00-12345678901234567890123456789012-1234567890123456-001", false),
        ("00-12345678901234567890123456789012-1234567890123456-1", false),
        ("00-12345678901234567890123456789012-1234567890123456-", false),
        ("00-1234567890123456789012345678901A-1234567890123456-01", false),
        ("00_12345678901234567890123456789012-1234567890123456-01", false),
        ("", false),
    ];

    #[test]
    fn the_vectors_of_the_w3c_test_suite_hold() {
        for (text, goes_on) in VECTORS {
            let parent = read(text);
            assert_eq!(parent.is_some(), goes_on, "{text}");
            if let Some(parent) = parent {
                assert_eq!(
                    (parent.trace.to_string(), parent.parent.get()),
                    (TRACE.into(), 0x1234_5678_9012_3456)
                );
            }
        }
    }

    #[test]
    fn the_random_flag_stays_and_flags_without_a_meaning_become_zero() {
        for (came, goes) in
            [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("ff", "03"), ("0c", "00")]
        {
            let parent = read(&format!("00-{TRACE}-1234567890123456-{came}")).unwrap();
            assert!(parent.to_header().to_str().unwrap().ends_with(&format!("-{goes}")), "{came}");
        }
    }

    #[test]
    fn a_higher_version_goes_on_as_the_highest_that_is_known() {
        let parent = read(&format!("cc-{TRACE}-1234567890123456-01-more")).unwrap();
        assert_eq!(parent.to_header(), format!("00-{TRACE}-1234567890123456-01"));
    }

    #[test]
    fn two_headers_are_as_good_as_none() {
        let mut headers = HeaderMap::new();
        let value: HeaderValue = format!("00-{TRACE}-1234567890123456-01").parse().unwrap();
        headers.append(TRACEPARENT, value.clone());
        assert!(TraceParent::received(&headers).is_some());
        headers.append(TRACEPARENT, value);
        assert!(TraceParent::received(&headers).is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(high: u64, low: u64, span: u64, sampled: bool, random: bool) {
            let parent = TraceParent {
                trace: TraceId::random(high, low),
                parent: SpanId::random(span),
                flags: Flags::new(sampled, random),
            };
            prop_assert_eq!(TraceParent::read(parent.to_header().as_bytes()), Some(parent));
        }

        #[test]
        fn no_text_makes_it_panic(bytes: Vec<u8>) {
            TraceParent::read(&bytes);
        }

        #[test]
        fn a_valid_text_with_one_byte_changed_never_panics(at in 0_usize..55, byte: u8) {
            let mut text = *b"00-12345678901234567890123456789012-1234567890123456-01";
            text[at] = byte;
            TraceParent::read(&text);
        }
    }
}
