//! The handshake of WebSocket (RFC 6455, 4.2.2), where one side has it and the other has not.
//!
//! Over HTTP/1.1 a client sends a key and the server proves that it has read it; over HTTP/2 there is neither
//! (RFC 8441, 5). The proof keeps a server that knows nothing of WebSocket from being taken for one, so it is
//! asked of an endpoint on behalf of a client that can't, and made for a client by an endpoint that doesn't.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;

/// The name of the protocol.
pub(super) const PROTOCOL: &str = "websocket";
/// What RFC 6455, 1.3 has hashed with the key.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's key: 16 random bytes.
pub(super) fn key(random: [u64; 2]) -> HeaderValue {
    let [a, b] = random.map(u64::to_be_bytes);
    value(STANDARD.encode([a, b].concat()))
}

/// The proof that a server has read `key`.
pub(super) fn accept(key: &HeaderValue) -> HeaderValue {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes().trim_ascii());
    hash.update(MAGIC);
    value(STANDARD.encode(hash.finish()))
}

fn value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_standard_s_example() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes() {
        assert_eq!(STANDARD.decode(key([1, u64::MAX]).as_bytes()).unwrap().len(), 16);
    }
}
