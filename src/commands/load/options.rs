//! What a load is, from the command line: target, pace and stop.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use serin_config::raw::decode::Leaf;
use serin_loadtest::{
    Ask, Load, Pace, Protocol, Rate, Schedule, Stage, Stages, Stop, Target, UserPlace, Users,
    bounds::{
        BODY_BYTES_MAX, CONNECTIONS_DEFAULT, CONNECTIONS_MAX, DURATION_MAX, HTTP2_STREAMS_MAX, MIX_BYTES_MAX,
        RATE_MAX, REQUEST_TIMEOUT_DEFAULT, THREADS_MAX, USERS_MAX,
    },
    mix::Mix,
    report::Facts,
    target::{Tls, Trust, authorities},
};

use super::{address::Url, files::read_file};

/// How long a load lasts where nothing else is said.
const LASTS_DEFAULT: Duration = Duration::from_secs(10);

/// What is asked, how often, and until when.
#[derive(Debug, Clone, Args)]
pub(super) struct Options {
    /// What to ask for, such as http://127.0.0.1:8080/items
    url: Url,
    /// Requests a second, whether or not earlier ones were answered (open loop)
    #[arg(short, long, value_name = "NUMBER", default_value = "100", value_parser = rate, conflicts_with_all = ["closed", "stage"])]
    rate: Rate,
    /// A part of the schedule, FROM:TO:TIME such as 0:2000:30s (a ramp) or 500:500:1m; repeated, one after the other
    #[arg(long, value_name = "STAGE", value_parser = stage, conflicts_with = "closed")]
    stage: Vec<Stage>,
    /// Independent arrivals, as from users who know nothing of each other (Poisson), in place of evenly spaced ones
    #[arg(long, conflicts_with = "closed")]
    poisson: bool,
    /// Where the random gaps of --poisson begin: the same seed sends at the same times
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    seed: u64,
    /// Each connection asks again as soon as it was answered (closed loop): measures capacity, not what users wait
    #[arg(long)]
    closed: bool,
    /// The most connections; with --closed exactly so many [default: 512, with --closed 64]
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=CONNECTIONS_MAX as i64))]
    connections: Option<u32>,
    /// How long, such as 30s or 5m [default: 10s, or as long as the stages]
    #[arg(short, long, value_name = "TIME", value_parser = lasting)]
    duration: Option<Duration>,
    /// Ends after so many requests
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "duration")]
    requests: Option<u64>,
    /// Leaves out of the report what is due in so many seconds at the beginning
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    warm_up: u32,
    /// For each request, connecting included, such as 2s
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    timeout: Duration,
    /// Threads that send; one is enough for tens of thousands of requests a second
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=THREADS_MAX as i64))]
    threads: u32,
    /// Speaks HTTP/2
    #[arg(long)]
    http2: bool,
    /// Requests at once on each HTTP/2 connection [default: 100, with --closed 1]
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

impl Options {
    /// The load, and the threads that it runs on.
    pub(super) fn load(&self) -> Result<(Load, usize), String> {
        let pace = self.pace()?;
        let stop = match (self.requests, self.duration) {
            (Some(count), _) => Stop::Count(count),
            (None, Some(lasts)) => Stop::After(lasts + self.warm_up()),
            (None, None) if !self.stage.is_empty() => Stop::Never,
            (None, None) => Stop::After(LASTS_DEFAULT + self.warm_up()),
        };
        let connections = self.connections() as usize;
        let streams = self.streams.map_or(if self.closed { 1 } else { 100 }, |streams| streams as usize);
        let load = Load::new(self.target()?, pace, stop)
            .connections_max(connections)
            .streams_max(streams)
            .timeout(if self.timeout.is_zero() { REQUEST_TIMEOUT_DEFAULT } else { self.timeout })
            .warm_up(self.warm_up);
        Ok((load, self.threads as usize))
    }

    /// What is done, for the record.
    pub(super) fn facts(&self, started: String) -> Facts {
        Facts {
            serin: env!("CARGO_PKG_VERSION").into(),
            started,
            target: self.url.text.clone(),
            protocol: self.protocol_words(),
            pace: self.pace_words(),
            rate: (!self.closed && self.stage.is_empty()).then(|| self.rate.per_second()),
            connections: self.connections() as usize,
            threads: self.threads as usize,
            warm_up_seconds: self.warm_up,
        }
    }

    /// How long it lasts, where that is known beforehand; the warm-up included.
    pub(super) fn lasts(&self) -> Option<Duration> {
        match (self.requests, self.duration) {
            (Some(_), _) => None,
            (None, Some(lasts)) => Some(lasts + self.warm_up()),
            (None, None) if !self.stage.is_empty() => Some(self.stage.iter().map(|stage| stage.lasts).sum()),
            (None, None) => Some(LASTS_DEFAULT + self.warm_up()),
        }
    }

    fn warm_up(&self) -> Duration {
        Duration::from_secs(self.warm_up.into())
    }

    fn connections(&self) -> u32 {
        let default = if self.closed { 64 } else { u32::try_from(CONNECTIONS_DEFAULT).unwrap_or(512) };
        self.connections.unwrap_or(default)
    }

    fn protocol(&self) -> Protocol {
        if self.http2 { Protocol::Http2 } else { Protocol::Http1 }
    }

    fn protocol_words(&self) -> String {
        let http = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
        let tls = if self.url.secure { " within TLS" } else { "" };
        let unix =
            self.unix.as_deref().map(|path| format!(", Unix socket {}", path.display())).unwrap_or_default();
        format!("{http}{tls}{unix}")
    }

    fn pace_words(&self) -> String {
        if self.closed {
            return format!("{} connections, each as fast as it is answered", self.connections());
        }
        let arrivals = if self.poisson { "independent arrivals" } else { "evenly spaced" };
        if self.stage.is_empty() {
            return format!("{} requests a second, {arrivals}", self.rate.per_second());
        }
        let stage =
            |stage: &Stage| format!("{} to {} in {} s", stage.from, stage.to, stage.lasts.as_secs_f64());
        let stages: Vec<String> = self.stage.iter().map(stage).collect();
        format!("requests a second from {}, {arrivals}", stages.join(", "))
    }

    fn pace(&self) -> Result<Pace, String> {
        let seed = self.poisson.then_some(self.seed);
        if self.closed {
            return Ok(Pace::Closed { connections: self.connections() as usize });
        }
        if !self.stage.is_empty() {
            let stages = Stages::try_new(self.stage.clone()).map_err(|error| error.to_string())?;
            return Ok(Pace::Open(Schedule::Staged { stages, seed }));
        }
        Ok(Pace::Open(match seed {
            Some(seed) => Schedule::Poisson { rate: self.rate, seed },
            None => Schedule::Constant(self.rate),
        }))
    }

    fn target(&self) -> Result<Target, String> {
        let address = match &self.unix {
            Some(path) => {
                let path = std::path::absolute(path).map_err(|error| error.to_string())?;
                format!("unix:{}", path.display()).parse().map_err(|error| format!("{error}"))?
            }
            None => self.url.resolve()?,
        };
        let (asks, users) = self.asks()?;
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

fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || format!("\"{text}\" is not a rate: write a number above 0, at most {RATE_MAX}");
    let number: f64 = text.parse().map_err(|_| wrong())?;
    Rate::try_new(number).map_err(|_| wrong())
}

fn stage(text: &str) -> Result<Stage, String> {
    let wrong = || format!("\"{text}\" is not a stage: write FROM:TO:TIME, such as 0:2000:30s");
    let [from, to, lasts] = text.split(':').collect::<Vec<_>>()[..] else { return Err(wrong()) };
    let rate = |text: &str| text.parse::<f64>().map_err(|_| wrong());
    Ok(Stage { from: rate(from)?, to: rate(to)?, lasts: time(lasts)? })
}

fn lasting(text: &str) -> Result<Duration, String> {
    let lasts = time(text)?;
    if lasts.is_zero() || lasts > DURATION_MAX {
        return Err(format!("\"{text}\" is not how long a load can last: more than nothing, at most a week"));
    }
    Ok(lasts)
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    Duration::read(text).map_err(|fault| format!("{}: {}", fault.wrong, fault.right))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("\"{text}\" is not a header field: write \"name: value\""))?;
    Ok((name.trim().into(), value.trim().into()))
}
