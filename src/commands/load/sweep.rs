//! `serin load sweep`: more and more load on a target, until it breaks.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use serin_loadtest::{
    Crowd, Load, Pace, Rate, Schedule, Stop,
    bounds::{CONNECTIONS_DEFAULT, RATE_MAX, THREADS_MAX},
    process,
    report::{Facts, Record, record::Timeline},
    sweep::{Level, Next, Sweep, Used, html, text},
};

use super::{
    super::{
        NO, can_not, print_on, raise_descriptor_limit,
        shutdown::{Asked, Signals},
    },
    files::write_file,
    target::{TargetOptions, time},
    watched::Named,
};

/// A sweep.
#[derive(Debug, Args)]
#[command(after_help = "\
First, connections ask as fast as they are answered, from one to many: the most that can be got, and the curve of the
universal scalability law through it. Then requests come at fixed rates around that: up to the knee answers keep their pace, beyond it
they queue. Some twenty levels of --step each.

  serin load sweep http://127.0.0.1:8080/ --watch proxy=4711 --html sweep.html

Exit codes: 0 the knee was found; 1 there is none, or it was interrupted; 2 it could not be run.")]
pub(super) struct Arguments {
    #[command(flatten)]
    target: TargetOptions,
    /// How long each level lasts, from 1s; a second before it is left out
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = step)]
    step: Duration,
    /// The most connections that ask as fast as they are answered
    #[arg(short, long, value_name = "NUMBER", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=1024))]
    connections: u32,
    /// Threads that send
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=THREADS_MAX as i64))]
    threads: u32,
    /// Counts CPU time of this process and its children, NAME=PID; repeated
    #[arg(long, value_name = "PROCESS")]
    watch: Vec<Named>,
    /// Writes all levels and findings
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a page with plots, which needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let swept = match runtime {
        Ok(runtime) => runtime.block_on(arguments.sweep()),
        Err(error) => Err(error.to_string()),
    };
    match swept.and_then(|(sweep, whole)| arguments.tell(sweep, whole)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NO),
        Err(why) => can_not(why),
    }
}

impl Arguments {
    /// Measures level after level; false where it was interrupted.
    async fn sweep(&self) -> Result<(Sweep, bool), String> {
        let target = self.target.target()?;
        let mut signals = Signals::listen().map_err(|error| error.to_string())?;
        let mut sweep = Sweep::new(self.connections as usize);
        print_on(&format!(
            "{} over {}\n{}",
            self.target.url.text,
            self.target.protocol_words(),
            text::head()
        ));
        while let Some(next) = sweep.next() {
            let (closed, pace, asked) = match next {
                Next::Connections(connections) => (true, Pace::Closed { connections }, connections as f64),
                Next::Rate(rate) => {
                    let rate = Rate::try_new(rate.clamp(1.0, RATE_MAX)).map_err(|error| error.to_string())?;
                    // What is beyond the knee shall queue for want of an answer, not of a connection.
                    (false, Pace::Open(Schedule::Poisson { rate, seed: 1 }), rate.per_second())
                }
            };
            let load = Load::new(target.clone(), pace, Stop::After(self.step + WARM_UP))
                .connections_max(2 * CONNECTIONS_DEFAULT)
                .streams_max(self.target.streams(closed))
                .timeout(self.target.timeout)
                .warm_up(1);
            let Some((record, used)) = self.level(&load, &mut signals).await? else {
                return Ok((sweep, false));
            };
            let level = Level::of(asked, &record, self.step.as_secs_f64(), used);
            // Whoever does not read it any more may want the files.
            print_on(&text::line(next, &level));
            if matches!(next, Next::Connections(1)) && level.ended == 0 {
                return Err(format!("{} does not answer: {}", self.target.url.text, reasons(&record)));
            }
            sweep.push(level, next);
        }
        Ok((sweep, true))
    }

    /// One level; none where it was interrupted.
    async fn level(&self, load: &Load, signals: &mut Signals) -> Result<Option<(Record, Used)>, String> {
        let mut crowd = Crowd::start(load, self.threads as usize).map_err(|error| error.to_string())?;
        let mut timeline = Timeline::default();
        let mut meter = Meter::begin(&self.watch);
        let mut interrupted = false;
        let ends = Instant::now() + WARM_UP + self.step;
        let mut used = None;
        loop {
            tokio::select! {
                snapshot = crowd.snapshot() => match snapshot {
                    Some(snapshot) => {
                        if snapshot.second == 1 {
                            meter = Meter::begin(&self.watch);
                        }
                        timeline.push(&snapshot);
                    }
                    None => break,
                },
                // What is left to be answered then says nothing of what was used under load.
                () = tokio::time::sleep_until(ends.into()), if used.is_none() => used = Some(meter.used()),
                asked = signals.next(), if !interrupted => {
                    if asked == Asked::Stop {
                        interrupted = true;
                        crowd.cancel();
                    }
                }
            }
        }
        let report = crowd.report().await.map_err(|error| error.to_string())?;
        let used = used.unwrap_or_else(|| meter.used());
        let record = Record::new(Facts::default(), &report, timeline.into_seconds());
        Ok((!interrupted).then_some((record, used)))
    }

    fn tell(&self, sweep: Sweep, whole: bool) -> Result<bool, String> {
        let found = sweep.findings();
        if !whole {
            print_on("interrupted: what follows is from the levels above\n");
        }
        print_on(&text::summary(&found));
        if let Some(path) = &self.json {
            let json = serde_json::to_string_pretty(&found).map_err(|error| error.to_string())?;
            write_file(path, &(json + "\n"))?;
        }
        if let Some(path) = &self.html {
            write_file(path, &html::page(&self.target.url.text, &found))?;
        }
        Ok(whole && found.knee.is_some())
    }
}

/// What a level's first second is for.
const WARM_UP: Duration = Duration::from_secs(1);

/// Why requests had no answer.
fn reasons(record: &Record) -> String {
    let outcomes = record.names(|group| &group.outcome);
    if outcomes.is_empty() { "nothing came in time".into() } else { outcomes.join(", ") }
}

/// CPU time of threads, in seconds, by their numbers.
type Threads = Vec<(u32, f64)>;

/// What is used from one moment to another.
struct Meter<'a> {
    begun: Instant,
    components: Vec<(&'a Named, f64, Threads)>,
    generator: Threads,
    machine: (f64, f64),
    interfaces: Vec<(String, f64, u64)>,
}

/// CPU time of each thread; only of those with this name, if it is given.
fn thread_times(id: u32, named: Option<&str>) -> Threads {
    let threads = process::threads(id).unwrap_or_default().into_iter();
    threads
        .filter(|(_, name, _)| named.is_none_or(|wanted| name == wanted))
        .map(|(id, _, time)| (id, time))
        .collect()
}

/// The most that one of them has used since.
fn busiest(before: &[(u32, f64)], now: &[(u32, f64)]) -> f64 {
    let since = |(id, time): &(u32, f64)| {
        time - before.iter().find(|(known, _)| known == id).map_or(0.0, |(_, time)| *time)
    };
    now.iter().map(since).fold(0.0, f64::max)
}

impl<'a> Meter<'a> {
    fn begin(watched: &'a [Named]) -> Self {
        let component = |named: &'a Named| {
            let process = named.process();
            let cpu = process.usage().unwrap_or_default().cpu_seconds;
            (named, cpu, thread_times(process.id(), None))
        };
        Self {
            begun: Instant::now(),
            components: watched.iter().map(component).collect(),
            generator: thread_times(std::process::id(), Some("load")),
            machine: process::machine().unwrap_or_default(),
            interfaces: process::interfaces(),
        }
    }

    fn used(&self) -> Used {
        let seconds = self.begun.elapsed().as_secs_f64().max(1e-3);
        let component = |(named, cpu, threads): &(&Named, f64, Threads)| {
            let process = named.process();
            let now = process.usage().map_or(*cpu, |usage| usage.cpu_seconds);
            let thread = busiest(threads, &thread_times(process.id(), None));
            (named.name().to_owned(), (now - cpu) / seconds, thread / seconds)
        };
        let (busy, all) = process::machine().unwrap_or_default();
        let lines = process::interfaces().into_iter().filter_map(|(name, speed, bytes)| {
            let (_, _, before) = self.interfaces.iter().find(|(known, ..)| *known == name)?;
            Some(bytes.saturating_sub(*before) as f64 / seconds / speed)
        });
        let passed = all - self.machine.1;
        Used {
            components: self.components.iter().map(component).collect(),
            generator: busiest(&self.generator, &thread_times(std::process::id(), Some("load"))) / seconds,
            machine: if passed > 0.0 { (busy - self.machine.0) / passed } else { 0.0 },
            bandwidth: lines.reduce(f64::max),
        }
    }
}

fn step(text: &str) -> Result<Duration, String> {
    let step = time(text)?;
    if step < Duration::from_secs(1) || step > Duration::from_secs(600) {
        return Err(format!("\"{text}\" is not how long a level can last: from 1s to 10m"));
    }
    Ok(step)
}
