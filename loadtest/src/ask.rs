//! One kind of request of a mix: method, path, headers, body, and how often it is drawn.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

/// One kind of request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What it is called in reports.
    pub(crate) name: Arc<str>,
    pub(crate) method: Method,
    pub(crate) path: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Its share among the others' weights.
    pub(crate) weight: u32,
}

/// Why a part of a request can't be as given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Not a path.
    #[error("\"{0}\" is not a path: it begins with \"/\" and has no spaces, such as \"/items?page=2\"")]
    Path(String),
    /// Not a header.
    #[error("\"{0}\" is not a header name and value that HTTP allows")]
    Header(String),
    /// Not a method.
    #[error("\"{0}\" is not a method: it is a word such as GET or POST")]
    Method(String),
}

/// So much of a wrong text is repeated.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

impl Ask {
    /// `GET /`, called "GET /".
    pub fn get() -> Self {
        Self {
            name: "GET /".into(),
            method: Method::GET,
            path: Uri::from_static("/"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            weight: 1,
        }
    }

    /// With this method.
    ///
    /// # Errors
    /// It is none.
    pub fn method(mut self, method: &str) -> Result<Self, AskError> {
        let method = method.to_ascii_uppercase();
        self.method = Method::from_bytes(method.as_bytes()).map_err(|_| AskError::Method(shown(&method)))?;
        Ok(self.called_by_its_line())
    }

    /// For this path and query.
    ///
    /// # Errors
    /// It is none.
    pub fn path(mut self, path: &str) -> Result<Self, AskError> {
        let wrong = || AskError::Path(shown(path));
        self.path =
            if path.starts_with('/') { path.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
        Ok(self.called_by_its_line())
    }

    /// With this header, in place of an earlier one of that name.
    ///
    /// # Errors
    /// HTTP does not allow it.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, AskError> {
        let wrong = || AskError::Header(shown(&format!("{name}: {value}")));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        self.headers.insert(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
        Ok(self)
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// So often, among the others' weights.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Called this in reports.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    fn called_by_its_line(mut self) -> Self {
        self.name = format!("{} {}", self.method, self.path).into();
        self
    }
}
