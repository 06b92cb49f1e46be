//! What a request is compared with: hosts, paths, values, conditions.

use std::{cmp::Reverse, fmt};

use ipnet::IpNet;
use regex::bytes::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};

use crate::limits::{REGEX_CHARS_MAX, REGEX_COMPILED_BYTES_MAX};

/// A host, lower-case, without a port or final dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Host {
    /// This host.
    Exact(String),
    /// Hosts with one or more labels before this name: `shop.example` stands for `*.shop.example`.
    Below(String),
    /// Any host.
    Any,
}

impl Host {
    /// The more of the host is said, the lower.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        match self {
            Self::Exact(_) => (0, Reverse(0)),
            Self::Below(name) => (1, Reverse(name.split('.').count())),
            Self::Any => (2, Reverse(0)),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// A path in normal form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// This path.
    Exact(String),
    /// Paths that this expression matches from end to end.
    Regex(Pattern),
    /// Whole segments: `/api` takes `/api` and `/api/x` but not `/apiary`. `/` takes all; no other ends in a
    /// slash.
    Prefix(String),
}

impl PathMatch {
    /// The more of the path is said, the lower.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        match self {
            Self::Exact(_) => (0, Reverse(0)),
            Self::Regex(_) => (1, Reverse(0)),
            Self::Prefix(prefix) => (2, Reverse(prefix.len())),
        }
    }
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => write!(f, "{path} (exactly)"),
            Self::Regex(pattern) => write!(f, " ~ {pattern}"),
            Self::Prefix(prefix) => f.write_str(prefix),
        }
    }
}

/// A regular expression that matches a whole text. Matching takes time linear in the text, whatever the
/// expression; its size is bounded, too.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    compiled: Regex,
}

impl Pattern {
    /// Reads an expression in the syntax of the `regex` crate, over bytes: `\d`, `\w` and `.` stand for ASCII
    /// classes and any byte. The error says what is wrong with it, on one line.
    pub fn try_new(text: &str) -> Result<Self, String> {
        if text.chars().count() > REGEX_CHARS_MAX {
            return Err(format!("it is longer than {REGEX_CHARS_MAX} characters"));
        }
        // By itself first: within the anchors, `a)(b` would be sound.
        let build = |text: &str| {
            let mut builder = RegexBuilder::new(text);
            let sizes = builder.size_limit(REGEX_COMPILED_BYTES_MAX).dfa_size_limit(REGEX_COMPILED_BYTES_MAX);
            sizes.unicode(false).build()
        };
        build(text)
            .and_then(|_| build(&format!("^(?:{text})$")))
            .map_or_else(|error| Err(reason(&error)), |compiled| Ok(Self { text: text.into(), compiled }))
    }

    /// Whether it matches the whole of `text`.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.compiled.is_match(text)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The last line of the library's message; those above draw the place, which does not fit on one.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            "it is too big: repetitions count with all that they repeat".into()
        }
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            last.strip_prefix("error: ").unwrap_or(last).into()
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl std::hash::Hash for Pattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(to)
    }
}

/// What a header, query parameter or cookie must be. Where it stands several times, one of them must.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueMatch {
    /// This value.
    Exact(String),
    /// A value that begins so.
    Prefix(String),
    /// A value that this expression matches from end to end.
    Regex(Pattern),
    /// There, with any value; or not there.
    Present(bool),
}

impl fmt::Display for ValueMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => write!(f, "={value}"),
            Self::Prefix(prefix) => write!(f, "={prefix}…"),
            Self::Regex(pattern) => write!(f, " ~ {pattern}"),
            Self::Present(true) => f.write_str(" is there"),
            Self::Present(false) => f.write_str(" is not there"),
        }
    }
}

/// What a request must have besides its host and path: all of it. Lists are sorted, so that equal conditions
/// are equal values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct Conditions {
    /// One of these methods; any where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Headers, by lower-case name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, ValueMatch)>,
    /// Parameters of the query, percent-decoded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, ValueMatch)>,
    /// Cookies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<(String, ValueMatch)>,
    /// A client in one of these networks; any where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client: Vec<IpNet>,
    /// A verified client certificate with one of these names; any, or none, where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_certificate: Vec<String>,
}

impl Conditions {
    /// Whether every request meets them.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many there are; alternatives of one condition are one.
    pub fn count(&self) -> usize {
        let lists = [!self.methods.is_empty(), !self.client.is_empty(), !self.client_certificate.is_empty()];
        let alternatives = lists.into_iter().filter(|asked| *asked).count();
        alternatives + self.headers.len() + self.query.len() + self.cookies.len()
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: &[String]| items.join("|");
        if !self.methods.is_empty() {
            write!(f, " {}", list(&self.methods))?;
        }
        for (kind, values) in [("header", &self.headers), ("query", &self.query), ("cookie", &self.cookies)] {
            for (name, value) in values {
                write!(f, ", {kind} {name}{value}")?;
            }
        }
        if !self.client.is_empty() {
            let networks: Vec<_> = self.client.iter().map(IpNet::to_string).collect();
            write!(f, ", client in {}", list(&networks))?;
        }
        if !self.client_certificate.is_empty() {
            write!(f, ", certificate of {}", list(&self.client_certificate))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_from_end_to_end() {
        let pattern = Pattern::try_new("/v[0-9]+|/latest").unwrap();
        for (text, matches) in [("/v12", true), ("/latest", true), ("/v1/x", false), ("x/v1", false)] {
            assert_eq!(pattern.matches(text.as_bytes()), matches, "{text}");
        }
        // A line end is no end.
        assert!(!Pattern::try_new("/a").unwrap().matches(b"/a\n"));
        assert!(Pattern::try_new(r"\w\d(?i)X.").unwrap().matches(b"a1x\xff"));
    }

    #[test]
    fn a_pattern_is_bounded_and_says_what_is_wrong() {
        for (text, part) in [
            ("(", "unclosed group"),
            ("a)(b", "unopened group"),
            (r"(a)\1", "backreferences are not supported"),
            ("(((a{100}){100}){100}){100}", "too big"),
            (&"a".repeat(2_000), "longer than"),
        ] {
            let reason = Pattern::try_new(text).unwrap_err();
            assert!(reason.contains(part) && !reason.contains('\n'), "{text}: {reason}");
        }
    }
}
