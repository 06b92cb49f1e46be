//! Who is told of decisions, how, and of which.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use crate::{
    mail::Mail,
    name::{RecipientName, ServiceName},
    secret::Secret,
};

/// Somebody who is told of decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Its name.
    pub name: RecipientName,
    /// How it is told.
    pub way: Way,
    /// Of decisions that are at least this grave.
    pub from: Severity,
    /// Of decisions on these services; on all where it is empty.
    pub services: Vec<ServiceName>,
}

/// How a recipient is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// By a request to a URL.
    Http(Http),
    /// By e-mail.
    Mail(Mail),
}

/// A recipient that is told by a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where.
    pub url: Url,
    /// In which form.
    pub form: Form,
    /// The authorities (PEM) by which it is known over TLS; the system's where there are none.
    pub ca: Option<PathBuf>,
    /// What signs what a [`Form::Webhook`] is told.
    pub key: Option<Secret>,
}

/// The form of what a recipient is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The decision as JSON.
    #[default]
    Webhook,
    /// A text, as Slack and others like it take it.
    Slack,
    /// An alert, as version 2 of Alertmanager's API takes it.
    Alertmanager,
}

/// How grave a decision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Things go their way.
    Info,
    /// Somebody may want to look: a rollout waits, or its share was lowered.
    #[default]
    Warning,
    /// A canary was taken out, or can't be.
    Critical,
}

impl Severity {
    /// As the file says it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// An `http` or `https` URL. What stands behind the host is often a secret, and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: Secret,
}

impl Url {
    /// The URL, if it is one: no user, no fragment, nothing but visible ASCII.
    pub fn try_new(text: &str) -> Option<Self> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, rest) => (false, rest?),
        };
        let visible =
            rest.bytes().all(|b| b.is_ascii_graphic()) && rest.len() <= crate::limits::URL_BYTES_MAX;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !visible || rest.contains('#') || authority.contains('@') {
            return None;
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, rest) = v6.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                match rest.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if rest.is_empty() => (host, None),
                    None => return None,
                }
            }
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0)?,
            None if tls => 443,
            None => 80,
        };
        let named = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
        if host.is_empty() || !host.bytes().all(named) {
            return None;
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { tls, host: host.to_owned(), port, path: Secret::new(path) })
    }

    /// Host and port, as a `host` header has them.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", if self.tls { "https" } else { "http" }, self.authority())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_shows_nothing_behind_it() {
        let url = Url::try_new("https://hooks.example/services/T0/B0/hunter2?x=1").unwrap();
        assert_eq!((url.tls, url.host.as_str(), url.port), (true, "hooks.example", 443));
        assert_eq!(url.path.expose(), "/services/T0/B0/hunter2?x=1");
        assert!(!format!("{url} {url:?}").contains("hunter2"));
        let local = Url::try_new("http://[::1]:9093").unwrap();
        assert_eq!((local.authority().as_str(), local.path.expose()), ("[::1]:9093", "/"));
        assert_eq!(Url::try_new("http://a?b").unwrap().path.expose(), "/?b");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "",
            "hooks.example",
            "ftp://a/",
            "http://",
            "http://a:0/",
            "http://a:99999/",
            "http://u:p@a/",
            "http://a/ b",
            "http://a/#b",
            "http://[::1/",
            "http://[::1]x/",
            "http://a_b^/",
        ] {
            assert_eq!(Url::try_new(text), None, "{text}");
        }
    }
}
