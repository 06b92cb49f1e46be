//! When a load asks, from the command line: its pace and its stop.

use std::time::Duration;

use clap::Args;
use serin_loadtest::{
    Load, Pace, Rate, Schedule, Stage, Stages, Stop,
    bounds::{CONNECTIONS_DEFAULT, CONNECTIONS_MAX, DURATION_MAX, RATE_MAX, THREADS_MAX},
    report::Facts,
};

use super::target::{TargetOptions, time};

/// How long a load lasts where nothing else is said.
const LASTS_DEFAULT: Duration = Duration::from_secs(10);

/// What is asked, how often, and until when.
#[derive(Debug, Clone, Args)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) target: TargetOptions,
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
    /// Threads that send; one is enough for tens of thousands of requests a second
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=THREADS_MAX as i64))]
    threads: u32,
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
        let load = Load::new(self.target.target()?, pace, stop)
            .connections_max(connections)
            .streams_max(self.target.streams(self.closed))
            .timeout(self.target.timeout)
            .warm_up(self.warm_up);
        Ok((load, self.threads as usize))
    }

    /// What is done, for the record.
    pub(super) fn facts(&self, started: String) -> Facts {
        Facts {
            serin: env!("CARGO_PKG_VERSION").into(),
            started,
            target: self.target.url.text.clone(),
            protocol: self.target.protocol_words(),
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
