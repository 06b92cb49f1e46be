//! The bearer tokens of the API: whose they are, what they allow, and until when.
//!
//! A token is `serin_ID_SECRET`. The identifier is public: it names the token in lists and in the audit log. The
//! secret is 256 random bits, shown once, and kept as its SHA-256 only; with that much chance in it, nothing slower
//! than one hash stands between a stolen store and the token. Names are unique, so that the audit log can name
//! whoever asked by the name that was given to the token.
//!
//! Each is a fact of the store, `token/ID`. A fact that can't be read allows nothing.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serin_config::{
    Grant, Role, ServiceName,
    limits::{NAME_LENGTH_MAX, TOKENS_MAX},
};

pub use text::{Digest, NoChance, NotAnId, TokenId, TokenText};

use crate::{command::Caller, store::Facts};

/// One token, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it is called; unique.
    pub name: String,
    /// What it allows, and with which services.
    #[serde(flatten)]
    pub grant: Grant,
    /// What its secret must hash to.
    pub digest: Digest,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Who made it.
    pub created_by: Option<Caller>,
    /// From when on it is worth nothing, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// Why a token can't be made or taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// Its name is no name.
    #[error(
        "\"{0}\" is not a name for a token: use 1 to {NAME_LENGTH_MAX} letters, digits, '-', '_' or '.', beginning with a \
         letter or digit"
    )]
    Name(String),
    /// Its name is what somebody else goes by.
    #[error(
        "\"{0}\" is what journal and audit log call somebody who asks without a token: take another name"
    )]
    NameReserved(String),
    /// Another one has its name.
    #[error("there is a token \"{name}\" already ({id}): take another name, or take that one back first")]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        id: TokenId,
    },
    /// There are too many.
    #[error("there are {TOKENS_MAX} tokens, which is the most: take back those that nobody uses")]
    TooMany,
    /// A service that is not there.
    #[error("there is no service \"{0}\" that the token could be limited to")]
    NoService(ServiceName),
    /// It would be for no service at all.
    #[error(
        "a token for no service allows nothing: name services, or leave \"services\" out for all of them"
    )]
    ForNothing,
    /// There is none.
    #[error("there is no token {0}")]
    None(TokenId),
}

/// Why a bearer token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// There is no such token, or no longer.
    NoToken,
    /// Its time is over.
    Expired,
}

/// All tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens(BTreeMap<TokenId, Token>);

impl Tokens {
    /// Those among the facts of a store.
    pub fn from_facts(facts: &Facts) -> Self {
        let of = |(name, fact): (&String, &serde_json::Value)| {
            let id = name.strip_prefix(PREFIX)?.parse().ok()?;
            Some((id, serde_json::from_value(fact.clone()).ok()?))
        };
        Self(
            facts
                .range(PREFIX.to_owned()..)
                .take_while(|(name, _)| name.starts_with(PREFIX))
                .filter_map(of)
                .collect(),
        )
    }

    /// By identifier.
    pub fn iter(&self) -> impl Iterator<Item = (&TokenId, &Token)> {
        self.0.iter()
    }

    /// The token of that identifier.
    pub fn get(&self, id: &TokenId) -> Option<&Token> {
        self.0.get(id)
    }

    /// The token that somebody shows.
    pub fn open(&self, shown: &TokenText, now_ms: u64) -> Result<(&TokenId, &Token), Unknown> {
        let (id, token) = self.0.get_key_value(shown.id()).ok_or(Unknown::NoToken)?;
        if !token.digest.is_of(shown) {
            return Err(Unknown::NoToken);
        }
        if now_ms >= token.expires_ms { Err(Unknown::Expired) } else { Ok((id, token)) }
    }

    /// These with one more, and those that it takes the place of: expired ones of the same name.
    pub(crate) fn with(
        &self,
        id: &TokenId,
        token: Token,
        is_service: impl Fn(&ServiceName) -> bool,
    ) -> Result<(Self, Vec<TokenId>), TokenRefusal> {
        if ServiceName::try_new(&token.name).is_err() {
            return Err(TokenRefusal::Name(token.name.chars().take(NAME_LENGTH_MAX).collect()));
        }
        if RESERVED.iter().any(|reserved| token.name.eq_ignore_ascii_case(reserved)) {
            return Err(TokenRefusal::NameReserved(token.name));
        }
        check_services(&token.grant, is_service)?;
        let mut tokens = self.clone();
        let namesakes = || self.0.iter().filter(|(_, other)| other.name == token.name);
        if let Some((id, _)) = namesakes().find(|(_, other)| token.created_ms < other.expires_ms) {
            return Err(TokenRefusal::NameTaken { name: token.name.clone(), id: id.clone() });
        }
        let gone: Vec<TokenId> = namesakes().map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| drop(tokens.0.remove(id)));
        if tokens.0.len() >= TOKENS_MAX {
            return Err(TokenRefusal::TooMany);
        }
        tokens.0.insert(id.clone(), token);
        Ok((tokens, gone))
    }

    /// These without one.
    pub(crate) fn without(&self, id: &TokenId) -> Result<Self, TokenRefusal> {
        let mut tokens = self.clone();
        match tokens.0.remove(id) {
            Some(_) => Ok(tokens),
            None => Err(TokenRefusal::None(id.clone())),
        }
    }
}

fn check_services(grant: &Grant, is_service: impl Fn(&ServiceName) -> bool) -> Result<(), TokenRefusal> {
    let Grant { services: Some(services), role: _ } = grant else { return Ok(()) };
    if services.is_empty() {
        return Err(TokenRefusal::ForNothing);
    }
    match services.iter().find(|service| !is_service(service)) {
        Some(missing) => Err(TokenRefusal::NoService(missing.clone())),
        None => Ok(()),
    }
}

const PREFIX: &str = "token/";

/// The name of whoever asks where nobody must say who it is.
pub(crate) const LOCAL: &str = "local";
/// The name of whoever asks with the token of the file.
pub(crate) const OF_FILE: &str = "control.token";
/// The name of whoever is turned away.
pub(crate) const STRANGER: &str = "unknown";
/// What journal and audit log call those who ask without a token of their own, and the kinds of [`Actor`](crate::command::Actor)s.
const RESERVED: [&str; 8] = [LOCAL, OF_FILE, STRANGER, "api", "file", "judge", "proxy", "webhook"];

/// The fact that keeps a token.
pub(crate) fn fact_name(id: &TokenId) -> String {
    format!("{PREFIX}{id}")
}

/// A token that is to be made, but for who makes it and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its identifier.
    pub id: TokenId,
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// With these services only; with all where absent.
    pub services: Option<BTreeSet<ServiceName>>,
    /// What its secret hashes to.
    pub digest: Digest,
    /// How long it lives, in milliseconds.
    pub life_ms: u64,
}

#[cfg(test)]
mod tests;
