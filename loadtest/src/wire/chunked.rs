//! Bodies in chunks (RFC 9112, 7.1): where a chunk ends and where the body does.

use crate::bounds::ANSWER_HEAD_BYTES_MAX;

/// Where in a chunked body the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Within the size, after so many digits.
    Size(u8),
    /// After the size, before the end of its line.
    Extension,
    /// Within the data, with so many bytes to come.
    Data,
    /// After the data, before the end of its line.
    DataEnd,
    /// Within a line of the trailers.
    Trailer { empty: bool },
    /// After the end.
    Done,
}

/// Reads a chunked body, however it is cut into pieces.
#[derive(Debug)]
pub(crate) struct Chunked {
    at: At,
    left: u64,
    /// Bytes of extensions and trailers, which nobody needs.
    idle: usize,
}

/// The bytes are no chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotChunked;

impl Chunked {
    pub(crate) fn new() -> Self {
        Self { at: At::Size(0), left: 0, idle: 0 }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Reads as far as the body goes; gives how many bytes that were.
    pub(crate) fn read(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, NotChunked> {
        let mut at = 0;
        while at < bytes.len() && self.at != At::Done {
            if self.at == At::Data {
                let most = usize::try_from(self.left).unwrap_or(usize::MAX);
                let take = most.min(bytes.len() - at);
                data(&bytes[at..at + take]);
                at += take;
                self.left -= take as u64;
                if self.left == 0 {
                    self.at = At::DataEnd;
                }
                continue;
            }
            self.byte(bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    fn byte(&mut self, byte: u8) -> Result<(), NotChunked> {
        self.at = match (self.at, byte) {
            (At::Size(digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 16 => {
                let digit = char::from(byte).to_digit(16).ok_or(NotChunked)?;
                self.left = self.left << 4 | u64::from(digit);
                At::Size(digits + 1)
            }
            (At::Size(1..), b'\n') | (At::Extension, b'\n') => {
                if self.left == 0 {
                    At::Trailer { empty: true }
                } else {
                    At::Data
                }
            }
            (At::Size(1..), b';' | b' ' | b'\t' | b'\r') | (At::Extension, _) => self.skip(At::Extension)?,
            (At::DataEnd, b'\r') => At::DataEnd,
            (At::DataEnd, b'\n') => At::Size(0),
            (At::Trailer { empty: true }, b'\n') => At::Done,
            (At::Trailer { .. }, b'\n') => At::Trailer { empty: true },
            (At::Trailer { empty }, b'\r') => At::Trailer { empty },
            (At::Trailer { .. }, _) => self.skip(At::Trailer { empty: false })?,
            _ => return Err(NotChunked),
        };
        Ok(())
    }

    fn skip(&mut self, to: At) -> Result<At, NotChunked> {
        self.idle += 1;
        if self.idle > ANSWER_HEAD_BYTES_MAX { Err(NotChunked) } else { Ok(to) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, usize, bool), NotChunked> {
        let (mut chunked, mut data, mut used) = (Chunked::new(), Vec::new(), 0);
        for piece in pieces {
            used += chunked.read(piece, |bytes| data.extend_from_slice(bytes))?;
        }
        Ok((data, used, chunked.is_done()))
    }

    const WHOLE: &[u8] = b"5;a=b\r\nhello\r\nA\r\n, chunked!\r\n0\r\nx-sum: 1\r\n\r\n";

    #[test]
    fn a_body_is_read_to_its_end_and_no_further() {
        let mut bytes = WHOLE.to_vec();
        bytes.extend_from_slice(b"HTTP/1.1 200");
        assert_eq!(read(&[&bytes]), Ok((b"hello, chunked!".to_vec(), WHOLE.len(), true)));
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_cut() {
        for cut in 0..=WHOLE.len() {
            let (head, tail) = WHOLE.split_at(cut);
            assert_eq!(read(&[head, tail]), Ok((b"hello, chunked!".to_vec(), WHOLE.len(), true)), "{cut}");
        }
        let single: Vec<&[u8]> = WHOLE.chunks(1).collect();
        assert_eq!(read(&single).unwrap().0, b"hello, chunked!");
    }

    #[test]
    fn what_is_no_chunked_body_is_refused() {
        let long = [b'1'; 17];
        for bad in [&b"\r\n"[..], b"x\r\n", b"5\r\nhelloX", b";a\r\n", &long] {
            assert_eq!(read(&[bad]), Err(NotChunked), "{bad:?}");
        }
        let mut endless = b"0\r\n".to_vec();
        endless.resize(ANSWER_HEAD_BYTES_MAX + 10, b'a');
        assert_eq!(read(&[&endless]), Err(NotChunked), "trailers have a bound");
    }

    #[test]
    fn a_body_that_is_cut_short_is_not_done() {
        assert!(!read(&[b"5\r\nhel"]).unwrap().2);
        assert!(!read(&[b"5\r\nhello\r\n0\r\n"]).unwrap().2);
    }
}
