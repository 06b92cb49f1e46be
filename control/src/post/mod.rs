//! What the control plane says to others: one request over HTTP at a time, signed, or one e-mail, with a bound on all of it.
//!
//! Notifications and webhooks around steps share it. Nothing here decides anything or tries again: whoever asks knows
//! what a failure means.

mod client;
pub(crate) mod mail;
#[cfg(test)]
mod over_sockets;

use aws_lc_rs::hmac;
use http::{HeaderName, HeaderValue};
use serin_config::secret::Secret;

pub(crate) use client::{Client, Failure, Post};

/// The header with the time and the signature of a body.
pub(crate) const SIGNATURE: &str = "x-serin-signature";

/// The headers that stand beside a body: by what it is known again, and its signature if there is a key.
pub(crate) fn headers(
    id: &str,
    key: Option<&Secret>,
    now_ms: u64,
    body: &[u8],
) -> Vec<(HeaderName, HeaderValue)> {
    let signature = key.map(|key| signature(key.expose(), now_ms / 1_000, body));
    let id = HeaderValue::from_str(id).ok().map(|id| (HeaderName::from_static("idempotency-key"), id));
    let signature = signature.and_then(|signature| HeaderValue::from_str(&signature).ok());
    let signature = signature.map(|signature| (HeaderName::from_static(SIGNATURE), signature));
    id.into_iter().chain(signature).collect()
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY`. The time is signed too, so that what was sent once can't be sent
/// again much later.
fn signature(key: &str, seconds: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let mut signed = hmac::Context::with_key(&key);
    signed.update(format!("{seconds}.").as_bytes());
    signed.update(body);
    let hex: String = signed.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_time_and_body() {
        let expected = "t=1700000000,v1=56b25cbf563812b38800e5f4dd1febfde087d36841155e70b3aa285517e1570a";
        assert_eq!(signature("hunter2", 1_700_000_000, b"{\"a\":1}"), expected);
        assert_ne!(signature("hunter2", 1_700_000_001, b"{\"a\":1}")[13..], expected[13..]);
    }

    #[test]
    fn without_a_key_nothing_is_signed_and_the_id_is_there_all_the_same() {
        let headers = headers("serin-1", None, 0, b"");
        assert_eq!(headers.len(), 1);
        assert_eq!((headers[0].0.as_str(), headers[0].1.as_bytes()), ("idempotency-key", &b"serin-1"[..]));
    }
}
