//! Messages on the stream: what comes in is decoded, what goes out was encoded already.
//!
//! A plan is the same for every proxy, so it is encoded once and its bytes are shared. Windows and beats are nearly all
//! that comes in; they are left as bytes here, since a beat may not be wanted, and a window is read when there is a place
//! for it: a fleet's windows come all at once, and as bytes they are small.

use prost::{
    Message,
    bytes::{Buf, BufMut, Bytes},
};
use serin_config::fleet::message::{Down, Downward, Up, Upward};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// A message, encoded.
pub(super) fn encoded(said: Downward) -> Bytes {
    Down { said: Some(said) }.encode_to_vec().into()
}

/// What a proxy says.
#[derive(Debug)]
pub(super) enum Said {
    /// A window, encoded.
    Window(Bytes),
    /// A beat, encoded.
    Beat(Bytes),
    /// Anything else; none where a newer release has more to say.
    Else(Option<Upward>),
}

/// The tags of the fields of [`Up`] that hold a window and a beat.
const WINDOW: u8 = (2 << 3) | 2;
const BEAT: u8 = (3 << 3) | 2;

impl Said {
    fn read(mut message: Bytes) -> Result<Self, prost::DecodeError> {
        // A tag, a length, and the rest: so whoever says one thing writes it.
        let tag = message.first().copied();
        if matches!(tag, Some(WINDOW | BEAT)) {
            let mut rest = message.slice(1..);
            let length = prost::decode_length_delimiter(&mut rest)?;
            if length == rest.len() {
                return Ok(if tag == Some(WINDOW) { Self::Window(rest) } else { Self::Beat(rest) });
            }
        }
        // Of several things that are said in one message the last counts.
        Ok(match Up::decode(&mut message)?.said {
            Some(Upward::Window(window)) => Self::Window(window.encode_to_vec().into()),
            Some(Upward::Beat(beat)) => Self::Beat(beat.encode_to_vec().into()),
            said => Self::Else(said),
        })
    }
}

/// Encoded messages out, [`Said`] in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Messages;

impl Codec for Messages {
    type Encode = Bytes;
    type Decode = Said;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Messages {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Messages {
    type Item = Said;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Said>, Status> {
        let message = from.copy_to_bytes(from.remaining());
        Said::read(message)
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("this is no message of a proxy: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use serin_config::fleet::message::{Beat, Leaving, Window};

    use super::*;

    fn read(up: &[Upward]) -> Said {
        let bytes: Vec<u8> =
            up.iter().flat_map(|said| Up { said: Some(said.clone()) }.encode_to_vec()).collect();
        Said::read(bytes.into()).unwrap()
    }

    #[test]
    fn windows_and_beats_are_left_as_they_came_and_the_last_word_counts() {
        let window = Window { epoch: 1, sequence: 7, ..Window::default() };
        let beat = Beat { ended_ms: 9, ..Beat::default() };
        let Said::Window(bytes) = read(&[Upward::Window(window.clone())]) else { panic!("no window") };
        assert_eq!(Window::decode(bytes).unwrap(), window);
        let Said::Beat(bytes) = read(&[Upward::Beat(beat.clone())]) else { panic!("no beat") };
        assert_eq!(Beat::decode(bytes).unwrap(), beat);
        let Said::Beat(bytes) = read(&[Upward::Window(window.clone()), Upward::Beat(beat.clone())]) else {
            panic!("no beat")
        };
        assert_eq!(Beat::decode(bytes).unwrap(), beat);
        assert!(matches!(read(&[Upward::Leaving(Leaving {})]), Said::Else(Some(Upward::Leaving(_)))));
        assert!(matches!(Said::read(Bytes::new()), Ok(Said::Else(None))));
        assert!(Said::read(Bytes::from_static(&[WINDOW, 0xff])).is_err());
    }
}
