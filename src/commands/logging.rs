//! Log lines on stderr: text for people, JSON for machines.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// What is logged, and how, by a process that serves.
#[derive(Debug, Args)]
pub(super) struct Logging {
    /// What to log: error, warn, info, debug, trace, or target=level
    #[arg(long, value_name = "FILTER", default_value = "info", env = "SERIN_LOG")]
    log: String,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

impl Logging {
    /// Installs the log.
    pub(super) fn start(&self) -> Result<(), String> {
        start(self.log_format, &self.log)
    }
}

/// Installs the log; `filter` is a level or a list of `target=level`.
pub(super) fn start(format: LogFormat, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        format!("--log {filter}: {error}; write a level (error, warn, info, debug, trace) or target=level")
    })?;
    // A line that can't be written is dropped. The default complains on stderr, and panics where that is the
    // very file that can't be written: a full disk under the log would take the program down.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .with_target(false);
    let started = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("the log can't be started: {error}"))
}
