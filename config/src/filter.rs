//! What a route changes, and the answers that Serin gives itself.
//!
//! Names and values are checked where the file is read: no line end gets into a head, and nothing here can
//! touch what frames a message or belongs to one hop.

use serde::Serialize;

/// An answer by Serin itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Respond {
    /// Its status, 200 to 599.
    pub status: u16,
    /// Its body.
    pub body: String,
    /// Its header fields, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// Where a client is sent. What is not given stays as the client asked for it, the query always does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// Another host.
    pub host: Option<String>,
    /// Another port. Where absent: the standard port if the scheme or host is another, else the client's.
    pub port: Option<u16>,
    /// Another path.
    pub path: Option<PathEdit>,
}

/// A change of path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathEdit {
    /// This path instead.
    Whole(String),
    /// This prefix instead of the one that the route matched; the rest of the normalised path stays.
    Prefix(String),
}

/// What changes in the target of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Rewrite {
    /// Another path; the query stays.
    pub path: Option<PathEdit>,
    /// Another host, with a port if it has one.
    pub host: Option<String>,
}

impl Rewrite {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.path.is_none() && self.host.is_none()
    }
}

/// Changes of header fields, in this order. Names are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HeaderEdits {
    /// All fields of these names go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// One field of this name and value, instead of whatever there was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(String, String)>,
    /// One more field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<(String, String)>,
}

impl HeaderEdits {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}
