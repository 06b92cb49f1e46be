//! `serin check`: every mistake of a file, or what it would run.

use std::process::ExitCode;

use clap::Args;
use serin_config::summary;

use super::{
    NO, can_not,
    config_file::{ConfigFile, LoadError},
    print,
};

/// Which file to check.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match arguments.file.load_for_any() {
        Ok(config) => {
            print(&summary::summary(&config));
            ExitCode::SUCCESS
        }
        Err(LoadError::Problems(problems)) => {
            print(&format!("{problems}\n"));
            ExitCode::from(NO)
        }
        Err(unreadable) => can_not(unreadable),
    }
}
