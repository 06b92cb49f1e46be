//! How somebody is told of decisions by e-mail: over which server, by whom, and to whom.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use crate::{limits::MAIL_ADDRESS_BYTES_MAX, secret::Secret};

/// An e-mail recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The SMTP server: a name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is secured.
    pub security: MailSecurity,
    /// The authorities (PEM) by which the server is known; the system's where there are none.
    pub ca: Option<PathBuf>,
    /// Who logs in, and with which password; nobody where the server asks for nobody.
    pub user: Option<(String, Secret)>,
    /// Who it is from.
    pub from: MailAddress,
    /// To whom: at least one.
    pub to: Vec<MailAddress>,
}

/// How a connection to an SMTP server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    /// It begins in clear, and nothing is said before it is TLS (RFC 3207); a server that offers none is not told.
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// In clear.
    None,
}

impl MailSecurity {
    /// As the file says it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Starttls => "starttls",
            Self::Implicit => "implicit",
            Self::None => "none",
        }
    }
}

/// `name@domain`, of the letters that need no quotes (RFC 5322's `dot-atom`), so that it can stand in any header or
/// command as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct MailAddress(String);

impl MailAddress {
    /// The address, if it is one.
    pub fn try_new(text: &str) -> Option<Self> {
        let (local, domain) = text.split_once('@')?;
        let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
        let atoms = |text: &str, of: &dyn Fn(u8) -> bool| {
            text.split('.').all(|part| !part.is_empty() && part.bytes().all(of))
        };
        let label = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let good = text.len() <= MAIL_ADDRESS_BYTES_MAX && atoms(local, &atom) && atoms(domain, &label);
        good.then(|| Self(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_a_domain_and_nothing_that_a_command_could_end_at() {
        for good in ["a@b", "serin+prod@mail.example.org", "o'neil@example.org"] {
            assert_eq!(MailAddress::try_new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a.@b",
            ".a@b",
            "a@b.",
            "a@b>\r\nDATA",
            "<a@b>",
            "ä@b",
            "a,b@c",
        ] {
            assert!(MailAddress::try_new(bad).is_none(), "{bad:?}");
        }
        assert_eq!(MailAddress::try_new("a@b.c").unwrap().domain(), "b.c");
    }
}
