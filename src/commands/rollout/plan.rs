//! `serin rollout plan`: how long a rollout will take, and what a bad canary will cost, before anybody starts.
//!
//! The rollouts are simulated on all cores; nothing that runs is asked or changed. Seeds are fixed, so that the same
//! file and the same numbers give the same plan.

use std::{
    fmt,
    io::{IsTerminal, Write},
    process::ExitCode,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use clap::Args;
use serde_json::json;
use serin_config::{
    Service, ServiceName, Weight,
    limits::{FORESEEN_ROLLOUTS_MAX, FORESEEN_RPS_MAX},
    raw::decode::Leaf,
};
use serin_judge::foresee::{Foresight, Plan, Regression, Rehearsal, Traffic};

use super::{
    super::{
        NO, can_not,
        client::Output,
        config_file::{ConfigFile, LoadError},
        print,
    },
    policy_file::{self, NoPolicy},
};

/// The 99th percentile as a multiple of the median, where none is given: a lognormal spread of a half.
const SPREAD: f64 = 3.2;

/// What to plan.
#[derive(Debug, Args)]
#[command(after_help = "\
Each number is a median over simulated rollouts with steady traffic. The regressions that are planned for without --regression:
errors=0.3%, errors=1%, errors=5%, errors=100%, p99=1.5, latency=1.1.")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The service; where there is only one with a canary, that one
    #[arg(long, value_name = "NAME")]
    service: Option<ServiceArgument>,
    /// Requests a second to the service, all versions together
    #[arg(long, value_name = "NUMBER")]
    rps: Rate,
    /// The share of the stable version's requests that fail
    #[arg(long, value_name = "PERCENT", default_value = "0.1%")]
    error_rate: Weight,
    /// The stable version's median time to response headers
    #[arg(long, value_name = "TIME", default_value = "50ms")]
    p50: Time,
    /// Its 99th percentile; 3.2 times the median where it is not given
    #[arg(long, value_name = "TIME")]
    p99: Option<Time>,
    /// How a canary turns bad: errors=PERCENT (so many fail), latency=FACTOR (all take so many times as long) or p99=FACTOR
    /// (the slowest tenth does); may be given several times
    #[arg(long, value_name = "KIND=HOW")]
    regression: Vec<RegressionArgument>,
    /// Rollouts that are simulated
    #[arg(long, value_name = "NUMBER", default_value_t = 9, value_parser = clap::value_parser!(u64).range(1..=FORESEEN_ROLLOUTS_MAX))]
    rollouts: u64,
    /// The same as --output json
    #[arg(long)]
    json: bool,
    /// How to show the plan
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t)]
    output: Output,
}

/// A checked name.
#[derive(Debug, Clone)]
struct ServiceArgument(ServiceName);

impl FromStr for ServiceArgument {
    type Err = serin_config::name::NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ServiceName::try_new(text).map(Self)
    }
}

/// Requests a second.
#[derive(Debug, Clone, Copy)]
struct Rate(f64);

impl FromStr for Rate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("write a number above 0 and up to {FORESEEN_RPS_MAX}, such as 1000 or 0.5");
        let rate = text.parse().ok().filter(|rate| *rate > 0.0 && *rate <= FORESEEN_RPS_MAX);
        rate.map(Self).ok_or_else(wrong)
    }
}

/// A time as the file writes it.
#[derive(Debug, Clone, Copy)]
struct Time(Duration);

impl FromStr for Time {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match Duration::read(text) {
            Ok(Duration::ZERO) => Err("it must be longer than nothing, such as 50ms".into()),
            Ok(time) => Ok(Self(time)),
            Err(fault) => Err(format!("{}: {}", fault.wrong, fault.right)),
        }
    }
}

/// How a canary turns bad.
#[derive(Debug, Clone, Copy)]
struct RegressionArgument(Regression);

impl FromStr for RegressionArgument {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let right = "write errors=1%, latency=1.1 or p99=1.5";
        let (kind, how) = text.split_once('=').ok_or(right)?;
        let factor = || how.parse().ok().filter(|factor| (1.0..=1000.0).contains(factor));
        let factor = || factor().ok_or_else(|| format!("\"{how}\" is not a factor from 1 to 1000: {right}"));
        match kind {
            "errors" => {
                let to = how.parse::<Weight>().map_err(|error| error.to_string())?.fraction();
                Ok(Self(Regression::Errors { to }))
            }
            "latency" => Ok(Self(Regression::Latency { by: factor()? })),
            "p99" => Ok(Self(Regression::Tail { by: factor()? })),
            _ => Err(format!("\"{kind}\" is no kind of regression: {right}")),
        }
    }
}

fn usual() -> Vec<Regression> {
    let errors = [0.003, 0.01, 0.05, 1.0].map(|to| Regression::Errors { to });
    errors.into_iter().chain([Regression::Tail { by: 1.5 }, Regression::Latency { by: 1.1 }]).collect()
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let service = match policy_file::service(&arguments.file, arguments.service.as_ref().map(|name| &name.0))
    {
        Ok(service) => service,
        Err(NoPolicy::File(LoadError::Problems(problems))) => {
            print(&format!("{problems}\n"));
            return ExitCode::from(NO);
        }
        Err(why) => return can_not(why),
    };
    let (p50, p99) = (arguments.p50.0, arguments.p99.map_or(arguments.p50.0.mul_f64(SPREAD), |p99| p99.0));
    if p99 < p50 {
        return can_not("--p99 is shorter than --p50: give the 99th percentile, which is the longer of both");
    }
    let given: Vec<_> = arguments.regression.iter().map(|regression| regression.0).collect();
    let regressions = if given.is_empty() { usual() } else { given };
    let traffic = Traffic { rps: arguments.rps.0, error_rate: arguments.error_rate.fraction(), p50, p99 };
    let foresight = Foresight::new(service.rollout.clone(), traffic, regressions);
    let plan = foresight.plan(&rehearse(&foresight, arguments.rollouts));
    print(&if arguments.json || arguments.output.is_json() {
        as_json(&service, &plan)
    } else {
        told(&service, &foresight, &plan)
    });
    ExitCode::SUCCESS
}

/// Simulates the rollouts, some at once; the order of the seeds is kept.
fn rehearse(foresight: &Foresight, rollouts: u64) -> Vec<Rehearsal> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let terminal = std::io::stderr().is_terminal();
    let work = || {
        let mut mine = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= rollouts {
                return mine;
            }
            mine.push((seed, foresight.rehearse(seed)));
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if terminal {
                progress(format_args!("{done} of {rollouts} rollouts simulated"));
            }
        }
    };
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..cores.min(rollouts)).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        all.extend(workers.into_iter().filter_map(|worker| worker.join().ok()).flatten());
        all
    });
    if terminal {
        progress(format_args!(""));
    }
    all.sort_by_key(|(seed, _)| *seed);
    all.into_iter().map(|(_, rehearsal)| rehearsal).collect()
}

/// A line that the next one overwrites.
fn progress(what: fmt::Arguments<'_>) {
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "\r\x1b[K{what}");
    let _ = stderr.flush();
}

fn as_json(service: &Service, plan: &Plan) -> String {
    let preset = service.rollout.preset;
    format!("{:#}\n", json!({ "service": service.name, "preset": preset, "plan": plan }))
}

fn told(service: &Service, foresight: &Foresight, plan: &Plan) -> String {
    let policy = &service.rollout;
    let events = if policy.guards.events.is_empty() {
        ""
    } else {
        "\nBusiness events are not simulated; their guards only add to what is shown.\n"
    };
    let (name, preset) = (&service.name, policy.preset.label());
    format!("Service {name}, preset {preset}: {}{events}", foresight.tell(plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regression_is_a_kind_and_how_much() {
        let read = |text: &str| text.parse::<RegressionArgument>().map(|regression| regression.0);
        assert_eq!(read("errors=1%"), Ok(Regression::Errors { to: 0.01 }));
        assert_eq!(read("latency=1.1"), Ok(Regression::Latency { by: 1.1 }));
        assert_eq!(read("p99=1.5"), Ok(Regression::Tail { by: 1.5 }));
        for wrong in ["errors", "errors=1", "errors=101%", "latency=0.5", "p99=inf", "p99=x", "p50=2", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_and_times_are_above_nothing() {
        for wrong in ["0", "-1", "nan", "inf", "1e9", "x"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
        assert!("0s".parse::<Time>().is_err() && "5".parse::<Time>().is_err());
        assert_eq!("5ms".parse::<Time>().map(|time| time.0), Ok(Duration::from_millis(5)));
    }
}
