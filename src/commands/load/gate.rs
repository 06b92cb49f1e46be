//! `serin load gate`: whether a candidate's record may pass.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serin_loadtest::{
    bounds::{MIX_BYTES_MAX, RECORD_BYTES_MAX},
    gate::{
        self, Budgets, Gate, Level,
        history::{self, Entry},
        text,
    },
    report::Record,
};

use super::{super::print_on, files::read_file};

/// Exit code: it could not be asked. Not 2, which blocks for a reason.
const NOT_ASKED: u8 = 3;

/// Two records, and what the second may be.
#[derive(Debug, Args)]
#[command(after_help = "\
The records are those of serin load run --json, of the same load on the release before and on the new one; take a
minute or more of each, one right after the other. The candidate is worse where its blocks of five seconds are, more surely
than dealing them out anew explains (--significance, for all metrics together), and by more than the minimum effect.

  serin load gate --baseline before.json --candidate after.json --budget budgets.yaml

A file of budgets:

  significance: 0.005
  metrics:
    p99: { max: 50ms, min_effect: 3%, severity: block }
    error_rate: { max: 0.1% }
  components:
    proxy: { cpu_us_per_request: 40, memory: 64MiB, growth: 10%, severity: warn }

Exit codes: 0 pass, 1 warn, 2 block, 3 it could not be asked.")]
pub(super) struct Arguments {
    /// The record of the release before
    #[arg(long, value_name = "FILE")]
    baseline: PathBuf,
    /// The record of the new one
    #[arg(long, value_name = "FILE")]
    candidate: PathBuf,
    /// What the candidate may be, and what counts as worse (YAML)
    #[arg(long, value_name = "FILE")]
    budget: Option<PathBuf>,
    /// The accepted chance that equal releases are told apart, in place of the file's [default: 0.005]
    #[arg(long, value_name = "CHANCE", value_parser = chance)]
    significance: Option<f64>,
    /// Adds the answer to this file (JSON lines), and shows where the figures are going
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// What the candidate is called in the history, such as a version or a commit
    #[arg(long, value_name = "TEXT", default_value = "", requires = "history")]
    label: String,
    /// Prints the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match ask(arguments) {
        Ok((gate, shown)) => {
            print_on(&shown);
            ExitCode::from(match gate.result {
                Level::Pass => 0,
                Level::Warn => 1,
                Level::Block => 2,
            })
        }
        Err(why) => {
            let _ = writeln!(std::io::stderr().lock(), "serin: {why}");
            ExitCode::from(NOT_ASKED)
        }
    }
}

fn ask(arguments: &Arguments) -> Result<(Gate, String), String> {
    let (baseline, candidate) = (record(&arguments.baseline)?, record(&arguments.candidate)?);
    let mut budgets = match &arguments.budget {
        None => Budgets::default(),
        Some(path) => {
            let bytes = read_file(path, MIX_BYTES_MAX)?;
            let text = String::from_utf8(bytes).map_err(|error| format!("{}: {error}", path.display()))?;
            Budgets::read(&path.display().to_string(), &text).map_err(|problems| problems.to_string())?
        }
    };
    budgets.significance = arguments.significance.unwrap_or(budgets.significance);
    let gate = gate::judge(&baseline, &candidate, &budgets).map_err(|error| error.to_string())?;
    let mut trends = Vec::new();
    if let Some(path) = &arguments.history {
        let entry = Entry::of(&gate, &candidate.facts.started, &arguments.label);
        trends = history::trends(&remember(path, entry)?);
    }
    let shown = if arguments.json {
        let answer = serde_json::json!({ "gate": &gate, "trends": trends });
        format!("{answer:#}\n")
    } else if trends.is_empty() {
        text::table(&gate)
    } else {
        format!("{}\n{}", text::table(&gate), history::table(&trends))
    };
    Ok((gate, shown))
}

fn record(path: &Path) -> Result<Record, String> {
    let bytes = read_file(path, RECORD_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    Record::read(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Adds an entry to the file; gives all of them.
fn remember(path: &Path, entry: Entry) -> Result<Vec<Entry>, String> {
    let mut entries = if path.exists() {
        let text = String::from_utf8_lossy(&read_file(path, RECORD_BYTES_MAX)?).into_owned();
        Entry::read_all(&text)
            .map_err(|line| format!("{}:{line}: this is not an entry of a gate's history", path.display()))?
    } else {
        Vec::new()
    };
    let line = serde_json::to_string(&entry).map_err(|error| error.to_string())? + "\n";
    let added = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    added.map_err(|error| format!("{} can't be written: {error}", path.display()))?;
    entries.push(entry);
    Ok(entries)
}

fn chance(text: &str) -> Result<f64, String> {
    let wrong = || format!("\"{text}\" is not a chance above 0 and below 0.5, such as 0.01");
    text.parse().ok().filter(|chance| *chance > 0.0 && *chance < 0.5).ok_or_else(wrong)
}
