//! Messages on the stream: what comes in is decoded, what goes out was encoded already.
//!
//! A plan is the same for every proxy, so it is encoded once and its bytes are shared.

use prost::{
    Message,
    bytes::{BufMut, Bytes},
};
use serin_config::fleet::message::{Down, Downward, Up};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// A message, encoded.
pub(super) fn encoded(said: Downward) -> Bytes {
    Down { said: Some(said) }.encode_to_vec().into()
}

/// Encoded messages out, [`Up`] in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Messages;

impl Codec for Messages {
    type Encode = Bytes;
    type Decode = Up;
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
    type Item = Up;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Up>, Status> {
        Up::decode(from)
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("this is no message of a proxy: {error}")))
    }
}
