//! What is asked of whom, from the command line.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use serin_config::raw::decode::Leaf;
use serin_loadtest::{
    Ask, Protocol, Target, UserPlace, Users,
    bounds::{BODY_BYTES_MAX, HTTP2_STREAMS_DEFAULT, HTTP2_STREAMS_MAX, MIX_BYTES_MAX, USERS_MAX},
    mix::Mix,
    target::{Tls, Trust, authorities},
    url::Url,
};

use super::files::read_file;

/// Where requests go, and what they are.
#[derive(Debug, Clone, Args)]
pub(super) struct TargetOptions {
    /// What to ask for, such as http://127.0.0.1:8080/items
    pub(super) url: Url,
    /// For each request, connecting included, such as 2s
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(super) timeout: Duration,
    /// Speaks HTTP/2
    #[arg(long)]
    http2: bool,
    /// Requests at once on each HTTP/2 connection [default: 100; 1 where connections ask as fast as they are answered]
    #[arg(long, value_name = "NUMBER", requires = "http2", value_parser = clap::value_parser!(u32).range(1..=HTTP2_STREAMS_MAX as i64))]
    streams: Option<u32>,
    /// Connects to this Unix socket; the URL says the rest
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Believes the authorities of this file (PEM), and no others
    #[arg(long, value_name = "FILE", conflicts_with = "danger_any_certificate")]
    ca: Option<PathBuf>,
    /// Believes every certificate
    #[arg(long)]
    danger_any_certificate: bool,
    /// A full TLS handshake for each connection, where otherwise earlier sessions are taken up
    #[arg(long)]
    no_resumption: bool,
    /// The method
    #[arg(short = 'X', long, value_name = "METHOD", conflicts_with = "mix")]
    method: Option<String>,
    /// A header field of all requests, "name: value"; repeated
    #[arg(short = 'H', long, value_name = "FIELD", value_parser = header)]
    header: Vec<(String, String)>,
    /// The body; @FILE reads it from a file
    #[arg(long, value_name = "TEXT", conflicts_with = "mix")]
    body: Option<String>,
    /// Draws requests from those of this file (YAML: requests with method, path, headers, body, weight; users)
    #[arg(long, value_name = "FILE")]
    mix: Option<PathBuf>,
    /// So many users, each request from one of them; see --user-cookie
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(USERS_MAX)))]
    users: Option<u32>,
    /// The cookie that says which user a request is from
    #[arg(
        long,
        value_name = "NAME",
        default_value = "uid",
        requires = "users",
        conflicts_with = "user_header"
    )]
    user_cookie: String,
    /// The header that says it, in place of a cookie
    #[arg(long, value_name = "NAME", requires = "users")]
    user_header: Option<http::HeaderName>,
    /// The header of answers that names the version
    #[arg(long, value_name = "NAME", default_value = "x-serin-version")]
    version_header: http::HeaderName,
}

impl TargetOptions {
    /// Requests at once on each HTTP/2 connection.
    pub(super) fn streams(&self, closed: bool) -> usize {
        let default = if closed { 1 } else { HTTP2_STREAMS_DEFAULT };
        self.streams.map_or(default, |streams| streams as usize)
    }

    fn protocol(&self) -> Protocol {
        if self.http2 { Protocol::Http2 } else { Protocol::Http1 }
    }

    /// How HTTP is spoken, in words.
    pub(super) fn protocol_words(&self) -> String {
        let http = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
        let tls = if self.url.secure { " within TLS" } else { "" };
        let unix =
            self.unix.as_deref().map(|path| format!(", Unix socket {}", path.display())).unwrap_or_default();
        format!("{http}{tls}{unix}")
    }

    /// The target, ready to be asked.
    pub(super) fn target(&self) -> Result<Target, String> {
        let (asks, users) = self.asks()?;
        self.target_of(asks, users)
    }

    fn target_of(&self, asks: Vec<Ask>, users: Option<Users>) -> Result<Target, String> {
        let address = match &self.unix {
            Some(path) => {
                let path = std::path::absolute(path).map_err(|error| error.to_string())?;
                format!("unix:{}", path.display()).parse().map_err(|error| format!("{error}"))?
            }
            None => self.url.resolve()?,
        };
        let mut target = Target::new(address)
            .protocol(self.protocol())
            .version_header(self.version_header.clone())
            .host(&self.url.authority)
            .and_then(|target| target.asks(asks))
            .map_err(|error| error.to_string())?;
        if self.url.secure {
            let trust = match (&self.ca, self.danger_any_certificate) {
                (Some(file), _) => {
                    authorities(file).map_err(|error| format!("{}: {error}", file.display()))?
                }
                (None, true) => Trust::DangerAnybody,
                (None, false) => Trust::System,
            };
            let server_name = self.url.host.clone();
            target = target.tls(Tls { server_name, trust, resumption: !self.no_resumption });
        }
        Ok(match users {
            Some(users) => target.users(users),
            None => target,
        })
    }

    /// The same for the one question whether it answers: GET of the URL, from nobody.
    pub(super) fn probe(&self) -> Result<Target, String> {
        let mut ask = Ask::get().path(&self.url.path).map_err(|error| error.to_string())?;
        for (name, value) in &self.header {
            ask = ask.header(name, value).map_err(|error| error.to_string())?;
        }
        self.target_of(vec![ask], None)
    }

    fn asks(&self) -> Result<(Vec<Ask>, Option<Users>), String> {
        let own = self.users.map(|count| {
            let place = match &self.user_header {
                Some(name) => UserPlace::Header(name.clone()),
                None => UserPlace::Cookie(self.user_cookie.clone()),
            };
            Users::first(count, place)
        });
        let (mut asks, users) = match &self.mix {
            Some(file) => {
                let mix = read_mix(file)?;
                (mix.asks, own.or(mix.users))
            }
            None => (vec![self.single()?], own),
        };
        for (name, value) in &self.header {
            for ask in &mut asks {
                *ask = ask.clone().header(name, value).map_err(|error| error.to_string())?;
            }
        }
        Ok((asks, users))
    }

    fn single(&self) -> Result<Ask, String> {
        let mut ask = Ask::get().path(&self.url.path).map_err(|error| error.to_string())?;
        let method = self.method.as_deref().or(self.body.as_ref().map(|_| "POST"));
        if let Some(method) = method {
            ask = ask.method(method).map_err(|error| error.to_string())?;
        }
        let body = match self.body.as_deref().map(|body| body.strip_prefix('@').ok_or(body)) {
            None => return Ok(ask),
            Some(Err(text)) => Bytes::from(text.to_owned()),
            Some(Ok(file)) => read_file(Path::new(file), BODY_BYTES_MAX)?.into(),
        };
        Ok(ask.body(body))
    }
}

fn read_mix(file: &Path) -> Result<Mix, String> {
    let bytes = read_file(file, MIX_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    let beside = file.parent().unwrap_or(Path::new("."));
    let body = |path: &Path| std::fs::read(beside.join(path));
    Mix::read(&file.display().to_string(), &text, &body).map_err(|problems| problems.to_string())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("\"{text}\" is not a header field: write \"name: value\""))?;
    Ok((name.trim().into(), value.trim().into()))
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    Duration::read(text).map_err(|fault| format!("{}: {}", fault.wrong, fault.right))
}
