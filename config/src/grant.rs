//! Who may do what on the control plane's API: three roles, each of which holds what the one before it may do.
//!
//! A role says how much somebody may do, the services where. There are no finer rights: whoever may set a weight
//! may also abort, and a right that nobody can keep apart from another in an emergency is only a trap.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::name::ServiceName;

/// How much somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Sets weights and steers rollouts, too.
    Operator,
    /// Gives and takes tokens and reads the audit log, too.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The word in the file and in the API.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// What somebody may do, and with which services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// How much.
    pub role: Role,
    /// With these services only; with all, and with what concerns all, where absent.
    #[serde(default)]
    pub services: Option<BTreeSet<ServiceName>>,
}

impl Grant {
    /// Everything.
    pub const EVERYTHING: Self = Self { role: Role::Admin, services: None };

    /// Whether it is for this service.
    pub fn covers(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service))
    }

    /// Whether it leaves services out, and so what concerns all of them.
    pub fn is_limited(&self) -> bool {
        self.services.is_some()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.services {
            None => self.role.fmt(f),
            Some(services) => {
                let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
                write!(f, "{} of {}", self.role, names.join(", "))
            }
        }
    }
}

/// The name in a client's certificate that makes it that client's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateName {
    /// The whole subject as text (RFC 4514), such as `CN=deploy,O=Example`.
    Subject(String),
    /// An alternative name of type URI, such as a SPIFFE ID.
    Uri(String),
    /// An alternative name of type DNS.
    Dns(String),
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(name) | Self::Uri(name) | Self::Dns(name) => f.write_str(name),
        }
    }
}

/// What the holder of a client certificate may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateGrant {
    /// Whose certificate.
    pub name: CertificateName,
    /// What its holder may do.
    pub grant: Grant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_holds_what_the_one_before_it_may_do() {
        assert!(Role::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for role in Role::ALL {
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{}\"", role.label()));
        }
    }

    #[test]
    fn a_grant_covers_its_services_or_all() {
        let shop = ServiceName::try_new("shop").unwrap();
        let limited = Grant { role: Role::Operator, services: Some(BTreeSet::from([shop])) };
        assert!(limited.covers("shop") && !limited.covers("blog") && limited.is_limited());
        assert_eq!(limited.to_string(), "operator of shop");
        assert!(Grant::EVERYTHING.covers("blog") && !Grant::EVERYTHING.is_limited());
    }
}
