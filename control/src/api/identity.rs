//! Who asks, and what that somebody may do.
//!
//! A bearer token counts before a certificate: who shows one says by it as whom the request is meant. A token that
//! opens nothing is refused even where nobody must show one, so that a mistake is seen at once and not as a
//! surprising right.

use serin_config::{Grant, grant::CertificateGrant, secret::Secret};

use super::peer::Peer;
use crate::{
    command::Caller,
    tokens::{LOCAL, OF_FILE, TokenText, Tokens, Unknown},
};

/// Whom the file knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) token: Option<Secret>,
    pub(super) certificates: Vec<CertificateGrant>,
}

/// Somebody who may ask for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) caller: Caller,
    pub(super) grant: Grant,
    /// Whether nobody asked who it is.
    pub(super) local: bool,
}

/// Why somebody is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stranger {
    #[error(
        "say who asks: send a token as \"authorization: Bearer TOKEN\" (that of control.token, or one made with POST \
         /v1/tokens), or connect with a client certificate that the file names in control.identities"
    )]
    Nobody,
    #[error("the authorization has another scheme: send \"authorization: Bearer TOKEN\"")]
    NoBearer,
    #[error(
        "no token stands behind \"Bearer\": send \"authorization: Bearer TOKEN\" (was a variable or a file empty?)"
    )]
    Empty,
    #[error("the token is not known here, or was taken back: ask an admin for another")]
    NoToken,
    #[error("the token has expired: ask an admin for another")]
    Expired,
    #[error(
        "the client certificate is named in none of control.identities: ask for its subject to be added, or send a token"
    )]
    NoRole,
}

impl Known {
    /// Whether whoever asks must say who it is.
    pub(super) fn ask(&self) -> bool {
        self.token.is_some() || !self.certificates.is_empty()
    }

    /// Who asks.
    pub(super) fn identify(
        &self,
        authorization: Option<&[u8]>,
        peer: &Peer,
        tokens: &Tokens,
        now_ms: u64,
    ) -> Result<Identity, Stranger> {
        let of = |name: &str, grant: Grant| Identity { caller: peer.caller(name), grant, local: false };
        if let Some(authorization) = authorization {
            let shown = bearer(authorization).ok_or(Stranger::NoBearer)?;
            if shown.is_empty() {
                return Err(Stranger::Empty);
            }
            if self.token.as_ref().is_some_and(|token| token.matches(shown)) {
                return Ok(of(OF_FILE, Grant::EVERYTHING));
            }
            let shown = TokenText::read(shown).ok_or(Stranger::NoToken)?;
            return match tokens.open(&shown, now_ms) {
                Ok((id, token)) => {
                    let found = of(&token.name, token.grant.clone());
                    Ok(Identity { caller: found.caller.by_token(id.clone()), ..found })
                }
                Err(Unknown::NoToken) => Err(Stranger::NoToken),
                Err(Unknown::Expired) => Err(Stranger::Expired),
            };
        }
        if let Some(holder) = &peer.holder
            && let Some(known) = self.certificates.iter().find(|known| holder.is(&known.name))
        {
            return Ok(of(&known.name.to_string(), known.grant.clone()));
        }
        if !self.ask() {
            return Ok(Identity { local: true, ..of(LOCAL, Grant::EVERYTHING) });
        }
        Err(if peer.holder.is_some() { Stranger::NoRole } else { Stranger::Nobody })
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(6)?;
    let ends = token.first().is_none_or(|next| *next == b' ');
    (ends && scheme.eq_ignore_ascii_case(b"bearer")).then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use serin_config::{Role, grant::CertificateName};

    use super::*;
    use crate::{tls::Holder, tokens::Token};

    fn peer() -> Peer {
        Peer::at("10.0.0.7".into())
    }

    fn known(token: Option<&str>) -> Known {
        let certificate = CertificateGrant {
            name: CertificateName::Dns("ci.example".into()),
            grant: Grant { role: Role::Operator, services: None },
        };
        Known {
            token: token.map(|text| Secret::new(text.into())),
            certificates: token.map(|_| certificate).into_iter().collect(),
        }
    }

    fn holder(name: &str) -> Peer {
        peer().showing(Some(Holder { dns: vec![name.into()], ..Holder::default() }))
    }

    #[test]
    fn the_bearer_scheme_is_read_in_any_case() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer  abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"Basic abc"), None);
        assert_eq!(bearer(b"x"), None);
        assert_eq!(bearer(b"Bearerabc"), None);
        for empty in [&b"Bearer"[..], b"Bearer ", b"bearer   "] {
            assert_eq!(bearer(empty), Some(&b""[..]));
        }
    }

    #[test]
    fn where_nobody_is_asked_everybody_may_do_everything_but_a_bad_token_is_refused() {
        let known = known(None);
        let tokens = Tokens::default();
        let local = known.identify(None, &peer(), &tokens, 0).unwrap();
        assert!(local.local && local.grant == Grant::EVERYTHING);
        assert_eq!(local.caller.to_string(), "local from 10.0.0.7");
        assert_eq!(known.identify(Some(b"Bearer nonsense"), &peer(), &tokens, 0), Err(Stranger::NoToken));
        assert_eq!(known.identify(Some(b"Basic nonsense"), &peer(), &tokens, 0), Err(Stranger::NoBearer));
        // A trailing space does not travel.
        let empty = known.identify(Some(b"Bearer"), &peer(), &tokens, 0).unwrap_err();
        assert!(empty.to_string().starts_with("no token stands behind \"Bearer\""), "{empty}");
    }

    #[test]
    fn a_token_counts_before_a_certificate_and_each_has_its_own_grant() {
        let known = known(Some("open sesame"));
        let text = TokenText::random().unwrap();
        let token = Token {
            name: "dashboard".into(),
            grant: Grant { role: Role::Viewer, services: None },
            digest: text.digest(),
            created_ms: 0,
            created_by: None,
            expires_ms: 10,
        };
        let (tokens, _) = Tokens::default().with(text.id(), token, |_| true).unwrap();
        let shown = format!("Bearer {}", text.expose());
        let of = |authorization: Option<&str>, peer: &Peer, now_ms| {
            known.identify(authorization.map(str::as_bytes), peer, &tokens, now_ms)
        };
        let role = |found: Result<Identity, Stranger>| found.map(|found| found.grant.role);
        assert_eq!(role(of(None, &holder("ci.example"), 0)), Ok(Role::Operator));
        assert_eq!(role(of(Some(&shown), &holder("ci.example"), 0)), Ok(Role::Viewer));
        assert_eq!(role(of(Some("Bearer open sesame"), &peer(), 0)), Ok(Role::Admin));
        assert_eq!(role(of(Some(&shown), &peer(), 10)), Err(Stranger::Expired));
        assert_eq!(role(of(None, &holder("eve.example"), 0)), Err(Stranger::NoRole));
        assert_eq!(role(of(None, &peer(), 0)), Err(Stranger::Nobody));
    }
}
