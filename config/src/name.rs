//! Names that a person gives to things. They become metric labels, URL segments and journal entries, so
//! they are short and of a small alphabet.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::limits::NAME_LENGTH_MAX;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is not a name: use 1 to {NAME_LENGTH_MAX} letters, digits, '-', '_' or '.', beginning with a letter or digit"
)]
pub struct NameError {
    /// What was given.
    pub text: String,
}

fn check(text: &str) -> Result<Arc<str>, NameError> {
    let well_formed = text.len() <= NAME_LENGTH_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if well_formed { Ok(text.into()) } else { Err(NameError { text: text.chars().take(80).collect() }) }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the text: 1 to 63 letters, digits, `-`, `_` or `.`, beginning with a letter or digit.
            pub fn try_new(text: &str) -> Result<Self, NameError> {
                check(text).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::try_new(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().into()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The name of a freeze.
    FreezeName
);
name!(
    /// The name of a group of services.
    GroupName
);
name!(
    /// The name of a listener.
    ListenerName
);
name!(
    /// The name of somebody who is told of decisions.
    RecipientName
);
name!(
    /// The name of a route.
    RouteName
);
name!(
    /// The name of a service.
    ServiceName
);
name!(
    /// The name of a version, unique within its service.
    VersionName
);
name!(
    /// The name of somebody whom rollouts ask around their steps.
    WebhookName
);
name!(
    /// The name of a business event that responses or others report.
    EventName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_of_a_small_alphabet() {
        for good in ["a", "v1.2.3", "blue_green-2", "9", &"x".repeat(63)] {
            assert_eq!(VersionName::try_new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".a", "a b", "ä", "a/b", "a\"", &"x".repeat(64)] {
            assert!(VersionName::try_new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_read_from_json_is_checked() {
        assert!(serde_json::from_str::<ServiceName>("\"shop\"").is_ok());
        assert!(serde_json::from_str::<ServiceName>("\"sh op\"").is_err());
    }
}
