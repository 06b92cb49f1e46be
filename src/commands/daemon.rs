//! What every process that serves begins with: its log, a runtime, its signals, its file.
//!
//! Signals and changes of the file are listened to before the file is read, so that none is lost; then a file with problems
//! is refused, and the process ends before it has changed anything.

use std::{future::Future, process::ExitCode};

use serin_config::{Config, Purpose};

use super::{
    NO, can_not,
    config_file::{ConfigFile, LoadError},
    logging::Logging,
    raise_descriptor_limit,
    shutdown::Signals,
    watch::FileWatch,
};

/// A process that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) signals: Signals,
    pub(super) file: ConfigFile,
    /// Tells when the file changes.
    pub(super) changes: FileWatch,
    pub(super) config: Config,
}

/// How many threads do the work beside it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Threads {
    /// One: requests have threads of their own, and this runtime does the housekeeping.
    One,
    /// One for each core.
    Cores,
}

/// Reads the file for this purpose and serves, to the end; gives the exit code.
pub(super) fn run<F: Future<Output = ExitCode>>(
    file: &ConfigFile,
    logging: &Logging,
    (purpose, threads): (Purpose, Threads),
    serve: impl FnOnce(Begun) -> F,
) -> ExitCode {
    if let Err(error) = logging.start() {
        return can_not(error);
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Threads::One = threads {
        builder.worker_threads(1);
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return can_not(format_args!("no runtime can be made: {error}")),
    };
    let code = runtime.block_on(async {
        match begin(file, purpose) {
            Ok(begun) => serve(begun).await,
            Err(code) => code,
        }
    });
    // Whoever asked twice to stop does not wait for what is still in flight.
    runtime.shutdown_background();
    code
}

fn begin(file: &ConfigFile, purpose: Purpose) -> Result<Begun, ExitCode> {
    let signals =
        Signals::listen().map_err(|error| can_not(format_args!("signals can't be listened to: {error}")))?;
    let changes = FileWatch::new(&file.path);
    let config = file.load_for(purpose).map_err(|error| match error {
        LoadError::Problems(problems) => {
            can_not(problems);
            ExitCode::from(NO)
        }
        unreadable => can_not(unreadable),
    })?;
    raise_descriptor_limit();
    Ok(Begun { signals, file: file.clone(), changes, config })
}
