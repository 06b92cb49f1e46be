//! The end of a chunked body (RFC 9112, 7.1), without looking at what is in the chunks.

use serin_config::limits::HEAD_BYTES_MAX;

/// Where in a chunked body the next byte stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Chunks {
    at: At,
    left: u64,
    digits: u8,
    /// Bytes of extensions and trailers: they are no payload, so their sum is bounded.
    extra: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    /// White space behind a size; old senders pad it.
    Padding,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerBegin,
    Trailer,
    TrailerLf,
    LastLf,
}

/// Hexadecimal digits of a size that fits into 64 bits.
const DIGITS_MAX: u8 = 16;

impl Chunks {
    /// Follows as many bytes as belong to the body. With their number comes whether it is over: true for its
    /// sound end, false if the byte behind these is malformed, none if more must come.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> (usize, Option<bool>) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.at == At::Data {
                let now = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.left -= now as u64;
                at += now;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            if self.at == At::LastLf && byte == b'\n' {
                return (at + 1, Some(true));
            }
            match self.step(byte) {
                Some(next) => self.at = next,
                None => return (at, Some(false)),
            }
            at += 1;
        }
        (at, None)
    }

    fn step(&mut self, byte: u8) -> Option<At> {
        match (self.at, byte) {
            (At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.digits < DIGITS_MAX => {
                let digit = char::from(byte).to_digit(16)?;
                self.left = self.left << 4 | u64::from(digit);
                self.digits += 1;
                Some(At::Size)
            }
            (At::Size | At::Padding, b' ' | b'\t') if self.digits > 0 => self.extra(At::Padding),
            (At::Size | At::Padding, b';') if self.digits > 0 => self.extra(At::Extension),
            (At::Size | At::Padding, b'\r') if self.digits > 0 => Some(At::SizeLf),
            (At::Extension, b'\r') => Some(At::SizeLf),
            (At::Extension, b'\t' | b' '..=b'~' | 0x80..) => self.extra(At::Extension),
            (At::SizeLf, b'\n') => {
                self.digits = 0;
                Some(if self.left == 0 { At::TrailerBegin } else { At::Data })
            }
            (At::DataCr, b'\r') => Some(At::DataLf),
            (At::DataLf, b'\n') => Some(At::Size),
            (At::TrailerBegin, b'\r') => Some(At::LastLf),
            (At::TrailerBegin, b' ' | b'\t') => None,
            (At::Trailer, b'\r') => Some(At::TrailerLf),
            (At::TrailerBegin | At::Trailer, b'\t' | b' '..=b'~' | 0x80..) => self.extra(At::Trailer),
            (At::TrailerLf, b'\n') => Some(At::TrailerBegin),
            _ => None,
        }
    }

    fn extra(&mut self, next: At) -> Option<At> {
        self.extra += 1;
        (self.extra <= HEAD_BYTES_MAX).then_some(next)
    }
}
