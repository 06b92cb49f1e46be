//! Ids of traces and spans. All zeros is no id, in every format, so that one can't exist.

use std::{
    fmt,
    num::{NonZeroU64, NonZeroU128},
};

/// A trace: 16 bytes, written as 32 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(NonZeroU128);

/// A span: 8 bytes, written as 16 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(NonZeroU64);

impl TraceId {
    /// The id of that number; none for zero.
    pub const fn new(number: u128) -> Option<Self> {
        match NonZeroU128::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// An id from random bits. A zero, which can't be an id, becomes a one.
    pub const fn random(high: u64, low: u64) -> Self {
        match NonZeroU128::new((high as u128) << 64 | low as u128) {
            Some(number) => Self(number),
            None => Self(NonZeroU128::MIN),
        }
    }

    /// Its number.
    pub const fn get(self) -> u128 {
        self.0.get()
    }
}

impl SpanId {
    /// The id of that number; none for zero.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// An id from random bits. A zero, which can't be an id, becomes a one.
    pub const fn random(bits: u64) -> Self {
        match NonZeroU64::new(bits) {
            Some(number) => Self(number),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Reads digits in lower case, as all formats demand; none for any other text, or an empty or longer one.
pub(super) fn read_hex(text: &[u8]) -> Option<u128> {
    if text.is_empty() || text.len() > 32 {
        return None;
    }
    text.iter().try_fold(0_u128, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// Writes `number` over the whole of `into`, its last digit last.
pub(super) fn write_hex(into: &mut [u8], number: u128) {
    let mut rest = number;
    for place in into.iter_mut().rev() {
        *place = b"0123456789abcdef"[(rest & 15) as usize];
        rest >>= 4;
    }
}

/// Reads a span id: sixteen digits that are not all zeros.
pub(super) fn span(text: &[u8]) -> Option<SpanId> {
    if text.len() != 16 {
        return None;
    }
    u64::try_from(read_hex(text)?).ok().and_then(SpanId::new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_of_zeros_can_not_exist() {
        assert_eq!(TraceId::new(0), None);
        assert_eq!(SpanId::new(0), None);
        assert_eq!(TraceId::random(0, 0).get(), 1);
        assert_eq!(SpanId::random(0).get(), 1);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number: u128) {
            let mut text = [0; 32];
            write_hex(&mut text, number);
            prop_assert_eq!(read_hex(&text), Some(number));
            if let Some(id) = TraceId::new(number) {
                let shown = id.to_string();
                prop_assert_eq!(shown.as_bytes(), &text[..]);
            }
        }
    }
}
