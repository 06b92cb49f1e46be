//! `serin load run`: one load, from its first request to its report.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::Args;
use serin_config::moment;
use serin_loadtest::{
    Crowd,
    report::{Record, csv, html, record::Timeline, text},
};

use super::{
    super::{
        NO, can_not, print_on, raise_descriptor_limit,
        shutdown::{Asked, Signals},
    },
    files::write_file,
    options::Options,
    started::Start,
    target::time,
    watched::{Named, Watched},
};

/// One load.
#[derive(Debug, Args)]
#[command(after_help = "\
Requests are due at times that are fixed beforehand, and latency counts from them: a target that stalls is not spared
the requests that users would have sent meanwhile. What could not be sent is reported as missed.

  serin load run http://127.0.0.1:8080/ --rate 2000 --duration 1m
  serin load run https://shop.test/ --http2 --stage 0:5000:1m --stage 5000:5000:2m --poisson --html report.html
  serin load run http://127.0.0.1:8080/ --closed --connections 64
  serin load run http://127.0.0.1:8080/ --mix mix.yaml --json run.json --watch proxy=4711
  serin load run http://127.0.0.1:8080/ --json run.json --start \"proxy=serin run -c serin.yaml\"

Exit codes: 0 the load was run and each request had an answer below 500; 1 some had none, or were never sent;
2 it could not be run.")]
pub(super) struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Counts CPU time and memory of this process and its children, NAME=PID; repeated
    #[arg(long, value_name = "PROCESS")]
    watch: Vec<Named>,
    /// Starts this with sh, NAME=COMMAND, and ends it after the load; tells how long it took from there until GET of the URL was
    /// answered below 500 (the start-up that budgets of serin load gate are about), and counts it as --watch does
    #[arg(long, value_name = "PROCESS")]
    start: Option<Start>,
    /// How long that may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time, requires = "start")]
    start_within: Duration,
    /// Writes the record, which serin load gate reads
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a line for each second
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Writes a page with plots, which needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Shows the report only, and no seconds as they pass
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = match runtime {
        Ok(runtime) => runtime.block_on(one(arguments)),
        Err(error) => Err(error.to_string()),
    };
    let record = match ran {
        Ok(record) => record,
        Err(why) => return can_not(why),
    };
    if !print_on(&text::summary(&record)) {
        return ExitCode::SUCCESS;
    }
    if let Err(why) = arguments.write(&record) {
        return can_not(why);
    }
    if record.failed() + record.progress.missed > 0 { ExitCode::from(NO) } else { ExitCode::SUCCESS }
}

impl Arguments {
    fn write(&self, record: &Record) -> Result<(), String> {
        if let Some(path) = &self.json {
            let json = serde_json::to_string(record).map_err(|error| error.to_string())?;
            write_file(path, &(json + "\n"))?;
        }
        if let Some(path) = &self.csv {
            write_file(path, &csv::seconds(record))?;
        }
        if let Some(path) = &self.html {
            write_file(path, &html::page(record))?;
        }
        Ok(())
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            // Whoever does not read it any more still wants the load.
            let _ = print_on(line);
        }
    }
}

/// RFC 3339.
pub(super) fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    moment::rfc3339_seconds(u64::try_from(since.as_millis()).unwrap_or(0))
}

async fn one(arguments: &Arguments) -> Result<Record, String> {
    let options = &arguments.options;
    let (load, threads) = options.load()?;
    let facts = options.facts(now());
    let mut signals = Signals::listen().map_err(|error| error.to_string())?;
    let mut watch = arguments.watch.clone();
    let started = match &arguments.start {
        None => None,
        Some(start) if watch.iter().any(|named| named.name() == start.name()) => {
            return Err(format!(
                "two processes are called \"{}\": --watch and --start must differ",
                start.name()
            ));
        }
        Some(start) => {
            let target = options.target.probe()?;
            let started = tokio::select! {
                started = start.start(&target, arguments.start_within) => started?,
                () = signals.stop() => return Err("interrupted before the target answered".into()),
            };
            let took = started.took.as_secs_f64() * 1e3;
            arguments.say(&format!("{} answered {took:.0} ms after its start\n", start.name()));
            watch.push(started.named()?);
            Some(started)
        }
    };
    let mut crowd = Crowd::start(&load, threads).map_err(|error| error.to_string())?;
    let lasts = options
        .lasts()
        .map_or(String::new(), |lasts| format!(", for {}", serin_config::duration::show(lasts)));
    arguments.say(&format!("{} over {}: {}{lasts}\n", facts.target, facts.protocol, facts.pace));
    arguments.say(&text::progress_head());
    let mut watched = Watched::begin(&watch);
    let mut timeline = Timeline::default();
    let mut warm = facts.warm_up_seconds > 0;
    loop {
        let snapshot = tokio::select! {
            snapshot = crowd.snapshot() => snapshot,
            asked = signals.next(), if !crowd.is_cancelled() => {
                if matches!(asked, Asked::Stop) {
                    arguments.say("interrupted: what is under way ends, and is reported\n");
                    crowd.cancel();
                }
                continue;
            }
        };
        let Some(snapshot) = snapshot else { break };
        if std::mem::take(&mut warm) {
            watched.begin_again();
        }
        watched.look();
        let second = timeline.push(&snapshot);
        arguments.say(&text::progress_line(second));
    }
    let report = crowd.report().await.map_err(|error| error.to_string())?;
    watched.look();
    arguments.say("\n");
    let mut record = Record::new(facts, &report, timeline.into_seconds());
    record.components = watched.components(record.total());
    if let (Some(started), Some(start)) = (started, &arguments.start) {
        if let Some(component) = record.components.get_mut(start.name()) {
            component.start_up_ms = Some(started.took.as_secs_f64() * 1e3);
        }
        started.end().await;
    }
    Ok(record)
}
