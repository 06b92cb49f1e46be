//! Which certificate a client gets to see, by the server name that it asks for (SNI, RFC 6066).
//!
//! An exact name goes before a wildcard, which stands for one label (RFC 9525, 6.3). Several certificates may
//! hold one name, say one with an RSA and one with an ECDSA key, so what comes out are candidates in the order
//! of the file; who knows the client's signature schemes takes the first that it can read.

use std::collections::{HashMap, HashSet};

/// The names of a listener's certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    exact: HashMap<String, Vec<usize>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<usize>>,
    default: Vec<usize>,
}

impl Names {
    /// The names of each certificate, in the order of the file; the first certificate is the default, along
    /// with whichever share a name with it.
    pub fn new<'a, N: AsRef<str> + 'a>(certificates: impl IntoIterator<Item = &'a [N]>) -> Self {
        let mut names = Self::default();
        let mut first: HashSet<String> = HashSet::new();
        for (at, certificate) in certificates.into_iter().enumerate() {
            let own: HashSet<String> = certificate.iter().map(|name| plain(name.as_ref())).collect();
            if at == 0 || !own.is_disjoint(&first) {
                names.default.push(at);
            }
            for name in &own {
                let (map, key) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut names.wildcard, parent),
                    None => (&mut names.exact, name.as_str()),
                };
                map.entry(key.into()).or_default().push(at);
            }
            if at == 0 {
                first = own;
            }
        }
        names
    }

    /// Positions of the certificates for a client that asks for this name; never empty where there is a
    /// certificate.
    pub fn candidates(&self, asked: Option<&str>) -> &[usize] {
        let Some(asked) = asked.map(plain) else { return &self.default };
        let parent = asked.split_once('.').map(|(_, parent)| parent);
        let found = self.exact.get(&asked).or_else(|| self.wildcard.get(parent?));
        found.map_or(&self.default, |found| found)
    }
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(certificates: &[&[&'static str]]) -> Names {
        Names::new(certificates.iter().copied())
    }

    #[test]
    fn an_exact_name_goes_before_a_wildcard_and_the_first_is_for_all_others() {
        let names =
            names(&[&["default.example"], &["*.shop.example"], &["api.shop.example", "SHOP.example"]]);
        for (asked, at) in [
            ("api.shop.example", 2),
            ("API.Shop.Example.", 2),
            ("www.shop.example", 1),
            ("shop.example", 2),
            ("a.b.shop.example", 0),
            (".shop.example", 1),
            ("elsewhere.example", 0),
            ("localhost", 0),
            ("", 0),
        ] {
            assert_eq!(names.candidates(Some(asked)), [at], "{asked}");
        }
        assert_eq!(names.candidates(None), [0]);
    }

    #[test]
    fn two_certificates_of_one_name_are_both_candidates() {
        let names = names(&[&["a.example"], &["b.example"], &["a.example", "*.a.example"]]);
        assert_eq!(names.candidates(Some("a.example")), [0, 2]);
        assert_eq!(names.candidates(None), [0, 2]);
        assert_eq!(names.candidates(Some("b.example")), [1]);
    }

    proptest! {
        #[test]
        fn there_is_a_candidate_for_every_name_if_there_is_a_certificate(
            certificates in proptest::collection::vec(proptest::collection::vec("(\\*\\.)?[a-c](\\.[a-c]){0,3}", 0..3), 1..5),
            asked in proptest::option::of("\\PC{0,20}"),
        ) {
            let names = Names::new(certificates.iter().map(Vec::as_slice));
            let candidates = names.candidates(asked.as_deref());
            prop_assert!(!candidates.is_empty());
            prop_assert!(candidates.iter().all(|at| *at < certificates.len()));
        }
    }
}
