//! `serin load experiment`: a game day, from its file to its report.

mod proxies;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use serin_loadtest::{
    Crowd, Load, Pace, Protocol, Schedule, Stop, Target,
    bounds::MIX_BYTES_MAX,
    experiment::{Course, Experiment, LoadPlan, Outcome, Step, Verdict, html, text::table},
    report::{Facts, Record, record::Timeline, text},
    target::{Tls, Trust, authorities},
};

use self::proxies::Proxies;
use super::{
    super::{
        print_on, raise_descriptor_limit,
        shutdown::{Asked, Signals},
    },
    files::{read_file, write_file},
    run::now,
};

/// Exit code: it could not be carried through. Not 2, which is an answer.
const NOT_RUN: u8 = 3;

/// A game day, from its file.
#[derive(Debug, Args)]
#[command(after_help = "\
A load is run by itself. First the hypothesis must hold without any fault. Then each fault is injected in the proxies (over
their admin listeners), stays for its time, is undone, and the next one waits until the hypothesis holds again. Where a limit
of abort is passed over the last `window`, or on Ctrl-C, all faults are undone at once. Should this process be killed, each
fault ends by itself 5 s after its time.

  load: { url: \"http://127.0.0.1:8080/\", rate: 200 }
  proxies: [\"127.0.0.1:9901\"]
  hypothesis: { error_rate: 1%, p99: 100ms }     # what holds while all is well
  abort: { error_rate: 30% }                     # beyond this it is over
  faults:
    - { service: shop, version: v2, delay: 300ms, percent: 50%, lasts: 30s, recovers_within: 10s }
    - { service: shop, version: v2, down: true, lasts: 30s }      # also: abort: 503, throttle: 32KiB

  serin load experiment day.yaml --html day.html

The score of a second is 1 where the hypothesis holds in the window that ends with it, and falls in proportion to 0 where a
metric is as bad as its abort limit (without one: ten times a latency's limit, all requests failed, none ended); the worst
metric counts. The score of the whole is the mean of the seconds under faults and until recovered. Recovery is counted in
whole seconds, from the end of a fault to the first window in which the hypothesis holds.

`serin schema experiment` describes every field. Exit codes: 0 the hypothesis held under all faults; 1 it did not (degraded: it
held again in time after each; broken: it did not); 2 aborted, all faults undone; 3 it could not be carried through.")]
pub(super) struct Arguments {
    /// The experiment (YAML)
    file: PathBuf,
    /// Writes the outcome, with the score of each second
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a page with the outcome and the plots of its load, which needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Writes the record of its load, as serin load run --json does
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Shows the outcome only, and no seconds as they pass
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = match runtime {
        Ok(runtime) => runtime.block_on(arguments.carry_out()),
        Err(error) => Err(error.to_string()),
    };
    let told = ran.and_then(|(outcome, record)| {
        print_on(&format!("\n{}", table(&outcome)));
        arguments.write(&outcome, &record)?;
        Ok(outcome.result)
    });
    match told {
        Ok(result) => ExitCode::from(match result {
            Verdict::Held => 0,
            Verdict::Degraded | Verdict::Broken => 1,
            Verdict::Aborted => 2,
            Verdict::Failed => NOT_RUN,
        }),
        Err(why) => {
            let _ = writeln!(std::io::stderr().lock(), "serin: {why}");
            ExitCode::from(NOT_RUN)
        }
    }
}

impl Arguments {
    fn write(&self, outcome: &Outcome, record: &Record) -> Result<(), String> {
        let json = |text: Result<String, serde_json::Error>| text.map_err(|error| error.to_string());
        if let Some(path) = &self.json {
            write_file(path, &(json(serde_json::to_string_pretty(outcome))? + "\n"))?;
        }
        if let Some(path) = &self.html {
            write_file(path, &html::page(outcome, record))?;
        }
        if let Some(path) = &self.record {
            write_file(path, &(json(serde_json::to_string(record))? + "\n"))?;
        }
        Ok(())
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            // Whoever does not read it any more still wants the experiment.
            let _ = print_on(line);
        }
    }

    async fn carry_out(&self) -> Result<(Outcome, Record), String> {
        let experiment = read(&self.file)?;
        let target = target(&experiment.load, &self.file)?;
        let mut proxies = Proxies::new(&experiment.proxies);
        proxies.try_out(&experiment.faults).await?;
        let mut signals = Signals::listen().map_err(|error| error.to_string())?;
        let facts = facts(&experiment.load);
        self.say(&format!("{} over {}: {}\n", facts.target, facts.protocol, facts.pace));
        self.say(&text::progress_head());
        let mut crowd = Crowd::start(&load(&experiment, target), 1).map_err(|error| error.to_string())?;
        let mut course = Course::new(&experiment);
        let (mut timeline, mut notes) = (Timeline::default(), Vec::new());
        loop {
            let snapshot = tokio::select! {
                snapshot = crowd.snapshot() => snapshot,
                asked = signals.next(), if !course.is_over() => {
                    if asked == Asked::Stop {
                        course.stop(Verdict::Aborted, "it was interrupted");
                        self.finish(&mut proxies, &mut notes, &mut course).await;
                        crowd.cancel();
                    }
                    continue;
                }
            };
            let Some(snapshot) = snapshot else { break };
            let second = timeline.push(&snapshot);
            self.say(&text::progress_line(second));
            if course.is_over() {
                continue;
            }
            match course.second(second) {
                Step::Go => {}
                Step::Inject(number) => {
                    let Some(fault) = experiment.faults.get(number) else { continue };
                    self.say(&format!("inject: {} ({})\n", fault.name, fault.words()));
                    if let Err(why) = proxies.inject(fault).await {
                        let why = format!(
                            "\"{}\" could not be injected ({why}); what was is undone, or ends by itself",
                            fault.name
                        );
                        course.stop(Verdict::Failed, &why);
                    }
                }
                Step::Undo(number) => {
                    let name = experiment.faults.get(number).map_or("", |fault| fault.name.as_str());
                    self.say(&format!("undo: {name}\n"));
                    self.finish(&mut proxies, &mut notes, &mut course).await;
                }
                Step::End => {}
            }
            if course.is_over() {
                self.finish(&mut proxies, &mut notes, &mut course).await;
                crowd.cancel();
            }
        }
        self.finish(&mut proxies, &mut notes, &mut course).await;
        let report = crowd.report().await.map_err(|error| error.to_string())?;
        let mut outcome = course.outcome();
        outcome.notes = notes;
        Ok((outcome, Record::new(facts, &report, timeline.into_seconds())))
    }

    /// Undoes what is in force. Where that can't be done nothing more is broken.
    async fn finish(&self, proxies: &mut Proxies, notes: &mut Vec<String>, course: &mut Course<'_>) {
        let undone = proxies.undo().await;
        notes.extend(undone.notes);
        if undone.left {
            course.stop(Verdict::Failed, "a fault could not be undone");
        }
    }
}

fn read(file: &Path) -> Result<Experiment, String> {
    let bytes = read_file(file, MIX_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    let body = |named: &Path| std::fs::read(beside(file, named));
    Experiment::read(&file.display().to_string(), &text, &body).map_err(|problems| problems.to_string())
}

/// Where a file that another one names is.
fn beside(file: &Path, named: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new(".")).join(named)
}

fn target(plan: &LoadPlan, file: &Path) -> Result<Target, String> {
    let protocol = if plan.http2 { Protocol::Http2 } else { Protocol::Http1 };
    let mut target = Target::new(plan.url.resolve()?)
        .protocol(protocol)
        .host(&plan.url.authority)
        .and_then(|target| target.asks(plan.asks.clone()))
        .map_err(|error| error.to_string())?;
    if plan.url.secure {
        let trust = match &plan.ca {
            Some(ca) => {
                let ca = beside(file, ca);
                authorities(&ca).map_err(|error| format!("{}: {error}", ca.display()))?
            }
            None => Trust::System,
        };
        target = target.tls(Tls { server_name: plan.url.host.clone(), trust, resumption: true });
    }
    Ok(match &plan.users {
        Some(users) => target.users(users.clone()),
        None => target,
    })
}

fn load(experiment: &Experiment, target: Target) -> Load {
    let plan = &experiment.load;
    let pace = if plan.poisson {
        Schedule::Poisson { rate: plan.rate, seed: 1 }
    } else {
        Schedule::Constant(plan.rate)
    };
    // It is cancelled as soon as the course is over; this bounds it where nobody is left to do so.
    let most = experiment.lasts_at_most().saturating_add(u64::from(plan.warm_up) + 60);
    Load::new(target, Pace::Open(pace), Stop::After(Duration::from_secs(most)))
        .connections_max(plan.connections)
        .timeout(plan.timeout)
        .warm_up(plan.warm_up)
}

fn facts(plan: &LoadPlan) -> Facts {
    let rate = plan.rate.per_second();
    let arrivals = if plan.poisson { "independent arrivals" } else { "evenly spaced" };
    let (http, tls) =
        (if plan.http2 { "HTTP/2" } else { "HTTP/1.1" }, if plan.url.secure { " within TLS" } else { "" });
    Facts {
        serin: env!("CARGO_PKG_VERSION").into(),
        started: now(),
        target: plan.url.text.clone(),
        protocol: format!("{http}{tls}"),
        pace: format!("{rate} requests a second, {arrivals}"),
        rate: Some(rate),
        connections: plan.connections,
        threads: 1,
        warm_up_seconds: plan.warm_up,
    }
}
