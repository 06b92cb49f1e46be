//! Services in a sentence that several people may read: those that may be named to whoever reads it, and how many others.

use std::fmt;

use serin_config::ServiceName;

/// Some services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    named: Vec<ServiceName>,
    others: usize,
}

impl Names {
    /// How many there are, named or not.
    pub fn len(&self) -> usize {
        self.named.len() + self.others
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same services, of which only these are named.
    #[must_use]
    pub fn naming(self, may_name: impl Fn(&ServiceName) -> bool) -> Self {
        let total = self.len();
        let named: Vec<ServiceName> = self.named.into_iter().filter(may_name).collect();
        Self { others: total - named.len(), named }
    }
}

impl From<Vec<ServiceName>> for Names {
    fn from(named: Vec<ServiceName>) -> Self {
        Self { named, others: 0 }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = self.named.iter().map(|name| format!("\"{name}\"")).collect();
        f.write_str(&named.join(", "))?;
        match (self.named.is_empty(), self.others) {
            (_, 0) => Ok(()),
            (false, others) => write!(f, " and {others} that you may not see"),
            (true, _) => f.write_str("which you may not see"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::name;

    #[test]
    fn those_that_may_not_be_named_are_counted() {
        let all = || Names::from(["blog", "shop"].map(name).to_vec());
        assert_eq!(all().to_string(), "\"blog\", \"shop\"");
        let some = all().naming(|service| service.as_str() == "shop");
        assert_eq!((some.to_string().as_str(), some.len()), ("\"shop\" and 1 that you may not see", 2));
        let none = some.naming(|_| false);
        assert_eq!((none.to_string().as_str(), none.len()), ("which you may not see", 2));
        assert!(Names::from(Vec::new()).is_empty());
    }
}
