//! The frames of an HTTP/2 connection, by their headers alone.
//!
//! The HTTP library has no say for its user below requests and bodies; floods of small frames never get that
//! far. The nine bytes before each payload are enough to count them, and payloads are stepped over.

/// The first bytes of a client (RFC 9113, 3.4). No HTTP/1.1 request can begin with them.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames (RFC 9113, 6).
pub mod kind {
    #![expect(missing_docs, reason = "the names are the standard's")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

const FLAG_ACK: u8 = 1;
const FLAG_END_STREAM: u8 = 1;
const FLAG_END_HEADERS: u8 = 4;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of the payload.
    pub length: u32,
    /// One of [`kind`], or one that is to be ignored.
    pub kind: u8,
    /// What they mean depends on the kind.
    pub flags: u8,
    /// Zero for the connection.
    pub stream: u32,
}

impl Frame {
    fn read([a, b, c, kind, flags, d, e, f, g]: [u8; 9]) -> Self {
        let length = u32::from_be_bytes([0, a, b, c]);
        Self { length, kind, flags, stream: u32::from_be_bytes([d & 0x7f, e, f, g]) }
    }

    /// Of SETTINGS and PING: it answers one of ours.
    pub fn is_ack(self) -> bool {
        self.flags & FLAG_ACK != 0
    }

    /// Of DATA: it brings nothing, not even the end.
    pub fn is_empty(self) -> bool {
        self.length == 0 && self.flags & FLAG_END_STREAM == 0
    }

    /// Of HEADERS and CONTINUATION: no more fields follow.
    pub fn ends_headers(self) -> bool {
        self.flags & FLAG_END_HEADERS != 0
    }

    /// As it goes over the wire, before its payload.
    pub fn header(self) -> [u8; 9] {
        let [_, a, b, c] = self.length.to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }
}

/// Finds the frames in one direction of a connection, however its bytes are cut.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    /// Bytes before the next header: of a payload, or of the client's preface.
    skip: usize,
    header: [u8; 9],
    filled: usize,
}

impl Frames {
    /// What a client sends, its preface first.
    pub fn of_client() -> Self {
        Self { skip: PREFACE.len(), ..Self::default() }
    }

    /// What a server sends.
    pub fn of_server() -> Self {
        Self::default()
    }

    /// Walks over the bytes that come next, and shows each frame once its header is whole.
    pub fn walk(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Frame)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let taken = (self.header.len() - self.filled).min(bytes.len());
            let (now, rest) = bytes.split_at(taken);
            self.header[self.filled..self.filled + taken].copy_from_slice(now);
            self.filled += taken;
            bytes = rest;
            if self.filled == self.header.len() {
                let frame = Frame::read(self.header);
                (self.filled, self.skip) = (0, frame.length as usize);
                seen(frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let frame = Frame { length: 0x01_02_03, kind: kind::DATA, flags: 1, stream: 0x7fff_fffe };
        assert_eq!(Frame::read(frame.header()), frame);
    }

    proptest! {
        #[test]
        fn frames_are_found_however_they_are_cut(
            lengths in prop::collection::vec(0_u32..40, 0..20),
            cut in 1_usize..30,
        ) {
            let frames: Vec<Frame> = lengths
                .iter()
                .zip(0..)
                .map(|(length, stream)| Frame { length: *length, kind: kind::DATA, flags: 0, stream })
                .collect();
            let mut bytes = PREFACE.to_vec();
            for frame in &frames {
                bytes.extend_from_slice(&frame.header());
                bytes.resize(bytes.len() + frame.length as usize, 0xff);
            }
            let (mut walker, mut seen) = (Frames::of_client(), Vec::new());
            for piece in bytes.chunks(cut) {
                walker.walk(piece, |frame| seen.push(frame));
            }
            prop_assert_eq!(seen, frames);
        }
    }
}
