//! The text of a token, and what is kept of it.

use std::{fmt, str::FromStr};

use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serin_config::secret::Secret;

const MARK: &str = "serin";
/// Enough that two tokens never get the same one.
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// What a token is known by; it is no secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenId(String);

/// A text that is no identifier of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not the identifier of a token: it has 16 of the characters 0-9 and a-f")]
pub struct NotAnId(String);

impl FromStr for TokenId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let hexadecimal = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 2 * ID_BYTES && text.bytes().all(hexadecimal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnId(text.chars().take(40).collect()))
        }
    }
}

impl TryFrom<String> for TokenId {
    type Error = NotAnId;
    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> Self {
        id.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The whole token, as whoever has it shows it.
#[derive(Debug, Clone)]
pub struct TokenText {
    id: TokenId,
    text: Secret,
}

/// The system has no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers, so no token can be made")]
pub struct NoChance;

impl TokenText {
    /// A new one, out of the system's random numbers.
    pub fn random() -> Result<Self, NoChance> {
        let mut bytes = [0; ID_BYTES + SECRET_BYTES];
        rand::fill(&mut bytes).map_err(|_| NoChance)?;
        let (id, secret) = bytes.split_at(ID_BYTES);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = Secret::new(format!("{MARK}_{id}_{}", URL_SAFE_NO_PAD.encode(secret)));
        Ok(Self { id: TokenId(id), text })
    }

    /// Reads what somebody shows; none where it has not the form of a token.
    pub fn read(shown: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(shown).ok()?;
        let mut parts = text.splitn(3, '_');
        let (mark, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let decoded = URL_SAFE_NO_PAD.decode(secret).ok()?;
        let right = mark == MARK && decoded.len() == SECRET_BYTES;
        right.then(|| Some(Self { id: id.parse().ok()?, text: Secret::new(text.to_owned()) }))?
    }

    /// What it is known by.
    pub fn id(&self) -> &TokenId {
        &self.id
    }

    /// The text itself; the caller promises to show it to whoever asked for the token, once.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        let hash = digest::digest(&digest::SHA256, self.text.expose().as_bytes());
        Digest(URL_SAFE_NO_PAD.encode(hash.as_ref()))
    }
}

/// The SHA-256 of a token's text, in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Whether it is that of this text; takes a time that tells nothing.
    pub(super) fn is_of(&self, shown: &TokenText) -> bool {
        let theirs = shown.digest();
        constant_time::verify_slices_are_equal(self.0.as_bytes(), theirs.0.as_bytes()).is_ok()
    }
}
